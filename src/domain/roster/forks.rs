//! Pull requests from forks: an environment only for the exact commit that somebody with the right approved.
//!
//! What speaks for itself in a branch of the repository does not here: whoever opened the pull request may write to nothing of ours. So a
//! push to the fork changes nothing until it is approved, and the commit that was approved goes on being shown. An end needs no approval.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::presence::{at_capacity, computed_name};
use super::{Existing, Proof, Question, Retirement, Roster, Sight, SkipReason, ended, expiry};
use crate::domain::git::{BranchName, Fork, Listing, PullRequest, Repository, Revision};
use crate::domain::policy::{Filter, Forks};

/// The commit of each pull request that was approved last, by its number.
pub type ApprovedForks = BTreeMap<u64, Revision>;

/// Decides about every pull request from a fork. Only a whole listing says anything about them.
pub(super) fn decide(question: &Question<'_>, listing: &Listing, roster: &mut Roster) {
    let mut open = BTreeSet::new();
    for pull_request in &listing.pull_requests {
        if let Some(fork) = &pull_request.fork {
            open.insert(pull_request.number);
            present(question, &listing.repository, (pull_request, fork), roster);
        }
    }
    for environment in question
        .environments()
        .filter(|environment| environment.repository == listing.repository.id)
    {
        if let Some(number) = environment.branch.pull_request().filter(|number| !open.contains(number)) {
            absent(question, environment, number, roster);
        }
    }
}

fn present(question: &Question<'_>, repository: &Repository, (pull_request, fork): (&PullRequest, &Fork), roster: &mut Roster) {
    let branch = BranchName::of_pull_request(pull_request.number);
    let mut existing: Vec<_> = question
        .environments()
        .filter(|environment| environment.branch == branch && environment.repository == repository.id)
        .collect();
    for environment in &existing {
        roster.absences.remove(&environment.name);
    }
    if question.project.forks == Forks::Ignore {
        return;
    }
    let approved = question.approved_forks.get(&pull_request.number) == Some(&fork.revision);
    let is_torn_down = !existing.is_empty() && existing.iter().all(|environment| environment.deleting);
    existing.retain(|environment| !environment.deleting);
    let filter = question.project.pull_requests.filters.refusal(pull_request);
    // As an Environment records it: the name of the fork's own branch means nothing here.
    let recorded = PullRequest {
        head: branch.clone(),
        ..pull_request.clone()
    };
    for environment in &existing {
        let target = approved.then_some(&fork.revision);
        follow(question, repository, environment, (&recorded, filter, target), roster);
    }
    if !existing.is_empty() {
        return;
    }
    let sight = Sight {
        branch: &branch,
        revision: &fork.revision,
        pull_request: Some(pull_request),
    };
    match refusal(question, repository, sight, (approved, is_torn_down), roster) {
        Some(reason) => roster.skip(&branch, reason),
        None => {
            let name = computed_name(question, repository, &branch);
            roster.create.push(sight.wanted(name, repository, Some(&recorded)));
        }
    }
}

/// Brings an environment to `target`, the head that was approved. Without one it goes on showing what it shows.
fn follow(
    question: &Question<'_>,
    repository: &Repository,
    environment: &Existing,
    (recorded, filter, target): (&PullRequest, Option<Filter>, Option<&Revision>),
    roster: &mut Roster,
) {
    let Some(revision) = target.cloned().or_else(|| environment.revision.parse().ok()) else {
        return;
    };
    let sight = Sight {
        branch: &environment.branch,
        revision: &revision,
        pull_request: Some(recorded),
    };
    let number = recorded.number;
    let filtered = filter.map(|filter| Proof::PullRequestFiltered { number, filter });
    let proof = filtered.or_else(|| expiry::expired(question, environment, sight));
    if let Some(proof) = proof.filter(|_| !environment.pinned) {
        retire(environment, Some(revision), proof, roster);
    } else if environment.revision != revision.as_str() || environment.pull_request.as_ref() != Some(recorded) {
        roster
            .refresh
            .push(sight.wanted(environment.name.clone(), repository, Some(recorded)));
    }
}

/// Why a pull request without an environment gets none.
fn refusal(
    question: &Question<'_>,
    repository: &Repository,
    sight: Sight<'_>,
    (approved, is_torn_down): (bool, bool),
    roster: &Roster,
) -> Option<SkipReason> {
    let filter = sight
        .pull_request
        .and_then(|pull| question.project.pull_requests.filters.refusal(pull));
    if let Some(filter) = filter {
        return Some(SkipReason::Filtered(filter));
    }
    if !approved {
        return Some(SkipReason::AwaitingApproval);
    }
    if is_torn_down {
        return Some(SkipReason::BeingTornDown);
    }
    if let Some(ended) = ended::of(question, &repository.id, sight) {
        return Some(ended.because.skip_reason());
    }
    let name = computed_name(question, repository, sight.branch);
    if question.environments().any(|environment| environment.name == name) {
        return Some(SkipReason::NameTaken);
    }
    at_capacity(question, roster).then_some(SkipReason::AtCapacity)
}

/// A list without a pull request proves as little as one without a branch: two of them, apart in time, do.
fn absent(question: &Question<'_>, environment: &Existing, number: u64, roster: &mut Roster) {
    if environment.deleting {
        return;
    }
    let first = *roster.absences.entry(environment.name.clone()).or_insert(question.now);
    let apart = question.now.saturating_sub(first);
    if apart >= question.confirmation && apart > Duration::ZERO {
        retire(environment, None, Proof::PullRequestClosed { number, apart }, roster);
    }
}

fn retire(environment: &Existing, head: Option<Revision>, proof: Proof, roster: &mut Roster) {
    roster.retire.push(Retirement {
        name: environment.name.clone(),
        uid: environment.uid.clone(),
        branch: environment.branch.clone(),
        grace: environment.grace.clone(),
        head,
        proof,
    });
}
