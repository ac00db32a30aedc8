//! What becomes of an environment whose branch is proven to be gone: where the Project grants a time of grace, it rests before it goes.
//! The same mark says that an environment sleeps whose pull request was closed.
//!
//! The mark of the rest is in the Environment itself, so it outlives a restart. Its times are the API server's. That a time is over is
//! never enough: only a look that proves the absence once more ends a rest, and one that finds the branch takes the mark away.

use std::time::Duration;

use jiff::Timestamp;

use super::{Existing, Proof, Question, Retirement, Roster, Wanted};
use crate::domain::deadline::{Span, add, whole_second_after};
use crate::domain::git::Revision;
use crate::domain::removal::Reason;

/// The mark of an environment whose branch is gone, or whose pull request was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grace {
    /// What the environment does meanwhile.
    pub state: GraceState,
    /// Since when, by the API server's clock.
    pub since: Timestamp,
    /// Until when; what comes then takes a look that proves that the branch is gone still. A sleep has no end of its own: it is `since`.
    pub until: Timestamp,
    /// What proved that the branch is gone, or the pull request closed, in words.
    pub reason: String,
}

/// What an environment does whose branch is gone, or whose pull request was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraceState {
    /// It is scaled to zero; its data is kept. Then it is torn down.
    Resting,
    /// Somebody asked for it: it runs. Then it rests once more.
    Restored,
    /// Its pull request was closed: it is scaled to zero until the branch is pushed or the pull request reopened.
    Sleeping,
    /// Somebody asked for it while it slept: it runs. Then it sleeps once more.
    Woken,
}

impl GraceState {
    /// Whether the environment is scaled to zero.
    pub fn is_down(self) -> bool {
        matches!(self, Self::Resting | Self::Sleeping)
    }

    /// Whether its branch is there, as far as is known.
    pub fn is_of_sleep(self) -> bool {
        matches!(self, Self::Sleeping | Self::Woken)
    }
}

/// So long runs who was woken although the pull request is closed.
const WOKEN: Duration = Duration::from_secs(24 * 60 * 60);

/// An environment to put to rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    /// The UID of the object that the proof is about.
    pub uid: String,
    /// The mark that the object had when this was decided.
    pub before: Option<Grace>,
    /// The environment with its new mark.
    pub wanted: Wanted,
}

/// What comes next for an environment whose branch is proven to be gone.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Retire,
    Rest(Grace),
    Wait,
}

impl Grace {
    /// The mark of an environment that goes to sleep at `now`.
    pub(super) fn sleeping(now: Timestamp, reason: String) -> Self {
        Self::new(GraceState::Sleeping, now, Duration::ZERO, reason)
    }

    /// The mark that a request to restore the environment leaves at `now`: as much time again as was granted for the rest, or a day.
    #[must_use]
    pub fn restored(&self, now: Timestamp) -> Self {
        if self.state.is_of_sleep() {
            return Self::new(GraceState::Woken, now, WOKEN, self.reason.clone());
        }
        let granted = self.until.duration_since(self.since).unsigned_abs();
        Self::new(GraceState::Restored, now, granted, self.reason.clone())
    }

    /// In whole seconds, as they are stored.
    fn new(state: GraceState, now: Timestamp, granted: Duration, reason: String) -> Self {
        let since = whole_second_after(now);
        Self {
            state,
            since,
            until: add(since, granted),
            reason,
        }
    }
}

/// Decides what comes next for an environment whose branch `proof` shows to be gone.
pub(super) fn end(question: &Question<'_>, environment: &Existing, proof: Proof, roster: &mut Roster) {
    let granted = question.project.grace_after_delete;
    let reason = || Reason::proven(&environment.branch, proof);
    match step(environment.grace.as_ref(), granted, question.server_time, reason) {
        Step::Wait => {}
        Step::Rest(grace) => roster.rest.extend(wanted(environment, Some(grace)).map(|wanted| Rest {
            uid: environment.uid.clone(),
            before: environment.grace.clone(),
            wanted,
        })),
        Step::Retire => roster.retire.push(Retirement {
            name: environment.name.clone(),
            uid: environment.uid.clone(),
            branch: environment.branch.clone(),
            grace: environment.grace.clone(),
            head: None,
            proof,
        }),
    }
}

/// A mark ends by its own times, whatever the Project grants by then. Without a time that is sure, everything stays as it is.
fn step(grace: Option<&Grace>, granted: Option<Span>, now: Option<Timestamp>, reason: impl FnOnce() -> Reason) -> Step {
    let is_over = |grace: &Grace| now.is_some_and(|now| now >= grace.until);
    // The mark of a sleep says nothing about a branch that is gone.
    let grace = grace.filter(|grace| !grace.state.is_of_sleep());
    match (grace, granted, now) {
        (Some(grace), ..) if !is_over(grace) => Step::Wait,
        (Some(grace), ..) if grace.state == GraceState::Resting => Step::Retire,
        (_, None, _) => Step::Retire,
        (_, Some(_), None) => Step::Wait,
        (_, Some(granted), Some(now)) => {
            let grace = Grace::new(GraceState::Resting, now, granted.duration(), reason().text);
            Step::Rest(grace)
        }
    }
}

/// A branch that is there takes the mark away although it gets no updates: it is excluded, and keeps the environment that it has.
pub(super) fn wake(existing: &[&Existing], roster: &mut Roster) {
    let marked = existing
        .iter()
        .filter(|environment| !environment.deleting && environment.grace.is_some());
    roster.refresh.extend(marked.filter_map(|environment| wanted(environment, None)));
}

/// The environment as it is but for its mark.
fn wanted(environment: &Existing, grace: Option<Grace>) -> Option<Wanted> {
    Some(Wanted {
        name: environment.name.clone(),
        branch: environment.branch.clone(),
        repository: environment.repository.clone(),
        revision: environment.revision.parse::<Revision>().ok()?,
        pull_request: environment.pull_request.clone(),
        grace,
    })
}
