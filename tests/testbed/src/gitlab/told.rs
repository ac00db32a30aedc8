//! What is said of commits, merge requests and environments.

use serde_json::{Value, json};

use super::answer::Found;
use super::{ACCOUNT, FakeGitlab, Project, Route};
use crate::exchange::{Request, Response};

/// What was said in one project, the newest last.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    statuses: Vec<Status>,
    notes: Vec<Note>,
    environments: Vec<Environment>,
    deployments: Vec<Deployment>,
    last: u64,
}

/// A commit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The commit.
    pub commit: String,
    /// The branch.
    pub branch: String,
    /// What tells it from others.
    pub name: String,
    /// What it says, in GitLab's words.
    pub state: String,
    /// Where it leads.
    pub target: String,
    id: u64,
    description: String,
}

/// A note on a merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its number.
    pub id: u64,
    /// The number of the merge request.
    pub merge_request: u64,
    /// The number and the name of its author.
    pub author: (u64, String),
    /// Its text.
    pub body: String,
    /// When it was written, as `2026-01-01T00:00:00.123Z`.
    pub created: String,
    /// When it was last changed.
    pub updated: String,
    /// Whether GitLab wrote it itself.
    pub system: bool,
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `available` or `stopped`.
    pub state: String,
    /// Its tier.
    pub tier: String,
    /// Where it is.
    pub external_url: String,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its number.
    pub id: u64,
    /// The name of its environment.
    pub environment: String,
    /// The commit.
    pub sha: String,
    /// What became of it.
    pub status: String,
}

impl FakeGitlab {
    /// Somebody comments on a merge request, or changes a comment.
    pub fn put_note(&self, project: u64, note: Note) {
        self.change(project, |project| {
            project.told.notes.retain(|one| one.id != note.id);
            project.told.last = project.told.last.max(note.id);
            project.told.notes.push(note);
        });
    }

    /// Somebody sets a commit status, or a job of a pipeline gets one.
    pub fn put_status(&self, project: u64, commit: &str, name: &str, state: &str) {
        self.change(project, |project| {
            let status = Status {
                commit: commit.to_owned(),
                branch: "main".to_owned(),
                name: name.to_owned(),
                state: state.to_owned(),
                target: String::new(),
                id: project.told.next(),
                description: format!("{name} says so"),
            };
            project.told.statuses.push(status);
        });
    }

    /// Somebody makes an environment.
    pub fn put_environment(&self, project: u64, name: &str) {
        self.change(project, |project| {
            let id = project.told.next();
            project.told.environments.push(Environment {
                id,
                name: name.to_owned(),
                state: "available".to_owned(),
                tier: "other".to_owned(),
                external_url: String::new(),
            });
        });
    }

    /// All commit statuses, the newest last.
    pub fn statuses(&self, project: u64) -> Vec<Status> {
        self.look(project, |project| project.told.statuses.clone())
    }

    /// All notes.
    pub fn notes(&self, project: u64) -> Vec<Note> {
        self.look(project, |project| project.told.notes.clone())
    }

    /// All environments.
    pub fn environments(&self, project: u64) -> Vec<Environment> {
        self.look(project, |project| project.told.environments.clone())
    }

    /// All deployments.
    pub fn deployments(&self, project: u64) -> Vec<Deployment> {
        self.look(project, |project| project.told.deployments.clone())
    }
}

impl Note {
    /// A person's note, written now.
    pub fn new(id: u64, merge_request: u64, author: (u64, &str), body: &str) -> Self {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.123Z").to_string();
        Self {
            id,
            merge_request,
            author: (author.0, author.1.to_owned()),
            body: body.to_owned(),
            created: now.clone(),
            updated: now,
            system: false,
        }
    }

    fn object(&self) -> Value {
        json!({
            "id": self.id, "body": self.body, "author": {"id": self.author.0, "username": self.author.1, "state": "active"},
            "created_at": self.created, "updated_at": self.updated, "system": self.system, "noteable_type": "MergeRequest",
            "noteable_iid": self.merge_request, "internal": false,
        })
    }
}

