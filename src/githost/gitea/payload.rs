//! The webhook events of Gitea and Forgejo, reduced to the fields that say which branch to look at.

use http::HeaderMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::domain::comment::is_addressed;
use crate::domain::event::{CommentHint, Delivery, Happening};
use crate::domain::git::{BranchName, Revision};
use crate::githost::payload::{NamedReference, NamedRepository, PayloadError, decode, event_name, hint};

/// The header with the identifier of a delivery. Forgejo sends it too; both also send those of GitHub and Gogs, which do not count.
pub(in crate::githost) const DELIVERY: &str = "x-gitea-delivery";
const EVENT: &str = "x-gitea-event";
/// Forgejo's own name for it, which counts where Gitea's is missing.
const FORGEJO_EVENT: &str = "x-forgejo-event";

pub(in crate::githost) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Delivery, PayloadError> {
    let header = match headers.contains_key(EVENT) || !headers.contains_key(FORGEJO_EVENT) {
        true => EVENT,
        false => FORGEJO_EVENT,
    };
    match event_name(headers, header)? {
        "push" => push(&decode("push", headers, body)?),
        "create" => decode::<NamedReference>("create", headers, body)?.read("create", Happening::BranchPushed),
        "delete" => decode::<NamedReference>("delete", headers, body)?.read("delete", Happening::BranchDeleted),
        // Which of them a version sends, and for what, has changed; the body is the same.
        "pull_request" | "pull_request_sync" | "pull_request_label" => pull_request(decode("pull_request", headers, body)?),
        "issue_comment" | "pull_request_comment" => comment(decode("issue_comment", headers, body)?),
        _ => Ok(Delivery::Ignored("an event that says nothing about branches")),
    }
}

/// Nothing in it tells a deletion but the commit afterwards, which is all zero.
#[derive(Deserialize)]
struct Push {
    r#ref: String,
    after: String,
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
    /// `refs/pull/N/head` once the branch is deleted.
    r#ref: String,
    /// `null` when the repository that the pull request came from was deleted.
    repo: Option<HeadRepository>,
}

#[derive(Deserialize)]
struct HeadRepository {
    id: u64,
}

#[derive(Deserialize)]
struct IssueComment {
    action: String,
    issue: Issue,
    comment: Comment,
    repository: NamedRepository,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    /// Only a pull request has it.
    pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: String,
}

fn push(event: &Push) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint("push")?;
    let Some(branch) = BranchName::from_full_ref(&event.r#ref) else {
        return Ok(Delivery::Ignored("a push to something that is no branch"));
    };
    let happening = match Revision::is_zero(&event.after) {
        true => Happening::BranchDeleted,
        false => Happening::BranchPushed,
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
    if head.r#ref.starts_with("refs/pull/") {
        return Ok(Delivery::Ignored("a pull request whose branch is gone"));
    }
    Ok(hint(repository, head.r#ref.parse(), Happening::PullRequestChanged))
}

/// The text only says whether a look is worth a request: what counts is what the host answers.
fn comment(event: IssueComment) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint("issue_comment")?;
    if event.action != "created" {
        return Ok(Delivery::Ignored("a comment that was changed or removed"));
    }
    if event.issue.pull_request.is_none() {
        return Ok(Delivery::Ignored("a comment on something that is no pull request"));
    }
    if !is_addressed(&event.comment.body) {
        return Ok(Delivery::Ignored("a comment that asks for nothing"));
    }
    Ok(Delivery::Comment(CommentHint {
        repository,
        pull_request: event.issue.number,
        comment: event.comment.id,
    }))
}

#[cfg(test)]
mod tests;
