//! The events of Bitbucket Data Center.

use serde::Deserialize;

use super::{Changed, NOTHING_ASKED, hints, look, repository};
use crate::domain::comment::is_addressed;
use crate::domain::event::{CommentHint, Delivery, Happening, RepositoryHint};
use crate::domain::git::BranchName;
use crate::githost::payload::PayloadError;

pub(super) const PULL_REQUEST: &str = "pull request";
pub(super) const COMMENT: &str = "pr:comment:added";

#[derive(Deserialize)]
struct Repository {
    id: u64,
    slug: String,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    key: String,
}

#[derive(Deserialize)]
pub(super) struct Push {
    changes: Vec<Change>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Change {
    /// The full ref.
    #[serde(rename = "refId")]
    full_ref: String,
    /// `ADD`, `UPDATE` or `DELETE`.
    r#type: String,
}

#[derive(Deserialize)]
pub(super) struct PullRequestEvent {
    #[serde(rename = "pullRequest")]
    pull_request: PullRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    id: u64,
    from_ref: End,
    to_ref: End,
}

#[derive(Deserialize)]
struct End {
    /// The full ref.
    id: String,
    repository: Repository,
}

#[derive(Deserialize)]
pub(super) struct CommentEvent {
    #[serde(rename = "pullRequest")]
    pull_request: PullRequest,
    comment: Comment,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    text: String,
}

impl Repository {
    fn hint(&self, event: &'static str) -> Result<RepositoryHint, PayloadError> {
        repository(event, &self.id.to_string(), &format!("{}/{}", self.project.key, self.slug))
    }
}

pub(super) fn push(event: Push) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint("repo:refs_changed")?;
    let changed = event.changes.into_iter().map(|change| {
        let happening = match change.r#type.as_str() {
            "DELETE" => Happening::BranchDeleted,
            _ => Happening::BranchPushed,
        };
        let branch = BranchName::from_full_ref(&change.full_ref)?;
        Some(Changed { branch, happening })
    });
    hints(&repository, changed.collect())
}

/// Whichever event: a look says what became of it.
pub(super) fn pull_request(event: PullRequestEvent) -> Result<Delivery, PayloadError> {
    let number = event.pull_request.id;
    let (from, to) = (event.pull_request.from_ref, event.pull_request.to_ref);
    let repository = to.repository.hint(PULL_REQUEST)?;
    if from.repository.id != to.repository.id {
        return Ok(look(repository, Ok(BranchName::of_pull_request(number))));
    }
    Ok(match BranchName::from_full_ref(&from.id) {
        Some(branch) => look(repository, branch),
        None => Delivery::Ignored("a pull request from something that is no branch"),
    })
}

/// The text only says whether a look is worth a request: what counts is what the host answers.
pub(super) fn comment(event: CommentEvent) -> Result<Delivery, PayloadError> {
    let repository = event.pull_request.to_ref.repository.hint(COMMENT)?;
    if !is_addressed(&event.comment.text) {
        return Ok(Delivery::Ignored(NOTHING_ASKED));
    }
    Ok(Delivery::Comment(CommentHint {
        repository,
        pull_request: event.pull_request.id,
        comment: event.comment.id,
    }))
}