impl Told {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

fn not_found(what: &str) -> Found {
    Found::One(Response::message(404, &format!("404 {what} Not Found")))
}

impl Project {
    pub(super) fn tell(&mut self, route: Route, rest: &[&str], request: &Request) -> Found {
        match (route, request.method.as_str(), rest) {
            (Route::Statuses, "GET", [_, _, commit, _]) => self.statuses_of(commit, request),
            (Route::Statuses, "POST", [_, commit]) => self.set_status(commit, request),
            (Route::Notes, method, [_, iid, _, note @ ..]) => {
                let iid = iid.parse().unwrap_or_default();
                match self.merge_requests.iter().any(|one| one.iid == iid) {
                    true => self.note(method, iid, note.first().and_then(|id| id.parse().ok()), request),
                    false => not_found("Merge Request"),
                }
            }
            (Route::Environments, method, [_, rest @ ..]) => self.environment(method, rest, request),
            (Route::Deployments, method, [_, rest @ ..]) => self.deployment(method, rest.first().and_then(|id| id.parse().ok()), request),
            _ => Found::One(Response::message(405, "405 Method Not Allowed")),
        }
    }

    /// The latest status of each name and branch, in the order of their numbers.
    fn statuses_of(&self, commit: &str, request: &Request) -> Found {
        if !self.has(commit) {
            return not_found("Commit");
        }
        let name = request.parameter("name");
        let own = || self.told.statuses.iter().filter(|one| one.commit == commit);
        let is_latest = |one: &&Status| !own().any(|other| other.name == one.name && other.branch == one.branch && other.id > one.id);
        let wanted = own()
            .filter(|one| name.as_ref().is_none_or(|name| one.name == *name))
            .filter(is_latest);
        Found::Items(wanted.map(Status::object).collect())
    }

    fn set_status(&mut self, commit: &str, request: &Request) -> Found {
        if !self.has(commit) {
            return not_found("Commit");
        }
        let (name, branch, state) = (request.text("name"), request.text("ref"), request.text("state"));
        let newest = self.told.statuses.iter().rev();
        let newest = newest
            .clone()
            .find(|one| one.commit == commit && one.name == name && one.branch == branch);
        if newest.is_some_and(|newest| newest.state == state) {
            let message =
                format!("Cannot transition status via :enqueue from :{state} (Reason(s): Status cannot transition via \"enqueue\")");
            return Found::One(Response::message(400, &message));
        }
        let status = Status {
            commit: commit.to_owned(),
            branch,
            name,
            state,
            target: request.text("target_url"),
            id: self.told.next(),
            description: request.text("description"),
        };
        let answer = Response::json(201, &status.object());
        self.told.statuses.push(status);
        Found::One(answer)
    }

    fn note(&mut self, method: &str, iid: u64, id: Option<u64>, request: &Request) -> Found {
        let body = request.text("body");
        match (method, id) {
            ("GET", None) => Found::Items(
                self.told
                    .notes
                    .iter()
                    .filter(|one| one.merge_request == iid)
                    .map(Note::object)
                    .collect(),
            ),
            ("POST", None) => {
                let note = Note::new(self.told.next(), iid, (ACCOUNT, "graftling"), &body);
                let answer = Response::json(201, &note.object());
                self.told.notes.push(note);
                Found::One(answer)
            }
            (_, id) => {
                let found = self
                    .told
                    .notes
                    .iter_mut()
                    .find(|one| Some(one.id) == id && one.merge_request == iid);
                let Some(note) = found else { return not_found("Note") };
                if method == "PUT" {
                    note.body = body;
                }
                Found::One(Response::json(200, &note.object()))
            }
        }
    }

