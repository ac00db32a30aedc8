//! Environments to retire, and what proves that they may go.

use std::time::Duration;

use super::admission::Admission;
use super::{Existing, Grace, Question, Roster, Sight, expiry, pull_requests};
use crate::domain::git::{BranchName, Revision};
use crate::domain::name::EnvironmentName;
use crate::domain::policy::{Filter, OnClose};

/// An environment to retire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// Its name.
    pub name: EnvironmentName,
    /// The UID of the object that the proof is about.
    pub uid: String,
    /// Its branch.
    pub branch: BranchName,
    /// The mark that the object had when this was decided: of the rest that is over.
    pub grace: Option<Grace>,
    /// The head of a branch that is there; `None` if it is gone.
    pub head: Option<Revision>,
    /// What proves that the environment may go.
    pub proof: Proof,
}

/// What proves that an environment may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The host twice said so, this far apart.
    SeenTwice(Duration),
    /// A verified webhook announced it and the host confirmed it.
    AnnouncedAndConfirmed,
    /// The branch is there, but the host twice said that its pull request is open no more.
    PullRequestClosed {
        /// The number of the pull request.
        number: u64,
        /// How far apart the host said so.
        apart: Duration,
    },
    /// The branch is there and its pull request is open, but does not pass a filter of the Project (any more). The host showed that, so
    /// nothing has to be seen twice.
    PullRequestFiltered {
        /// The number of the pull request.
        number: u64,
        /// The filter.
        filter: Filter,
    },
    /// The branch is there, but nothing happened for longer than the Project allows.
    Expired {
        /// How long nothing happened.
        idle: Duration,
        /// How long the Project allows.
        ttl: Duration,
    },
}

/// Whether an environment stays, as one to be kept up to date, though its branch is there. One that does not is retired, or sleeps, for a
/// reason of the Project's.
pub(super) fn stays(question: &Question<'_>, environment: &Existing, admission: Admission, sight: Sight<'_>, roster: &mut Roster) -> bool {
    if environment.pinned {
        roster.closures.remove(&environment.name);
        return true;
    }
    if let (Admission::Filtered(filter), Some(pull_request)) = (admission, sight.pull_request) {
        let number = pull_request.number;
        retire(environment, sight, Proof::PullRequestFiltered { number, filter }, roster);
        return false;
    }
    if pull_requests::is_marked(environment) {
        if let Some(proof) = expiry::expired(question, environment, sight) {
            retire(environment, sight, proof, roster);
            return false;
        }
        return !pull_requests::sleeps_on(question, environment, sight, roster);
    }
    // It is back just now: that is activity, and what else there is to decide is decided over the environment that runs.
    if environment.grace.is_some() {
        return true;
    }
    let closed = pull_requests::closed(question, environment, sight, roster);
    if let Some(proof) = closed.filter(|_| question.project.pull_requests.on_close == OnClose::Sleep) {
        pull_requests::sleep(question, environment, sight, proof, roster);
        return false;
    }
    let Some(proof) = closed.or_else(|| expiry::expired(question, environment, sight)) else {
        return true;
    };
    retire(environment, sight, proof, roster);
    false
}

fn retire(environment: &Existing, sight: Sight<'_>, proof: Proof, roster: &mut Roster) {
    roster.retire.push(Retirement {
        name: environment.name.clone(),
        uid: environment.uid.clone(),
        branch: environment.branch.clone(),
        grace: environment.grace.clone(),
        head: Some(sight.revision.clone()),
        proof,
    });
}
