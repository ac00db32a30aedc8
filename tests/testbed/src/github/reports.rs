//! What is written about environments: commit statuses, comments, deployments.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::http::{Request, Response, document, message};
use super::{FakeGithub, IssueComment, Repository, State};

/// A deployment as it was told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Its number.
    pub id: u64,
    /// The body that it was made by.
    pub request: Value,
    /// What was said of it since, the oldest first.
    pub states: Vec<Value>,
}

/// What the stand-in was told.
#[derive(Debug, Default)]
pub(super) struct Reports {
    login: Option<String>,
    is_app: bool,
    last: u64,
    statuses: Vec<(String, Value)>,
    deployments: BTreeMap<u64, Deployment>,
}

impl FakeGithub {
    /// Every token is this person's from now on.
    pub fn log_in(&self, login: &str) {
        self.state().reports.login = Some(login.to_owned());
    }

    /// Every token is this app's installation's from now on: it has no user.
    pub fn log_in_app(&self, login: &str) {
        self.log_in(login);
        self.state().reports.is_app = true;
    }

    /// Every commit status that was set, with its commit, the oldest first.
    pub fn statuses_set(&self) -> Vec<(String, Value)> {
        self.state().reports.statuses.clone()
    }

    /// Every deployment, the oldest first.
    pub fn deployments(&self) -> Vec<Deployment> {
        self.state().reports.deployments.values().cloned().collect()
    }

    /// Somebody deletes a deployment.
    pub fn remove_deployment(&self, id: u64) {
        self.state().reports.deployments.remove(&id);
    }

    /// The comments on a pull request, the oldest first.
    pub fn comments_on(&self, repository: u64, issue: u64) -> Vec<IssueComment> {
        self.state().comments.on(repository, issue)
    }

    /// Somebody deletes a comment.
    pub fn remove_comment(&self, repository: u64, id: u64) {
        self.state().comments.remove(repository, id);
    }
}

/// Whose token it is.
pub(super) fn account(state: &State, segments: &[&str]) -> Option<Response> {
    let login = state.reports.login.as_ref()?;
    match segments {
        ["api", "v3", "user"] if state.reports.is_app => Some(message(403, "Resource not accessible by integration")),
        ["api", "v3", "user"] => Some(document(200, &json!({ "login": login, "id": 1 }))),
        ["api", "v3", "graphql"] => Some(document(200, &json!({ "data": { "viewer": { "login": login } } }))),
        _ => None,
    }
}

/// Whether a path is of something that is written here.
pub(super) fn is_ours(rest: &[&str]) -> bool {
    matches!(
        rest,
        ["statuses", _] | ["issues", _, "comments"] | ["deployments"] | ["deployments", _, "statuses"]
    )
}

pub(super) fn answer(state: &mut State, repository: &Repository, rest: &[&str], request: &Request) -> Response {
    let (id, body) = (repository.id, request.body.clone());
    match (request.method.as_str(), rest) {
        ("POST", ["statuses", sha]) if !repository.has(sha) => message(422, &format!("No commit found for SHA: {sha}")),
        ("POST", ["statuses", sha]) => {
            state.reports.statuses.push(((*sha).to_owned(), body.clone()));
            document(201, &body)
        }
        ("GET", ["issues", issue, "comments"]) => {
            let size = request.number("per_page", 30).min(state.max_page_size.unwrap_or(100));
            let comments = state.comments.on(id, issue.parse().unwrap_or_default());
            let skipped = (request.number("page", 1).max(1) - 1) * size;
            let is_more = comments.len() > skipped + size;
            let page = comments.into_iter().skip(skipped).take(size);
            let page: Vec<Value> = page
                .map(|comment| json!({ "id": comment.id, "body": comment.body, "user": { "login": comment.author } }))
                .collect();
            let response = document(200, &Value::from(page));
            if is_more {
                response.with_header("Link", "<http://127.0.0.1/next>; rel=\"next\"".to_owned())
            } else {
                response
            }
        }
        ("POST", ["issues", issue, "comments"]) => {
            state.reports.last += 1;
            let author = state.reports.login.clone().unwrap_or_default();
            let number = 9000 + state.reports.last;
            let text = body["body"].as_str().unwrap_or_default();
            let comment = IssueComment::new(number, issue.parse().unwrap_or_default(), &author, text);
            state.comments.put(id, comment);
            document(201, &json!({ "id": number }))
        }
        ("PATCH", ["issues", "comments", comment]) => {
            let text = body["body"].as_str().unwrap_or_default();
            match state.comments.edit(id, comment.parse().unwrap_or_default(), text) {
                true => document(200, &body),
                false => message(404, "Not Found"),
            }
        }
        (_, ["deployments", ..]) => deployments(state, repository, rest, request, body),
        _ => message(404, "Not Found"),
    }
}

fn deployments(state: &mut State, repository: &Repository, rest: &[&str], request: &Request, body: Value) -> Response {
    let all = &mut state.reports.deployments;
    match (request.method.as_str(), rest) {
        ("GET", ["deployments"]) => {
            let (sha, environment) = (request.parameter("sha"), request.parameter("environment"));
            let is_meant = |one: &&Deployment| {
                one.request["ref"].as_str() == sha.as_deref() && one.request["environment"].as_str() == environment.as_deref()
            };
            let found: Vec<Value> = all.values().rev().filter(is_meant).map(|one| json!({ "id": one.id })).collect();
            document(200, &Value::from(found))
        }
        ("POST", ["deployments"]) if !repository.has(body["ref"].as_str().unwrap_or_default()) => message(422, "No ref found for: it"),
        ("POST", ["deployments"]) => {
            let id = all.len() as u64 + 1;
            all.insert(
                id,
                Deployment {
                    id,
                    request: body,
                    states: Vec::new(),
                },
            );
            document(201, &json!({ "id": id }))
        }
        ("POST", ["deployments", id, "statuses"]) => match id.parse().ok().and_then(|id: u64| all.get_mut(&id)) {
            Some(deployment) => {
                deployment.states.push(body.clone());
                document(201, &body)
            }
            None => message(404, "Not Found"),
        },
        _ => message(404, "Not Found"),
    }
}
