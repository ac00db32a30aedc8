//! The event of a comment on an issue or a pull request.

use serde::Deserialize;

use super::Repository;
use crate::domain::comment::is_addressed;
use crate::domain::event::{CommentHint, Delivery};
use crate::githost::payload::PayloadError;

/// The event's name.
pub(super) const EVENT: &str = "issue_comment";

#[derive(Deserialize)]
pub(super) struct IssueComment {
    action: String,
    issue: Issue,
    comment: Comment,
    repository: Repository,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    /// Only a pull request has it.
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
}

/// The text only says whether a look is worth a request: what counts is what the host answers.
pub(super) fn read(event: IssueComment) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint(EVENT)?;
    if event.action != "created" {
        return Ok(Delivery::Ignored("a comment that was changed or removed"));
    }
    if event.issue.pull_request.is_none() {
        return Ok(Delivery::Ignored("a comment on something that is no pull request"));
    }
    if !event.comment.body.as_deref().is_some_and(is_addressed) {
        return Ok(Delivery::Ignored("a comment that asks for nothing"));
    }
    Ok(Delivery::Comment(CommentHint {
        repository,
        pull_request: event.issue.number,
        comment: event.comment.id,
    }))
}
