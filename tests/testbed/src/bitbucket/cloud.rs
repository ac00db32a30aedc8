//! The Cloud's words.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Found, Route};
use super::{Comment, PullRequest, Repository, Status};
use crate::exchange::{Request, Response};

pub(super) fn problem(status: u16, message: &str) -> Response {
    Response::json(status, &json!({"type": "error", "error": {"message": message}}))
}

fn not_found() -> Found {
    Found::One(problem(404, "there is no such thing"))
}

pub(super) fn route(rest: &[&str]) -> Route {
    match rest {
        [] => Route::Repository,
        ["refs", "branches"] => Route::Branches,
        ["refs", "branches", ..] => Route::Branch,
        ["pullrequests"] => Route::PullRequests,
        ["pullrequests", _, "commits"] => Route::Commits,
        ["pullrequests", _, "comments", ..] => Route::Comments,
        ["commit", _] => Route::Commit,
        ["commit", _, "statuses", ..] => Route::Statuses,
        ["diffstat", _] => Route::Changes,
        ["hooks", ..] => Route::Hooks,
        _ => Route::Unknown,
    }
}

pub(super) fn account(id: u64, is_person: bool) -> Value {
    let kind = if is_person { "user" } else { "app_user" };
    json!({"type": kind, "uuid": format!("{{10000000-0000-4000-8000-{id:012}}}"), "nickname": "the same for all", "display_name": "Mona"})
}

fn uuid(id: u64) -> String {
    format!("{{00000000-0000-4000-8000-{id:012}}}")
}

impl Repository {
    pub(super) fn cloud(&mut self, route: Route, rest: &[&str], request: &Request, all: &BTreeMap<u64, Self>) -> Found {
        match (route, request.method.as_str(), rest) {
            (Route::Repository, ..) => Found::One(Response::json(200, &self.object())),
            (Route::Branches, ..) => Found::Items(self.heads().iter().map(|(name, head)| branch(name, head)).collect()),
            (Route::Branch, _, [_, _, name @ ..]) => {
                let name = name.join("/");
                match self.heads().get(&name) {
                    Some(head) => Found::One(Response::json(200, &branch(&name, head))),
                    None => not_found(),
                }
            }
            (Route::PullRequests, ..) => self.listed(request, all),
            (Route::Commits, _, [_, id, _]) => match self.pull_requests.iter().find(|one| one.id.to_string() == **id) {
                Some(one) => Found::Items(vec![json!({"type": "commit", "hash": one.sha})]),
                None => not_found(),
            },
            (Route::Archive, _, [_, file]) => {
                let commit = file.trim_end_matches(".tar.gz");
                let archive = self.archive(commit, &format!("acme-shop-{}/", &commit[..commit.len().min(12)]));
                Found::One(archive.unwrap_or_else(|| Response::html(404)))
            }
            (Route::Commit, _, [_, commit]) if self.has(commit) => Found::One(Response::json(200, &json!({"hash": commit}))),
            (Route::Changes, _, [_, range]) => {
                let (source, target) = range.split_once("..").unwrap_or((range, ""));
                match self.changes(source, target) {
                    Some(changes) => Found::Items(changes.into_iter().map(change).collect()),
                    None => not_found(),
                }
            }
            (Route::Statuses, method, [_, commit, ..]) if self.has(commit) => self.status(method, commit, request),
            (Route::Comments, method, [_, id, _, rest @ ..]) => {
                let id = id.parse().unwrap_or_default();
                match self.pull_requests.iter().any(|one| one.id == id) {
                    true => self.cloud_comment(method, id, rest.first().and_then(|id| id.parse().ok()), request),
                    false => not_found(),
                }
            }
            (Route::Hooks, _, [_, id @ ..]) => self.cloud_hook(id.first().copied(), request).unwrap_or_else(not_found),
            (Route::Rights, ..) => Found::Items(self.rights.iter().map(right).collect()),
            _ => not_found(),
        }
    }

    fn object(&self) -> Value {
        let main = json!({"type": "branch", "name": self.default_branch});
        json!({
            "type": "repository", "uuid": uuid(self.id), "full_name": format!("{}/{}", self.name.0, self.name.1), "is_private": true,
            "mainbranch": if self.heads().is_empty() { Value::Null } else { main },
        })
    }

