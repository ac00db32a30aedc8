//! Environments whose pull request is open no more: they stay, sleep or go, as the Project says.
//!
//! That a list of pull requests lacks one proves as little as that a list of branches lacks one: two sightings, apart in time, do.

use std::time::Duration;

use super::{Existing, Grace, GraceState, Proof, Question, Rest, Roster, Sight, Wanted};
use crate::domain::git::PullRequest;
use crate::domain::policy::OnClose;
use crate::domain::removal::Reason;

/// What proves that the pull request of the environment was closed.
///
/// The environment's own record says that there was one. A push in the same look changes nothing: it is usually what was merged.
pub(super) fn closed(question: &Question<'_>, environment: &Existing, sight: Sight<'_>, roster: &mut Roster) -> Option<Proof> {
    let Some(pull_request) = ending(question, environment, sight.pull_request) else {
        roster.closures.remove(&environment.name);
        return None;
    };
    let first = *roster.closures.entry(environment.name.clone()).or_insert(question.now);
    let apart = question.now.saturating_sub(first);
    (apart >= question.confirmation && apart > Duration::ZERO).then_some(Proof::PullRequestClosed {
        number: pull_request.number,
        apart,
    })
}

/// The pull request that the environment is to name. One whose end is not proven yet stays, or nothing would know of it later.
pub(super) fn shown<'a>(question: &Question<'_>, environment: &'a Existing, seen: Option<&'a PullRequest>) -> Option<&'a PullRequest> {
    seen.or_else(|| ending(question, environment, seen))
}

fn ending<'a>(question: &Question<'_>, environment: &'a Existing, seen: Option<&PullRequest>) -> Option<&'a PullRequest> {
    let decides = question.tells_pull_requests && question.project.pull_requests.on_close != OnClose::Keep;
    environment.pull_request.as_ref().filter(|_| decides && seen.is_none())
}

/// Puts the environment to sleep at what the host shows. Without a time that is sure it stays as it is.
pub(super) fn sleep(question: &Question<'_>, environment: &Existing, sight: Sight<'_>, proof: Proof, roster: &mut Roster) {
    let Some(now) = question.server_time else { return };
    let reason = Reason::proven(&environment.branch, proof);
    fall_asleep(environment, sight, Grace::sleeping(now, reason.text), roster);
}

/// Whether the mark on the environment is that of a sleep.
pub(super) fn is_marked(environment: &Existing) -> bool {
    environment.grace.as_ref().is_some_and(|grace| grace.state.is_of_sleep())
}

/// Whether an environment that was put to sleep is left as it is: nothing was pushed, and the pull request is not open again. Who was
/// woken by request falls asleep again after a while.
pub(super) fn sleeps_on(question: &Question<'_>, environment: &Existing, sight: Sight<'_>, roster: &mut Roster) -> bool {
    let is_ruled = question.tells_pull_requests && question.project.pull_requests.on_close == OnClose::Sleep;
    let is_moved = environment.revision != sight.revision.as_str();
    if !is_ruled || is_moved || sight.pull_request.is_some() {
        return false;
    }
    if let (Some(grace), Some(now)) = (&environment.grace, question.server_time)
        && grace.state == GraceState::Woken
        && now >= grace.until
    {
        fall_asleep(environment, sight, Grace::sleeping(now, grace.reason.clone()), roster);
    }
    true
}

fn fall_asleep(environment: &Existing, sight: Sight<'_>, grace: Grace, roster: &mut Roster) {
    roster.closures.remove(&environment.name);
    roster.rest.push(Rest {
        uid: environment.uid.clone(),
        before: environment.grace.clone(),
        wanted: Wanted {
            name: environment.name.clone(),
            branch: environment.branch.clone(),
            repository: environment.repository.clone(),
            revision: sight.revision.clone(),
            pull_request: environment.pull_request.clone(),
            grace: Some(grace),
        },
    });
}
