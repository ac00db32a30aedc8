//! Where hints wait to be looked at: bounded, and one place for each branch however often it is announced.
//!
//! The inbox only says where to look. Losing it, with a crash for example, costs at most one sweep interval.

mod comments;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::event::{DeliveryId, Happening, Hint, RepositoryHint};
use crate::domain::git::{BranchName, RepositoryId, RepositoryName};
use crate::domain::name::GitHostKey;
use crate::metrics::{HintResult, Metrics};

pub use comments::PendingComment;

/// A bounded, coalescing queue of hints. Clones share the same places.
///
/// # Guarantees
/// - At most `capacity` branches wait at one time; a hint about a branch that waits already never needs a place.
/// - A hint that was answered with [`Offer::Queued`] or [`Offer::Coalesced`] is in exactly one later answer of [`Inbox::take`].
/// - [`Inbox::take`] hands out everything at once, so no branch can starve behind another.
///
/// # Caveats
/// Deliveries that carry the repository's id and deliveries that carry only its name are not recognised as the same repository.
#[derive(Debug, Clone)]
pub struct Inbox(Arc<Shared>);

/// What became of an offered hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a hint that found no place must be refused to its sender"]
pub enum Offer {
    /// It took a new place.
    Queued,
    /// It joined what was waiting about the same branch.
    Coalesced,
    /// There is no place; it was dropped.
    Full,
    /// The process is about to end; it was dropped.
    Closed,
}

/// A branch to look at, and all that its hints said since it was last taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingHint {
    /// The GitHost whose endpoint received the hints.
    pub host: GitHostKey,
    /// The repository, as the last hint described it.
    pub repository: RepositoryHint,
    /// The branch to look at.
    pub branch: BranchName,
    /// What the last hint said has happened. Deliveries overtake each other: this is no order of events.
    pub happening: Happening,
    /// Whether any of the hints announced a deletion. A later push does not take that back: it remains evidence, which one
    /// look-up confirms or refutes.
    pub deletion_announced: bool,
    /// The last delivery, for logs.
    pub delivery: DeliveryId,
}

#[derive(Debug)]
struct Shared {
    capacity: usize,
    metrics: Metrics,
    state: Mutex<State>,
    /// Wakes whoever waits in `take`, after something was queued or the inbox was closed.
    filled: Notify,
    /// Comments, which have places of their own.
    comments: comments::Comments,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<Place, PendingHint>,
    closed: bool,
}

/// What makes two hints speak of the same branch. The order groups hints by host and repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    host: GitHostKey,
    repository: RepositoryPlace,
    branch: BranchName,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum RepositoryPlace {
    Id(RepositoryId),
    Name(RepositoryName),
}

// === impl Inbox ===

impl Inbox {
    /// An empty inbox for at most `capacity` branches.
    pub fn new(capacity: NonZeroUsize, metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            capacity: capacity.get(),
            metrics,
            state: Mutex::default(),
            filled: Notify::new(),
            comments: comments::Comments::default(),
        }))
    }

    /// Leaves a hint, without ever waiting.
    pub fn offer(&self, hint: Hint) -> Offer {
        let mut state = self.0.lock();
        let offer = state.offer(hint, self.0.capacity);
        self.0.metrics.hint(offer.into());
        if offer == Offer::Queued {
            // Under the lock, or a late write of an old depth could stay.
            self.0.metrics.inbox_depth(state.waiting.len());
            self.0.filled.notify_one();
        }
        offer
    }

    /// Waits until a hint is there, then takes all of them, sorted by host, repository and branch.
    ///
    /// After [`Inbox::close`] it gives what is left, then an empty answer for ever, at once.
    ///
    /// # Guarantees
    /// Dropping the future loses nothing: hints leave the inbox in the same moment in which they are returned.
    pub async fn take(&self) -> Vec<PendingHint> {
        loop {
            // Notify keeps one permit, so a hint that is offered between the look and the wait is not missed.
            if let Some(batch) = self.0.take_now() {
                return batch;
            }
            self.0.filled.notified().await;
        }
    }

    /// Takes no further hints.
    pub fn close(&self) {
        self.0.lock().closed = true;
        self.0.comments.close();
        // One permit for a taker that is about to wait, and a call for all that wait already.
        self.0.filled.notify_one();
        self.0.filled.notify_waiters();
    }

    /// How many branches wait.
    pub fn depth(&self) -> usize {
        self.0.lock().waiting.len()
    }
}

// === impl Shared ===

impl Shared {
    /// `None` when there is reason to wait.
    fn take_now(&self) -> Option<Vec<PendingHint>> {
        let mut state = self.lock();
        if state.waiting.is_empty() && !state.closed {
            return None;
        }
        let batch = std::mem::take(&mut state.waiting).into_values().collect();
        if state.closed {
            // Passed on from taker to taker, so that none of them waits for ever.
            self.filled.notify_one();
        }
        self.metrics.inbox_depth(0);
        Some(batch)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No step below leaves the map half changed, so what a panicking holder left is usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn offer(&mut self, hint: Hint, capacity: usize) -> Offer {
        if self.closed {
            return Offer::Closed;
        }
        let place = Place::of(&hint);
        if let Some(pending) = self.waiting.get_mut(&place) {
            pending.coalesce(hint);
            return Offer::Coalesced;
        }
        if self.waiting.len() >= capacity {
            return Offer::Full;
        }
        self.waiting.insert(place, PendingHint::first(hint));
        Offer::Queued
    }
}

// === impl PendingHint ===

impl PendingHint {
    fn first(hint: Hint) -> Self {
        Self {
            deletion_announced: hint.happening == Happening::BranchDeleted,
            host: hint.host,
            repository: hint.repository,
            branch: hint.branch,
            happening: hint.happening,
            delivery: hint.delivery,
        }
    }

    /// Joins a later hint about the same branch.
    fn coalesce(&mut self, later: Hint) {
        self.deletion_announced |= later.happening == Happening::BranchDeleted;
        self.repository = later.repository;
        self.happening = later.happening;
        self.delivery = later.delivery;
    }
}

// === impl Place ===

impl Place {
    fn of(hint: &Hint) -> Self {
        let repository = match &hint.repository.id {
            Some(id) => RepositoryPlace::Id(id.clone()),
            None => RepositoryPlace::Name(hint.repository.name.clone()),
        };
        Self {
            host: hint.host.clone(),
            repository,
            branch: hint.branch.clone(),
        }
    }
}

impl From<Offer> for HintResult {
    fn from(offer: Offer) -> Self {
        match offer {
            Offer::Queued => Self::Queued,
            Offer::Coalesced => Self::Coalesced,
            Offer::Full | Offer::Closed => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests;
