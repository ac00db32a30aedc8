//! GitHub's webhook events, reduced to the fields that say which branch to look at.

mod comment;

use http::HeaderMap;
use serde::Deserialize;

use crate::domain::event::{Delivery, Happening};
use crate::domain::git::{BranchName, Revision};
use crate::githost::payload::{NamedReference, NamedRepository, PayloadError, decode, event_name, hint};

/// The header with GitHub's identifier of a delivery.
pub(in crate::githost) const DELIVERY: &str = "x-github-delivery";
const EVENT: &str = "x-github-event";

pub(in crate::githost) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Delivery, PayloadError> {
    match event_name(headers, EVENT)? {
        "ping" => Ok(Delivery::Ping),
        "push" => push(&decode("push", headers, body)?),
        "create" => decode::<NamedReference>("create", headers, body)?.read("create", Happening::BranchPushed),
        "delete" => decode::<NamedReference>("delete", headers, body)?.read("delete", Happening::BranchDeleted),
        "pull_request" => pull_request(decode("pull_request", headers, body)?),
        comment::EVENT => comment::read(decode(comment::EVENT, headers, body)?),
        _ => Ok(Delivery::Ignored("an event that says nothing about branches")),
    }
}

#[derive(Deserialize)]
struct Push {
    r#ref: String,
    after: String,
    #[serde(default)]
    deleted: bool,
    repository: NamedRepository,
}

#[derive(Deserialize)]
struct PullRequestEvent {
    pull_request: PullRequest,
    repository: NamedRepository,
}

#[derive(Deserialize)]
struct PullRequest {
    number: u64,
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    r#ref: String,
    /// `null` when the repository that the pull request came from was deleted.
    repo: Option<HeadRepository>,
}

#[derive(Deserialize)]
struct HeadRepository {
    id: u64,
}

fn push(event: &Push) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint("push")?;
    let Some(branch) = BranchName::from_full_ref(&event.r#ref) else {
        return Ok(Delivery::Ignored("a push to something that is no branch"));
    };
    let happening = if event.deleted || Revision::is_zero(&event.after) {
        Happening::BranchDeleted
    } else {
        Happening::BranchPushed
    };
    Ok(hint(repository, branch, happening))
}

fn pull_request(event: PullRequestEvent) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint("pull_request")?;
    let head = &event.pull_request.head;
    if head.repo.as_ref().is_none_or(|head| head.id != event.repository.id) {
        let branch = BranchName::of_pull_request(event.pull_request.number);
        return Ok(hint(repository, Ok(branch), Happening::PullRequestChanged));
    }
    Ok(hint(repository, head.r#ref.parse(), Happening::PullRequestChanged))
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
