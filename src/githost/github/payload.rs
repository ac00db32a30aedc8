//! GitHub's webhook events, reduced to the fields that say which branch to look at.

mod comment;

use http::HeaderMap;
use serde::Deserialize;

use crate::domain::event::{BranchHint, Delivery, Happening, RepositoryHint};
use crate::domain::git::{BranchName, Revision};
use crate::domain::name::NameError;
use crate::githost::payload::{PayloadError, decode, event_name};

/// The header with GitHub's identifier of a delivery.
pub(in crate::githost) const DELIVERY: &str = "x-github-delivery";
const EVENT: &str = "x-github-event";

pub(in crate::githost) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Delivery, PayloadError> {
    match event_name(headers, EVENT)? {
        "ping" => Ok(Delivery::Ping),
        "push" => push(&decode("push", headers, body)?),
        "create" => reference("create", Happening::BranchPushed, &decode("create", headers, body)?),
        "delete" => reference("delete", Happening::BranchDeleted, &decode("delete", headers, body)?),
        "pull_request" => pull_request(decode("pull_request", headers, body)?),
        comment::EVENT => comment::read(decode(comment::EVENT, headers, body)?),
        _ => Ok(Delivery::Ignored("an event that says nothing about branches")),
    }
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
}

#[derive(Deserialize)]
struct Push {
    r#ref: String,
    after: String,
    #[serde(default)]
    deleted: bool,
    repository: Repository,
}

/// The payload of `create` and `delete`, whose ref is a short name.
#[derive(Deserialize)]
struct Reference {
    r#ref: String,
    ref_type: String,
    repository: Repository,
}

#[derive(Deserialize)]
struct PullRequestEvent {
    pull_request: PullRequest,
    repository: Repository,
}

#[derive(Deserialize)]
struct PullRequest {
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

fn reference(event: &'static str, happening: Happening, payload: &Reference) -> Result<Delivery, PayloadError> {
    let repository = payload.repository.hint(event)?;
    if payload.ref_type != "branch" {
        return Ok(Delivery::Ignored("a ref that is no branch"));
    }
    Ok(hint(repository, payload.r#ref.parse(), happening))
}

fn pull_request(event: PullRequestEvent) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint("pull_request")?;
    let head = event.pull_request.head;
    if head.repo.is_none_or(|head| head.id != event.repository.id) {
        return Ok(Delivery::Ignored("a pull request from a fork"));
    }
    Ok(hint(repository, head.r#ref.parse(), Happening::PullRequestChanged))
}

fn hint(repository: RepositoryHint, branch: Result<BranchName, NameError>, happening: Happening) -> Delivery {
    match branch {
        Ok(branch) => Delivery::Hints(vec![BranchHint {
            repository,
            branch,
            happening,
        }]),
        Err(_) => Delivery::Ignored("a branch whose name is not supported"),
    }
}

impl Repository {
    fn hint(&self, event: &'static str) -> Result<RepositoryHint, PayloadError> {
        let refuse = |field| move |source| PayloadError::ReadField { event, field, source };
        Ok(RepositoryHint {
            id: Some(self.id.to_string().parse().map_err(refuse("repository.id"))?),
            name: self.full_name.parse().map_err(refuse("repository.full_name"))?,
        })
    }
}

#[cfg(test)]
mod tests;
