//! What to do next for an environment, as data that can be printed and carried out without a further choice.

pub mod deploy;
pub mod drift;
pub mod records;
pub mod rest;
pub mod teardown;
mod text;

use super::manifest::{Manifest, ObjectKey};
use super::observed::{Deletion, LiveObject};
use std::collections::BTreeMap;

use super::inventory::{Inventory, Stage};

/// The live objects that an environment's keys were found under.
pub type Observed = BTreeMap<ObjectKey, LiveObject>;

/// Steps in their order, and the inventory that has to be recorded before the first of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The inventory as it must be stored before anything is carried out.
    pub write_ahead: Inventory,
    /// The steps. Within one, everything is independent and runs concurrently; a failure ends the plan after its step.
    pub steps: Vec<Step>,
    /// What the environment waits for once the steps are done.
    pub waiting: Vec<Waiting>,
    /// What somebody has to settle first.
    pub obstacles: Vec<Obstacle>,
    /// How many objects of the inventory are no longer wanted: they go once everything else is ready.
    pub stale: usize,
    /// How many shared objects keep their old content until all of their owners want the new one.
    pub withheld: usize,
    /// Objects of the inventory that are no longer wanted and stay, because somebody asked to keep them or something that is kept.
    pub retained: Vec<ObjectKey>,
}

/// Things to do at the same time.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Server-side applies.
    Apply(Vec<Apply>),
    /// Deletions.
    Delete(Vec<Delete>),
}

/// One server-side apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Apply {
    /// What to apply.
    pub manifest: Manifest,
    /// The stage it belongs to.
    pub stage: Stage,
    /// What keeps the apply from touching another object than the one meant.
    pub fence: Fence,
    /// Whether fields that others took over by an update are taken back.
    pub force: bool,
    /// Why it is applied.
    pub because: Because,
}

/// What keeps a write from touching another object than the one meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fence {
    /// The object must not exist: the server refuses the apply if it does.
    MustNotExist,
    /// The object must be this one: the server refuses the apply if it is gone or another.
    Uid(String),
    /// The object must be this one, and as it was seen: its owners may have changed their minds, or have become others.
    Unchanged {
        /// Its UID.
        uid: String,
        /// The resourceVersion that it was seen under.
        version: u64,
    },
}

/// Why an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It is not there.
    Missing,
    /// The manifest differs from what was last applied.
    Changed,
    /// Somebody changed one of our fields.
    Drifted,
    /// It was written, but a crash lost the answer.
    Unrecorded,
    /// Other environments own it already, and this one becomes an owner, too.
    Shared,
    /// All of its owners want its content to become another.
    Agreed,
    /// This owner wants its content to become another, and other owners do not: only the wish is recorded on it, and it stays as it is.
    Wished,
    /// The environment goes to rest, and so the object runs nothing.
    Resting,
    /// The environment comes back from its rest.
    Returned,
}

/// One deletion, with the UID as precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// Which object.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: String,
    /// The stage that applied it.
    pub stage: Stage,
    /// How it goes.
    pub removal: Removal,
}

/// How an object goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is deleted.
    Delete,
    /// It is deleted if it is still as it was seen: another environment may have become an owner of a shared object.
    DeleteUnchanged {
        /// The resourceVersion that it was seen under.
        version: u64,
    },
    /// It stays for its other owners, and this environment is none any more: the same precondition, as the others may be leaving.
    Release {
        /// The environment.
        environment: String,
        /// The resourceVersion that it was seen under.
        version: u64,
        /// How many other owners it has.
        others: usize,
    },
}

/// Something that is not as it should be yet, without anybody's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The object.
    pub key: ObjectKey,
    /// What it waits for.
    pub reason: String,
    /// Set if the object is being deleted.
    pub deletion: Option<Deletion>,
    /// Whether it has failed: waiting alone may not help.
    pub failed: bool,
}

/// Something that only a person can settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The object in the way.
    pub key: ObjectKey,
    /// Why, worded to follow the object.
    pub reason: String,
    /// The stage that it keeps from going on.
    pub stage: Stage,
}

impl Plan {
    /// Whether there is nothing to carry out.
    pub fn is_quiet(&self) -> bool {
        self.steps.is_empty()
    }

    /// All applies, in the order of their steps.
    pub fn applies(&self) -> impl Iterator<Item = &Apply> {
        self.steps.iter().flat_map(|step| match step {
            Step::Apply(applies) => applies.as_slice(),
            Step::Delete(_) => &[],
        })
    }

    /// How many objects the plan writes or deletes.
    pub fn size(&self) -> usize {
        self.steps.iter().map(Step::len).sum()
    }
}

impl Removal {
    /// How an environment lets go of an object that is its own or of which it is an owner.
    fn of(live: &LiveObject, environment: &str) -> Self {
        let version = live.version;
        if !live.is_shared() {
            return Self::Delete;
        }
        match live.other_owners(environment).count() {
            0 => Self::DeleteUnchanged { version },
            others => Self::Release {
                environment: environment.to_owned(),
                version,
                others,
            },
        }
    }
}

impl Step {
    /// How many objects the step concerns.
    pub fn len(&self) -> usize {
        match self {
            Self::Apply(applies) => applies.len(),
            Self::Delete(deletes) => deletes.len(),
        }
    }

    /// Whether the step has nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;
