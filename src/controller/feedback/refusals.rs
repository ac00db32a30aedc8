//! What a Git host refuses until somebody changes something: it is left alone for a while, and told once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use crate::api::{Environment, Project};
use crate::cluster::error::chain;
use crate::githost::Error;

/// So long nothing of the kind is asked for.
const PAUSE: Duration = Duration::from_secs(300);

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    CommitStatus,
    Deployment,
    Comment,
}

/// The UID of a Project, or that of an environment.
type Key = (Kind, String);

#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<Key, Refusal>>);

struct Refusal {
    until: Instant,
    problem: String,
}

impl Refusals {
    /// Whether the host refused it a while ago.
    pub(super) fn is_refused(&self, kind: Kind, project: &Project, environment: &Environment) -> bool {
        let refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = [project.uid(), environment.uid()].into_iter().flatten();
        keys.filter_map(|uid| refusals.get(&(kind, uid)))
            .any(|refusal| refusal.until > Instant::now())
    }

    /// Remembers a refusal; whether it is another than the last one. What a token may not do it may do for no environment of the Project.
    pub(super) fn refused(&self, kind: Kind, project: &Project, environment: &Environment, error: &Error) -> bool {
        let uid = match error {
            Error::Refused { .. } => project.uid(),
            _ => environment.uid(),
        };
        let refusal = Refusal {
            until: Instant::now() + PAUSE,
            problem: chain(error),
        };
        let problem = refusal.problem.clone();
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = refusals.insert((kind, uid.unwrap_or_default()), refusal);
        before.is_none_or(|before| before.problem != problem)
    }

    /// Something of the kind was accepted.
    pub(super) fn forget(&self, kind: Kind, project: &Project, environment: &Environment) {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for uid in [project.uid(), environment.uid()].into_iter().flatten() {
            refusals.remove(&(kind, uid));
        }
    }
}
