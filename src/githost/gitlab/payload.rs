//! GitLab's webhook events, reduced to the fields that say which branch to look at.

use http::HeaderMap;
use serde::Deserialize;

use crate::domain::comment::is_addressed;
use crate::domain::event::{CommentHint, Delivery, Happening, RepositoryHint};
use crate::domain::git::{BranchName, Revision};
use crate::githost::payload::{PayloadError, decode, event_name, hint};

const EVENT: &str = "x-gitlab-event";
/// The headers that may identify a delivery, the best first: the first two are of this delivery, the last is of the webhook.
const DELIVERIES: [&str; 3] = ["x-gitlab-event-uuid", "idempotency-key", "x-gitlab-webhook-uuid"];

/// The header with the identifier of a delivery.
pub(in crate::githost) fn delivery_header(headers: &HeaderMap) -> &'static str {
    let there = DELIVERIES.into_iter().find(|name| headers.contains_key(*name));
    there.unwrap_or(DELIVERIES[0])
}

pub(in crate::githost) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Delivery, PayloadError> {
    match event_name(headers, EVENT)? {
        "Push Hook" => push(&decode("Push Hook", headers, body)?),
        "Merge Request Hook" => merge_request(&decode("Merge Request Hook", headers, body)?),
        "Note Hook" => note(decode("Note Hook", headers, body)?),
        "Tag Push Hook" => Ok(Delivery::Ignored("a push to a tag")),
        _ => Ok(Delivery::Ignored("an event that says nothing about branches")),
    }
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: String,
}

/// A create and a deletion are pushes from and to a commit that is all zero.
#[derive(Deserialize)]
struct Push {
    r#ref: String,
    after: String,
    project_id: u64,
    project: Project,
}

#[derive(Deserialize)]
struct MergeRequestEvent {
    object_attributes: MergeRequest,
    project: Project,
}

#[derive(Deserialize)]
struct MergeRequest {
    /// The number that people use.
    iid: u64,
    source_branch: String,
    /// `null` once the fork is deleted.
    source_project_id: Option<u64>,
    target_project_id: u64,
}

#[derive(Deserialize)]
struct NoteEvent {
    project_id: u64,
    project: Project,
    object_attributes: Note,
    /// Only a note on a merge request has it.
    merge_request: Option<On>,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    #[serde(default)]
    note: String,
    noteable_type: String,
    /// Missing before GitLab 16.11, which does not tell of changed notes.
    action: Option<String>,
}

#[derive(Deserialize)]
struct On {
    iid: u64,
}

fn push(event: &Push) -> Result<Delivery, PayloadError> {
    let repository = event.project.hint("Push Hook", event.project_id)?;
    let Some(branch) = BranchName::from_full_ref(&event.r#ref) else {
        return Ok(Delivery::Ignored("a push to something that is no branch"));
    };
    let happening = match Revision::is_zero(&event.after) {
        true => Happening::BranchDeleted,
        false => Happening::BranchPushed,
    };
    Ok(hint(repository, branch, happening))
}

/// Whatever the action: a look says what became of it.
fn merge_request(event: &MergeRequestEvent) -> Result<Delivery, PayloadError> {
    let request = &event.object_attributes;
    let repository = event.project.hint("Merge Request Hook", request.target_project_id)?;
    if request.source_project_id != Some(request.target_project_id) {
        let branch = BranchName::of_pull_request(request.iid);
        return Ok(hint(repository, Ok(branch), Happening::PullRequestChanged));
    }
    Ok(hint(repository, request.source_branch.parse(), Happening::PullRequestChanged))
}

/// The text only says whether a look is worth a request: what counts is what the host answers.
fn note(event: NoteEvent) -> Result<Delivery, PayloadError> {
    let repository = event.project.hint("Note Hook", event.project_id)?;
    let note = event.object_attributes;
    let Some(on) = event.merge_request.filter(|_| note.noteable_type == "MergeRequest") else {
        return Ok(Delivery::Ignored("a comment on something that is no merge request"));
    };
    if note.action.as_deref().unwrap_or("create") != "create" {
        return Ok(Delivery::Ignored("a comment that was changed"));
    }
    if !is_addressed(&note.note) {
        return Ok(Delivery::Ignored("a comment that asks for nothing"));
    }
    Ok(Delivery::Comment(CommentHint {
        repository,
        pull_request: on.iid,
        comment: note.id,
    }))
}

impl Project {
    fn hint(&self, event: &'static str, id: u64) -> Result<RepositoryHint, PayloadError> {
        let refuse = |field| move |source| PayloadError::ReadField { event, field, source };
        Ok(RepositoryHint {
            id: Some(id.to_string().parse().map_err(refuse("project_id"))?),
            name: self.path_with_namespace.parse().map_err(refuse("project.path_with_namespace"))?,
        })
    }
}

#[cfg(test)]
mod tests;
