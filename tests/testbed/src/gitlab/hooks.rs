//! The webhooks of a project.

use serde_json::{Value, json};

use super::answer::Found;
use super::{FakeGitlab, Project};
use crate::exchange::{Request, Response};

/// The webhooks, and whether this GitLab knows of signing tokens.
#[derive(Debug, Clone, Default)]
pub(super) struct Hooks {
    all: Vec<Hook>,
    signs: bool,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its number.
    pub id: u64,
    /// Where it delivers.
    pub url: String,
    /// The plain token.
    pub token: String,
    /// The signing token.
    pub signing_token: String,
    /// `executable` or `disabled`.
    pub alert_status: String,
    /// What it tells of, by GitLab's names.
    pub events: Vec<String>,
}

const EVENTS: [&str; 3] = ["push_events", "merge_requests_events", "note_events"];

impl FakeGitlab {
    /// Knows of signing tokens from now on, as newer GitLabs do.
    pub fn know_signing_tokens(&self, project: u64) {
        self.change(project, |project| project.hooks.signs = true);
    }

    /// Somebody makes a webhook, or GitLab takes it out of service.
    pub fn put_hook(&self, project: u64, hook: Hook) {
        self.change(project, |project| project.hooks.all.push(hook));
    }

    /// All webhooks.
    pub fn hooks(&self, project: u64) -> Vec<Hook> {
        self.look(project, |project| project.hooks.all.clone())
    }
}

impl Project {
    pub(super) fn hook(&mut self, rest: &[&str], request: &Request) -> Found {
        let asked = rest.get(1).and_then(|id| id.parse::<u64>().ok());
        if request.method == "GET" {
            return Found::Items(self.hooks.all.iter().map(Hook::object).collect());
        }
        let next = self.hooks.all.iter().map(|hook| hook.id).max().unwrap_or_default() + 1;
        let id = asked.unwrap_or(next);
        if asked.is_none() {
            self.hooks.all.push(Hook {
                id,
                url: String::new(),
                token: String::new(),
                signing_token: String::new(),
                alert_status: "executable".to_owned(),
                events: vec!["push_events".to_owned()],
            });
        }
        let signs = self.hooks.signs;
        let found = self.hooks.all.iter_mut().find(|hook| hook.id == id);
        let Some(hook) = found.filter(|_| !request.text("url").is_empty()) else {
            return Found::One(Response::message(404, "404 Not found"));
        };
        hook.take(request, signs);
        Found::One(Response::json(if asked.is_some() { 200 } else { 201 }, &hook.object()))
    }
}

impl Hook {
    fn take(&mut self, request: &Request, signs: bool) {
        self.url = request.text("url");
        if request.body["token"].is_string() {
            self.token = request.text("token");
        }
        if signs && request.body["signing_token"].is_string() {
            self.signing_token = request.text("signing_token");
        }
        for event in EVENTS {
            if let Some(is_told) = request.body[event].as_bool() {
                self.events.retain(|one| one != event);
                self.events.extend(is_told.then(|| event.to_owned()));
            }
        }
    }

    fn object(&self) -> Value {
        let mut object = json!({
            "id": self.id, "url": self.url, "alert_status": self.alert_status, "push_events_branch_filter": null,
            "token_present": !self.token.is_empty(), "signing_token_present": !self.signing_token.is_empty(),
        });
        for event in EVENTS {
            object[event] = json!(self.events.iter().any(|one| one == event));
        }
        object
    }
}
