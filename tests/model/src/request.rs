//! What a replica asks the API server to write, and what it has in hand while it does so.

use std::fmt;

use crate::names;
use crate::world::{Content, Inventory, Slot, Uid, each_uid};

/// What keeps an apply from touching another object than the one meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fence {
    /// It must not exist.
    MustNotExist,
    /// It must be this one.
    Uid(Uid),
}

/// One write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request {
    /// Server-side apply of an object of an environment.
    Apply {
        /// The branch.
        branch: usize,
        /// The object.
        slot: Slot,
        /// What it is to contain.
        content: Content,
        /// The fence.
        fence: Fence,
        /// The UID of the Environment that wants it.
        environment: Uid,
    },
    /// Deletion of an object of an environment.
    Delete {
        /// The branch.
        branch: usize,
        /// The object.
        slot: Slot,
        /// The precondition.
        uid: Uid,
        /// The UID of the Environment that does not want it.
        environment: Uid,
    },
    /// The status of an Environment. It is accepted only over the status that was read.
    Status {
        /// The branch.
        branch: usize,
        /// The UID of the Environment.
        uid: Uid,
        /// The inventory that was read.
        read: Inventory,
        /// The inventory to store.
        new: Inventory,
        /// Whether the receipt is written with it.
        receipt: bool,
    },
    /// Takes our finalizer off an Environment that is being deleted.
    LetGo {
        /// The branch.
        branch: usize,
        /// The UID of the Environment.
        uid: Uid,
    },
    /// An Environment for a branch, new or not.
    Create {
        /// The branch.
        branch: usize,
        /// The revision.
        revision: Content,
        /// Whether it is made anew for a namespace, and only if there is none.
        adopting: bool,
    },
    /// Another revision for an Environment.
    Refresh {
        /// The branch.
        branch: usize,
        /// The UID of the Environment.
        uid: Uid,
        /// The revision.
        revision: Content,
    },
    /// The deletion of an Environment, because its branch is gone.
    Retire {
        /// The branch.
        branch: usize,
        /// The UID of the Environment.
        uid: Uid,
        /// Whether the branch was really absent at some time since it was first seen to be: only the model knows.
        real: bool,
    },
}

/// What kind of work is in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The writes of a roster.
    Roster,
    /// A pass of a deployment.
    Deploy,
    /// A pass of a teardown.
    Teardown,
}

/// Writes in hand, as they were decided: the world may have changed since.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Work {
    /// What kind.
    pub kind: Kind,
    /// The branch; for a roster without a meaning.
    pub branch: usize,
    /// The UID of the Environment.
    pub environment: Uid,
    /// The inventory that is stored, as far as is known.
    pub read: Inventory,
    /// The inventory in memory.
    pub inventory: Inventory,
    /// Whether the inventory has to be stored before anything else.
    pub ahead: bool,
    /// What is to be written; within a step in any order.
    pub steps: Vec<Vec<Request>>,
    /// Whether a late write has created something since this was decided.
    pub overtaken: bool,
}

impl Work {
    /// Visits all UIDs.
    pub fn each_uid(&mut self, visit: &mut dyn FnMut(&mut Uid)) {
        visit(&mut self.environment);
        each_uid(&mut self.read, visit);
        each_uid(&mut self.inventory, visit);
        self.steps.iter_mut().flatten().for_each(|request| request.each_uid(visit));
    }

    /// What may be written next.
    pub fn open(&self) -> Vec<Request> {
        if !self.ahead
            && let Some(step) = self.steps.first()
        {
            return step.clone();
        }
        let wanted = self.kind != Kind::Roster && self.inventory != self.read;
        wanted.then(|| self.status()).into_iter().collect()
    }

    fn status(&self) -> Request {
        Request::Status {
            branch: self.branch,
            uid: self.environment,
            read: self.read,
            new: self.inventory,
            receipt: false,
        }
    }
}

impl Request {
    /// The branch that it is about.
    pub fn branch(&self) -> usize {
        match self {
            Self::Apply { branch, .. }
            | Self::Delete { branch, .. }
            | Self::Status { branch, .. }
            | Self::LetGo { branch, .. }
            | Self::Create { branch, .. }
            | Self::Refresh { branch, .. }
            | Self::Retire { branch, .. } => *branch,
        }
    }

    /// Visits all UIDs.
    pub fn each_uid(&mut self, visit: &mut dyn FnMut(&mut Uid)) {
        match self {
            Self::Apply { fence, environment, .. } => {
                visit(environment);
                if let Fence::Uid(uid) = fence {
                    visit(uid);
                }
            }
            Self::Delete { uid, environment, .. } => {
                visit(uid);
                visit(environment);
            }
            Self::Status { uid, read, new, .. } => {
                visit(uid);
                each_uid(read, visit);
                each_uid(new, visit);
            }
            Self::LetGo { uid, .. } | Self::Refresh { uid, .. } | Self::Retire { uid, .. } => visit(uid),
            Self::Create { .. } => {}
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let branch = names::BRANCHES[self.branch()];
        match self {
            Self::Apply { slot, content, fence, .. } => {
                let fence = match fence {
                    Fence::MustNotExist => "if there is none".to_owned(),
                    Fence::Uid(uid) => format!("if it is uid {uid}"),
                };
                write!(formatter, "apply {slot:?} of {branch} with content {content} {fence}")
            }
            Self::Delete { slot, uid, .. } => write!(formatter, "delete {slot:?} of {branch} if it is uid {uid}"),
            Self::Status { new, receipt: false, .. } => {
                let held: Vec<_> = Slot::ALL.into_iter().filter(|slot| new[*slot as usize].is_some()).collect();
                write!(formatter, "store the inventory of {branch}: {held:?}")
            }
            Self::Status { .. } => write!(formatter, "store the receipt of {branch}"),
            Self::LetGo { .. } => write!(formatter, "take the finalizer off the Environment of {branch}"),
            Self::Create {
                revision, adopting: false, ..
            } => {
                write!(formatter, "create the Environment of {branch} at revision {revision}")
            }
            Self::Create { .. } => write!(formatter, "make the Environment of {branch} anew for its namespace"),
            Self::Refresh { revision, .. } => write!(formatter, "set the Environment of {branch} to revision {revision}"),
            Self::Retire { uid, .. } => write!(formatter, "delete the Environment of {branch} (uid {uid}), as its branch is gone"),
        }
    }
}
