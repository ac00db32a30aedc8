//! What came of carrying out a plan, and what it means for the inventory.

use super::inventory::{Inventory, Stage};
use super::manifest::ObjectKey;
use super::observed::LiveObject;

/// What came of one write.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The object was applied.
    Applied {
        /// The stage that applied it.
        stage: Stage,
        /// The digest of the manifest.
        digest: String,
        /// The object as the server returned it.
        live: Box<LiveObject>,
    },
    /// The object had to be new, and is not; or it had to be as it was seen, and has changed.
    Exists {
        /// What is there.
        live: Box<LiveObject>,
    },
    /// The object with the expected UID is no longer there.
    Vanished {
        /// Which object.
        key: ObjectKey,
    },
    /// The server accepted the deletion; the object may linger.
    Deleting {
        /// Which object.
        key: ObjectKey,
    },
    /// The write failed.
    Failed(Failure),
}

/// A write that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which object.
    pub key: ObjectKey,
    /// What decides about a retry.
    pub class: FailureClass,
    /// What the server said, in words fit for a status.
    pub message: String,
}

/// What decides about a retry of a failed write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The server could not be reached, is overloaded or failed: try again soon.
    Transient,
    /// The namespace is ending: wait for it.
    NamespaceEnding,
    /// The server refuses the object as it is: only a change helps, but a quota may be raised or a webhook return.
    Rejected,
    /// We lack a right.
    Forbidden,
    /// Somebody else applies the same fields on purpose.
    Conflict,
    /// The server knows no such kind.
    UnknownKind,
    /// Somebody else created an object of that name.
    NotOurs,
}

/// Takes what came of writes into the inventory.
pub fn absorb(inventory: &mut Inventory, outcomes: &[Outcome]) {
    for outcome in outcomes {
        match outcome {
            Outcome::Applied { stage, digest, live } => inventory.record_applied(*stage, digest, live),
            Outcome::Vanished { key } => inventory.void_uid(key),
            Outcome::Deleting { key } => inventory.mark_asked(key),
            Outcome::Exists { .. } | Outcome::Failed(_) => {}
        }
    }
}

/// The failures among `outcomes`.
pub fn failures(outcomes: &[Outcome]) -> impl Iterator<Item = &Failure> {
    outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Failed(failure) => Some(failure),
        _ => None,
    })
}
