//! Environments whose pull request is open no more.
//!
//! That a list of pull requests lacks one proves as little as that a list of branches lacks one: two sightings, apart in time, do.

use std::time::Duration;

use super::{Existing, Proof, Question, Roster, Sight};
use crate::domain::git::PullRequest;
use crate::domain::policy::OnClose;

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
    let decides = question.tells_pull_requests && question.project.on_close == OnClose::Teardown;
    environment.pull_request.as_ref().filter(|_| decides && seen.is_none())
}