    fn environment(&mut self, method: &str, rest: &[&str], request: &Request) -> Found {
        let name = request.parameter("name");
        let id = rest.first().and_then(|id| id.parse::<u64>().ok());
        let position = self.told.environments.iter().position(|one| Some(one.id) == id);
        match (method, rest, position) {
            // GitLab's own filter is exact; one that is not must do no harm.
            ("GET", [], _) => {
                let wanted = self
                    .told
                    .environments
                    .iter()
                    .filter(|one| name.as_ref().is_none_or(|name| one.name.starts_with(name.as_str())));
                Found::Items(wanted.map(Environment::object).collect())
            }
            ("POST", [], _) if self.told.environments.iter().any(|one| one.name == request.text("name")) => {
                Found::One(Response::json(400, &json!({"message": {"name": ["has already been taken"]}})))
            }
            ("POST", [], _) => {
                let environment = Environment {
                    id: self.told.next(),
                    name: request.text("name"),
                    state: "available".to_owned(),
                    tier: request.text("tier"),
                    external_url: request.text("external_url"),
                };
                let answer = Response::json(201, &environment.object());
                self.told.environments.push(environment);
                Found::One(answer)
            }
            (_, _, None) => not_found("Environment"),
            ("POST", [_, "stop"], Some(at)) => {
                self.told.environments[at].state = "stopped".to_owned();
                Found::One(Response::json(200, &self.told.environments[at].object()))
            }
            ("PUT", [_], Some(at)) => {
                self.told.environments[at].external_url = request.text("external_url");
                Found::One(Response::json(200, &self.told.environments[at].object()))
            }
            ("DELETE", [_], Some(at)) if self.told.environments[at].state == "stopped" => {
                let gone = self.told.environments.remove(at);
                self.told.deployments.retain(|one| one.environment != gone.name);
                Found::One(Response::new(204, "application/json", Vec::new()))
            }
            _ => Found::One(Response::message(403, "403 Forbidden")),
        }
    }

    fn deployment(&mut self, method: &str, id: Option<u64>, request: &Request) -> Found {
        let status = request.text("status");
        match (method, id) {
            ("GET", None) => {
                let name = request.parameter("environment");
                let own = self
                    .told
                    .deployments
                    .iter()
                    .filter(|one| name.as_ref().is_none_or(|name| one.environment == *name));
                Found::Items(own.rev().map(Deployment::object).collect())
            }
            ("POST", None) if !self.has(&request.text("sha")) => {
                Found::One(Response::json(400, &json!({"message": {"sha": ["The commit does not exist"]}})))
            }
            ("POST", None) if !self.heads().contains_key(&request.text("ref")) => Found::One(Response::json(
                400,
                &json!({"message": {"ref": ["The branch or tag does not exist"]}}),
            )),
            ("POST", None) if matches!(&*status, "running" | "success" | "failed" | "canceled") => {
                let deployment = Deployment {
                    id: self.told.next(),
                    environment: request.text("environment"),
                    sha: request.text("sha"),
                    status,
                };
                let answer = Response::json(201, &deployment.object());
                self.told.deployments.push(deployment);
                Found::One(answer)
            }
            ("PUT", Some(id)) => {
                let Some(found) = self.told.deployments.iter_mut().find(|one| one.id == id) else {
                    return not_found("Deployment");
                };
                if found.status == status || status == "running" {
                    return Found::One(Response::json(400, &json!({"message": {"status": ["cannot transition"]}})));
                }
                found.status = status;
                Found::One(Response::json(200, &found.object()))
            }
            _ => Found::One(Response::json(400, &json!({"error": "status does not have a valid value"}))),
        }
    }
}

impl Status {
    fn object(&self) -> Value {
        json!({"id": self.id, "sha": self.commit, "ref": self.branch, "status": self.state, "name": self.name, "description": self.description})
    }
}

impl Environment {
    fn object(&self) -> Value {
        let url = if self.external_url.is_empty() {
            Value::Null
        } else {
            json!(self.external_url)
        };
        json!({"id": self.id, "name": self.name, "slug": self.name, "state": self.state, "tier": self.tier, "external_url": url})
    }
}

impl Deployment {
    fn object(&self) -> Value {
        json!({"id": self.id, "iid": self.id, "sha": self.sha, "status": self.status, "environment": {"name": self.environment}, "deployable": null})
    }
}
