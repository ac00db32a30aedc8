//! The events of Bitbucket Cloud.

use serde::Deserialize;

use super::{Changed, NOTHING_ASKED, hints, look, repository};
use crate::domain::comment::is_addressed;
use crate::domain::event::{CommentHint, Delivery, Happening, RepositoryHint};
use crate::domain::git::BranchName;
use crate::githost::payload::PayloadError;

pub(super) const PULL_REQUEST: &str = "pull request";
pub(super) const COMMENT: &str = "pullrequest:comment_created";

#[derive(Deserialize)]
struct Repository {
    uuid: String,
    full_name: String,
}

#[derive(Deserialize)]
pub(super) struct Push {
    push: Changes,
    repository: Repository,
}

#[derive(Deserialize)]
struct Changes {
    changes: Vec<Change>,
}

/// A ref before and after: a create has no `old`, a deletion no `new`.
#[derive(Deserialize)]
struct Change {
    old: Option<Ref>,
    new: Option<Ref>,
}

#[derive(Deserialize)]
struct Ref {
    /// `branch`, `tag` and others.
    r#type: String,
    name: String,
}

#[derive(Deserialize)]
pub(super) struct PullRequestEvent {
    pullrequest: PullRequest,
    repository: Repository,
}

#[derive(Deserialize)]
struct PullRequest {
    id: u64,
    source: Source,
}

#[derive(Deserialize)]
struct Source {
    branch: Branch,
    /// `null` once the fork is deleted.
    repository: Option<Origin>,
}

#[derive(Deserialize)]
struct Branch {
    name: String,
}

#[derive(Deserialize)]
struct Origin {
    uuid: String,
}

#[derive(Deserialize)]
pub(super) struct CommentEvent {
    comment: Comment,
    pullrequest: On,
    repository: Repository,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    content: Content,
}

#[derive(Deserialize)]
struct Content {
    raw: String,
}

#[derive(Deserialize)]
struct On {
    id: u64,
}

impl Repository {
    fn hint(&self, event: &'static str) -> Result<RepositoryHint, PayloadError> {
        repository(event, bare(&self.uuid), &self.full_name)
    }
}

/// The Cloud writes identifiers in braces.
fn bare(uuid: &str) -> &str {
    uuid.trim_start_matches('{').trim_end_matches('}')
}

/// `truncated` says that commits are left out, never refs.
pub(super) fn push(event: Push) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint("repo:push")?;
    let changed = event.push.changes.into_iter().map(|change| {
        let happening = match change.new {
            Some(_) => Happening::BranchPushed,
            None => Happening::BranchDeleted,
        };
        let branch = change.new.or(change.old).filter(|one| one.r#type == "branch")?;
        Some(Changed {
            branch: branch.name.parse(),
            happening,
        })
    });
    hints(&repository, changed.collect())
}

pub(super) fn pull_request(event: PullRequestEvent) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint(PULL_REQUEST)?;
    let source = event.pullrequest.source;
    if source.repository.is_none_or(|origin| origin.uuid != event.repository.uuid) {
        return Ok(look(repository, Ok(BranchName::of_pull_request(event.pullrequest.id))));
    }
    Ok(look(repository, source.branch.name.parse()))
}

/// The text only says whether a look is worth a request: what counts is what the host answers.
pub(super) fn comment(event: CommentEvent) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint(COMMENT)?;
    if !is_addressed(&event.comment.content.raw) {
        return Ok(Delivery::Ignored(NOTHING_ASKED));
    }
    Ok(Delivery::Comment(CommentHint {
        repository,
        pull_request: event.pullrequest.id,
        comment: event.comment.id,
    }))
}
