//! The webhooks of a repository.

use serde_json::{Value, json};

use super::answer::Found;
use super::{FakeBitbucket, Repository};
use crate::exchange::{Request, Response};

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its number; the Cloud shows it as a `uuid`.
    pub id: u64,
    /// Where it delivers.
    pub url: String,
    /// What it signs with.
    pub secret: String,
    /// Whether it delivers.
    pub active: bool,
    /// What it tells of, by Bitbucket's names.
    pub events: Vec<String>,
}

impl FakeBitbucket {
    /// Somebody makes a webhook.
    pub fn put_hook(&self, repository: u64, hook: Hook) {
        self.change(repository, |repository| repository.hooks.push(hook));
    }

    /// All webhooks.
    pub fn hooks(&self, repository: u64) -> Vec<Hook> {
        let state = self.state();
        state.repositories.get(&repository).map(|one| one.hooks.clone()).unwrap_or_default()
    }

    /// What the Cloud tells of the token with each answer.
    pub fn set_scopes(&self, scopes: &str) {
        self.state().scopes = Some(scopes.to_owned());
    }

    /// A Data Center does not know who asks.
    pub fn forget_account(&self) {
        self.state().is_anonymous = true;
    }
}

impl Repository {
    /// `None` where there is no such webhook.
    pub(super) fn cloud_hook(&mut self, id: Option<&str>, request: &Request) -> Option<Found> {
        let shown = |hook: &Hook| {
            json!({
                "type": "webhook_subscription", "uuid": uuid(hook.id), "url": hook.url, "description": "a webhook",
                "active": hook.active, "events": hook.events, "secret_set": !hook.secret.is_empty(),
            })
        };
        let secret = request.text("secret");
        let named = !request.text("description").is_empty();
        self.hook(
            |hook| id == Some(uuid(hook.id).as_str()),
            id.is_some(),
            request,
            (secret, named),
            shown,
        )
    }

    /// `None` where there is no such webhook.
    pub(super) fn server_hook(&mut self, id: Option<&str>, request: &Request) -> Option<Found> {
        let shown = |hook: &Hook| {
            json!({
                "id": hook.id, "name": "a webhook", "url": hook.url, "active": hook.active, "events": hook.events,
                "configuration": {"secret": hook.secret}, "sslVerificationRequired": true,
            })
        };
        let secret = request.body["configuration"]["secret"].as_str().unwrap_or_default().to_owned();
        let named = !request.text("name").is_empty();
        self.hook(
            |hook| id == Some(hook.id.to_string().as_str()),
            id.is_some(),
            request,
            (secret, named),
            shown,
        )
    }

    fn hook(
        &mut self,
        is_asked: impl Fn(&Hook) -> bool,
        is_one: bool,
        request: &Request,
        (secret, is_named): (String, bool),
        shown: impl Fn(&Hook) -> Value,
    ) -> Option<Found> {
        let last = self.hooks.iter().map(|hook| hook.id).max().unwrap_or_default();
        let id = match (request.method.as_str(), is_one) {
            ("GET", false) => return Some(Found::Items(self.hooks.iter().map(shown).collect())),
            ("POST", false) => last + 1,
            ("PUT", true) => self.hooks.iter().find(|hook| is_asked(hook))?.id,
            _ => return None,
        };
        let told = request.body["events"].as_array().cloned().unwrap_or_default();
        let hook = Hook {
            id,
            url: request.text("url"),
            secret,
            active: request.body["active"] == true,
            events: told.iter().filter_map(|event| event.as_str().map(str::to_owned)).collect(),
        };
        if !is_named || hook.url.is_empty() || hook.events.is_empty() {
            return Some(Found::One(Response::json(400, &json!({"error": {}, "errors": []}))));
        }
        let answer = Response::json(if is_one { 200 } else { 201 }, &shown(&hook));
        self.hooks.retain(|one| one.id != id);
        self.hooks.push(hook);
        Some(Found::One(answer))
    }
}

fn uuid(id: u64) -> String {
    format!("{{20000000-0000-4000-8000-{id:012}}}")
}
