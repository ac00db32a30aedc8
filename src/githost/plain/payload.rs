//! The body that our post-receive hook sends: the refs of one push.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::domain::event::{BranchHint, Delivery, Happening, RepositoryHint};
use crate::domain::git::{BranchName, RepositoryName, Revision};
use crate::domain::name::NameError;
use crate::githost::payload::{PayloadError, decode, event_name};

/// The header with the random identifier of a delivery.
pub const DELIVERY: &str = "x-graftling-delivery";
/// The header that names the event: `push` or `ping`.
pub const EVENT: &str = "x-graftling-event";
/// The version of the body's format.
pub const VERSION: u64 = 1;
/// How many refs one delivery may speak of. A larger push is found by the sweep.
pub const MAX_UPDATES: usize = 1000;

/// One push, as the hook sends it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Push {
    /// Always [`VERSION`] when we send it.
    pub(super) version: u64,
    /// The repository as Projects name it.
    pub(super) repository: String,
    /// Every ref of the push, at most [`MAX_UPDATES`].
    pub(super) updates: Vec<Update>,
}

/// One updated ref: a line of what Git writes to a post-receive hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Update {
    /// The full ref.
    pub(super) r#ref: String,
    /// The commit before the push, all zero for a new ref.
    pub(super) before: String,
    /// The commit after the push, all zero for a deleted ref.
    pub(super) after: String,
}

pub(in crate::githost) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Delivery, PayloadError> {
    match event_name(headers, EVENT)? {
        "ping" => Ok(Delivery::Ping),
        "push" => push(&decode("push", headers, body)?),
        _ => Ok(Delivery::Ignored("an event that says nothing about branches")),
    }
}

fn push(event: &Push) -> Result<Delivery, PayloadError> {
    if event.version != VERSION {
        return Err(PayloadError::ReadVersion {
            version: event.version,
            supported: VERSION,
        });
    }
    if event.updates.len() > MAX_UPDATES {
        return Err(PayloadError::CountUpdates {
            count: event.updates.len(),
            limit: MAX_UPDATES,
        });
    }
    let name = event.repository.parse().map_err(refuse("repository"))?;
    let hints = event
        .updates
        .iter()
        .filter_map(|update| hint(&name, update).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    Ok(if hints.is_empty() {
        Delivery::Ignored("a push to no branch whose name is supported")
    } else {
        Delivery::Hints(hints)
    })
}

fn hint(repository: &RepositoryName, update: &Update) -> Result<Option<BranchHint>, PayloadError> {
    check_commit(&update.before).map_err(refuse("updates.before"))?;
    check_commit(&update.after).map_err(refuse("updates.after"))?;
    let Some(Ok(branch)) = BranchName::from_full_ref(&update.r#ref) else {
        return Ok(None);
    };
    let happening = if Revision::is_zero(&update.after) {
        Happening::BranchDeleted
    } else {
        Happening::BranchPushed
    };
    Ok(Some(BranchHint {
        repository: RepositoryHint {
            id: None,
            name: repository.clone(),
        },
        branch,
        happening,
    }))
}

fn check_commit(text: &str) -> Result<(), NameError> {
    if Revision::is_zero(text) {
        return Ok(());
    }
    text.parse::<Revision>().map(drop)
}

fn refuse(field: &'static str) -> impl FnOnce(NameError) -> PayloadError {
    move |source| PayloadError::ReadField {
        event: "push",
        field,
        source,
    }
}

#[cfg(test)]
mod tests;