    /// The filter by branch; whatever else is asked for, the client has to look itself.
    fn listed(&self, request: &Request, all: &BTreeMap<u64, Self>) -> Found {
        let query = request.parameter("q");
        let wanted = self.pull_requests.iter().filter(|one| {
            let named = format!("source.branch.name=\"{}\"", one.source_branch.replace('"', "\\\""));
            query.as_ref().is_none_or(|query| query.contains(&named))
        });
        Found::Items(wanted.map(|one| self.pull_request(one, all)).collect())
    }

    fn pull_request(&self, one: &PullRequest, all: &BTreeMap<u64, Self>) -> Value {
        let source = one.source_repository.map(|id| {
            let name = all
                .get(&id)
                .map_or("mia/shop".to_owned(), |other| format!("{}/{}", other.name.0, other.name.1));
            json!({"type": "repository", "uuid": uuid(id), "full_name": name})
        });
        json!({
            "type": "pullrequest", "id": one.id, "title": format!("Merge {}", one.source_branch), "state": "OPEN", "draft": false,
            "author": account(4, true),
            "source": {"branch": {"name": one.source_branch}, "commit": {"hash": &one.sha[..12]}, "repository": source},
            "destination": {"branch": {"name": self.default_branch}, "commit": null, "repository": {"uuid": uuid(self.id)}},
        })
    }

    fn status(&mut self, method: &str, commit: &str, request: &Request) -> Found {
        if method == "GET" {
            return Found::Items(self.statuses.iter().filter(|one| one.commit == commit).map(status).collect());
        }
        let [key, name, state, url, description] = ["key", "name", "state", "url", "description"].map(|field| request.text(field));
        if key.is_empty()
            || key.chars().count() > 40
            || url.is_empty()
            || !matches!(&*state, "INPROGRESS" | "SUCCESSFUL" | "FAILED" | "STOPPED")
        {
            return Found::One(problem(400, "the status is not valid"));
        }
        let answer = Response::json(201, &json!({"type": "build", "key": key, "state": state}));
        self.set_status(commit, [key, name, state, url, description]);
        Found::One(answer)
    }

    fn cloud_comment(&mut self, method: &str, pull_request: u64, id: Option<u64>, request: &Request) -> Found {
        let body = request.body["content"]["raw"].as_str().unwrap_or_default().to_owned();
        let on = self.comments.iter_mut().filter(|one| one.pull_request == pull_request);
        match (method, id) {
            ("GET", None) => Found::Items(on.map(|one| comment(one)).collect()),
            ("POST", None) => {
                let written = self.write_comment(pull_request, &body);
                Found::One(Response::json(201, &comment(&written)))
            }
            (_, id) => {
                let mut on = on;
                let Some(found) = on.find(|one| Some(one.id) == id) else {
                    return not_found();
                };
                if method == "PUT" && found.author.0 != super::ACCOUNT {
                    return Found::One(problem(403, "it is somebody else's"));
                }
                if method == "PUT" {
                    found.body = body;
                    found.version += 1;
                }
                Found::One(Response::json(200, &comment(found)))
            }
        }
    }
}

fn branch(name: &str, head: &str) -> Value {
    json!({"type": "branch", "name": name, "target": {"type": "commit", "hash": head}})
}

fn change((old, new): (String, String)) -> Value {
    json!({"type": "diffstat", "status": if old == new { "modified" } else { "renamed" }, "old": {"path": old}, "new": {"path": new}})
}

fn right((id, _, right): &(u64, String, String)) -> Value {
    json!({"type": "repository_permission", "permission": right, "user": account(*id, true)})
}

fn status(one: &Status) -> Value {
    let second = one.number % 60;
    json!({"type": "build", "key": one.key, "name": one.name, "state": one.state, "url": one.url, "description": one.description,
           "updated_on": format!("2026-06-09T03:{:02}:{second:02}.000000+00:00", one.number / 60)})
}

/// The times of a new one are not quite the same.
fn comment(one: &Comment) -> Value {
    let updated = format!("2026-06-09T03:{:02}:00.106091+00:00", 40 + one.version);
    json!({
        "type": "pullrequest_comment", "id": one.id, "content": {"raw": one.body}, "user": account(one.author.0, one.is_person),
        "deleted": one.deleted, "pullrequest": {"id": one.pull_request}, "created_on": "2026-06-09T03:40:00.103951+00:00",
        "updated_on": updated,
    })
}
