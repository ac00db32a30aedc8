//! A Data Center's words.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Found, Route};
use super::{Comment, PullRequest, Repository};
use crate::exchange::{Request, Response};

pub(super) fn problem(status: u16, message: &str) -> Response {
    Response::json(
        status,
        &json!({"errors": [{"context": null, "message": message, "exceptionName": null}]}),
    )
}

fn not_found() -> Found {
    Found::One(problem(404, "there is no such thing"))
}

pub(super) fn route(rest: &[&str], request: &Request) -> Route {
    match rest {
        [] => Route::Repository,
        ["default-branch"] => Route::DefaultBranch,
        ["branches"] => Route::Branches,
        ["commits"] if request.parameter("until").is_some() => Route::Branch,
        ["commits", _] => Route::Commit,
        ["commits", _, "builds"] => Route::Statuses,
        ["pull-requests"] => Route::PullRequests,
        ["pull-requests", _, "comments" | "activities", ..] => Route::Comments,
        ["archive"] => Route::Archive,
        ["compare", "changes"] => Route::Changes,
        ["webhooks", ..] => Route::Hooks,
        _ => Route::Unknown,
    }
}

impl Repository {
    pub(super) fn server(&mut self, route: Route, rest: &[&str], request: &Request, all: &BTreeMap<u64, Self>) -> Found {
        let parameter = |name: &str| request.parameter(name).unwrap_or_default();
        match (route, request.method.as_str(), rest) {
            (Route::Repository, ..) => Found::One(Response::json(200, &self.repository())),
            (Route::DefaultBranch, ..) => Found::One(Response::json(200, &reference(&self.default_branch))),
            (Route::Branches, ..) => {
                let filter = parameter("filterText").to_lowercase();
                let heads = self.heads();
                let wanted = heads.iter().filter(|(name, _)| name.to_lowercase().contains(&filter));
                Found::Items(wanted.map(|(name, head)| branch(name, head)).collect())
            }
            (Route::Branch, ..) => match self.heads().get(parameter("until").strip_prefix("refs/heads/").unwrap_or_default()) {
                Some(head) => Found::Items(vec![json!({"id": head})]),
                None => not_found(),
            },
            (Route::PullRequests, ..) => self.pulls(request, all),
            (Route::Archive, ..) => match self.archive(&parameter("at"), &parameter("prefix")) {
                Some(archive) => Found::One(archive),
                None => not_found(),
            },
            (Route::Commit, _, [_, commit]) if self.has(commit) => Found::One(Response::json(200, &json!({"id": commit}))),
            (Route::Changes, ..) => match self.changes(&parameter("from"), &parameter("to")) {
                Some(changes) => Found::Items(changes.into_iter().map(change).collect()),
                None => not_found(),
            },
            (Route::Statuses, method, [_, commit, _]) if self.has(commit) => self.build(method, commit, request),
            (Route::Comments, method, [_, id, kind, rest @ ..]) => {
                let id = id.parse().unwrap_or_default();
                match self.pull_requests.iter().any(|one| one.id == id) {
                    true if *kind == "activities" => self.activities(id),
                    true => self.server_comment(method, id, rest.first().and_then(|id| id.parse().ok()), request),
                    false => not_found(),
                }
            }
            (Route::Hooks, _, [_, id @ ..]) => self.server_hook(id.first().copied(), request).unwrap_or_else(not_found),
            (Route::Rights, ..) => self.users(&parameter("filter"), &parameter("permission.1")),
            _ => not_found(),
        }
    }

    fn repository(&self) -> Value {
        json!({"id": self.id, "slug": self.name.1, "name": self.name.1, "state": "AVAILABLE", "project": {"key": self.name.0}})
    }

    /// Those out of a branch, or all into this repository.
    fn pulls(&self, request: &Request, all: &BTreeMap<u64, Self>) -> Found {
        let at = request.parameter("at");
        let is_outgoing = request.parameter("direction").as_deref() == Some("OUTGOING");
        let wanted = self.pull_requests.iter().filter(|one| match is_outgoing {
            true => one.source_repository == Some(self.id) && at == Some(format!("refs/heads/{}", one.source_branch)),
            false => true,
        });
        Found::Items(wanted.map(|one| self.pull(one, all)).collect())
    }

    fn pull(&self, one: &PullRequest, all: &BTreeMap<u64, Self>) -> Value {
        let id = one.source_repository.unwrap_or_default();
        let other = json!({"id": id, "slug": "shop", "project": {"key": "~MIA"}});
        let source = all.get(&id).map_or(other, Self::repository);
        json!({
            "id": one.id, "title": format!("Merge {}", one.source_branch), "state": "OPEN", "open": true, "draft": false,
            "author": {"user": user(4, "mona", true), "role": "AUTHOR"},
            "fromRef": {"id": format!("refs/heads/{}", one.source_branch), "displayId": one.source_branch, "latestCommit": one.sha, "repository": source},
            "toRef": {"id": format!("refs/heads/{}", self.default_branch), "displayId": self.default_branch, "repository": self.repository()},
        })
    }

    fn build(&mut self, method: &str, commit: &str, request: &Request) -> Found {
        if method == "GET" {
            let key = request.parameter("key").unwrap_or_default();
            let found = self.statuses.iter().find(|one| one.commit == commit && one.key == key);
            return match found {
                Some(one) => Found::One(Response::json(
                    200,
                    &json!({"key": one.key, "name": one.name, "state": one.state, "url": one.url, "description": one.description}),
                )),
                None => not_found(),
            };
        }
        let [key, name, state, url, description] = ["key", "name", "state", "url", "description"].map(|field| request.text(field));
        if key.is_empty() || url.is_empty() || !matches!(&*state, "INPROGRESS" | "SUCCESSFUL" | "FAILED" | "CANCELLED" | "UNKNOWN") {
            return Found::One(problem(400, "the status is not valid"));
        }
        self.set_status(commit, [key, name, state, url, description]);
        Found::One(Response::new(204, "application/json", Vec::new()))
    }

    /// The newest first, with what is no comment among them.
    fn activities(&self, pull_request: u64) -> Found {
        let on = self.comments.iter().rev().filter(|one| one.pull_request == pull_request);
        let comments = on.map(|one| json!({"id": one.id + 1000, "action": "COMMENTED", "commentAction": "ADDED", "comment": comment(one)}));
        let opened = json!({"id": 1, "action": "OPENED", "user": user(4, "mona", true)});
        Found::Items(comments.chain([opened]).collect())
    }

    fn server_comment(&mut self, method: &str, pull_request: u64, id: Option<u64>, request: &Request) -> Found {
        let body = request.text("text");
        if (method, id) == ("POST", None) {
            let written = self.write_comment(pull_request, &body);
            return Found::One(Response::json(201, &comment(&written)));
        }
        let found = self
            .comments
            .iter_mut()
            .find(|one| one.pull_request == pull_request && Some(one.id) == id && !one.deleted);
        let Some(found) = found else { return not_found() };
        if method == "PUT" {
            if found.author.0 != super::ACCOUNT {
                return Found::One(problem(403, "it is somebody else's"));
            }
            if request.body["version"].as_u64() != Some(found.version) {
                return Found::One(problem(409, "it was changed meanwhile"));
            }
            found.body = body;
            found.version += 1;
        }
        Found::One(Response::json(200, &comment(found)))
    }

    /// The accounts whose names contain a text and that have a right.
    fn users(&self, filter: &str, right: &str) -> Found {
        let has = |told: &str| right == "REPO_READ" || told != "read";
        let wanted = self.rights.iter().filter(|(_, name, told)| name.contains(filter) && has(told));
        Found::Items(wanted.map(|(id, name, _)| user(*id, name, true)).collect())
    }
}

fn reference(name: &str) -> Value {
    json!({"id": format!("refs/heads/{name}"), "displayId": name, "type": "BRANCH"})
}

fn branch(name: &str, head: &str) -> Value {
    let mut branch = reference(name);
    branch["latestCommit"] = json!(head);
    branch
}

fn change((old, new): (String, String)) -> Value {
    let mut change = json!({"path": {"toString": new}, "type": if old == new { "MODIFY" } else { "MOVE" }});
    if old != new {
        change["srcPath"] = json!({"toString": old});
    }
    change
}

fn user(id: u64, name: &str, is_person: bool) -> Value {
    let kind = if is_person { "NORMAL" } else { "SERVICE" };
    json!({"id": id, "name": name, "slug": name, "displayName": "the same for all", "active": !name.starts_with("gone"), "type": kind})
}

fn comment(one: &Comment) -> Value {
    let created = 1_780_970_189_528_u64;
    json!({
        "id": one.id, "version": one.version, "text": one.body, "author": user(one.author.0, &one.author.1, one.is_person),
        "createdDate": created, "updatedDate": created + one.version * 60_000,
    })
}
