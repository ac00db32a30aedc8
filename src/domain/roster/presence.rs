//! A branch that is there: its environment is created, refreshed, left alone, or ended by a rule of the Project.

use super::admission::{Admission, admission, changes_nothing_watched};
use super::known::Known;
use super::{Existing, Question, Roster, SkipReason, Wanted, ended, pull_requests, rest, retirement};
use crate::domain::git::{BranchName, PullRequest, Repository, Revision};
use crate::domain::name::{EnvironmentName, Identity};
use crate::domain::policy::Verdict;

/// A branch as the host shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) branch: &'a BranchName,
    pub(super) revision: &'a Revision,
    pub(super) pull_request: Option<&'a PullRequest>,
}

pub(super) fn present(question: &Question<'_>, known: &Known<'_>, repository: &Repository, sight: Sight<'_>, roster: &mut Roster) {
    let existing = known.of_branch(&repository.id, sight.branch);
    for environment in &existing {
        roster.absences.remove(&environment.name);
    }
    let verdict = question.project.branches.verdict(sight.branch);
    if verdict == Verdict::Protected {
        return roster.skip(sight.branch, SkipReason::Protected);
    }
    let admission = admission(question, verdict, sight.pull_request);
    let alive: Vec<_> = existing.iter().copied().filter(|environment| !environment.deleting).collect();
    let staying: Vec<_> = alive
        .iter()
        .copied()
        .filter(|environment| retirement::stays(question, environment, admission, sight, roster))
        .collect();
    if let Admission::Outside(reason) = admission {
        rest::wake(&staying, roster);
        return roster.skip(sight.branch, reason);
    }
    if !alive.is_empty() {
        if let Admission::Filtered(filter) = admission
            && staying.is_empty()
        {
            roster.skip(sight.branch, SkipReason::Filtered(filter));
        }
        for environment in staying {
            refresh(question, repository, environment, sight, roster);
        }
    } else if let Some(reason) = refusal(admission) {
        let ended = ended::of(question, &repository.id, sight);
        roster.skip(sight.branch, ended.map_or(reason, |ended| ended.because.skip_reason()));
    } else if !existing.is_empty() {
        roster.skip(sight.branch, SkipReason::BeingTornDown);
    } else {
        begin(question, known, repository, sight, roster);
    }
}

fn refresh(question: &Question<'_>, repository: &Repository, environment: &Existing, sight: Sight<'_>, roster: &mut Roster) {
    let moved = environment.revision != sight.revision.as_str();
    // A push ends a sleep for good: the pull request that was closed is forgotten with it, or the environment would sleep again.
    let shown = match pull_requests::is_marked(environment) {
        true => sight.pull_request,
        false => pull_requests::shown(question, environment, sight.pull_request),
    };
    if moved || environment.pull_request.as_ref() != shown || environment.grace.is_some() {
        roster.refresh.push(sight.wanted(environment.name.clone(), repository, shown));
    }
}

/// Why a branch without an environment gets none.
fn refusal(admission: Admission) -> Option<SkipReason> {
    match admission {
        Admission::ByName | Admission::ByPullRequest => None,
        Admission::NoPullRequest => Some(SkipReason::NoPullRequest),
        Admission::Filtered(filter) => Some(SkipReason::Filtered(filter)),
        Admission::Outside(reason) => Some(reason),
    }
}

/// A branch without an environment gets one, unless something speaks against it.
fn begin(question: &Question<'_>, known: &Known<'_>, repository: &Repository, sight: Sight<'_>, roster: &mut Roster) {
    if let Some(ended) = ended::of(question, &repository.id, sight) {
        return roster.skip(sight.branch, ended.because.skip_reason());
    }
    let name = computed_name(question, repository, sight.branch);
    let by_name = question.project.branches.verdict(sight.branch);
    let by_pull_request = admission(question, by_name, sight.pull_request) == Admission::ByPullRequest;
    if known.has_name(&name) {
        roster.skip(sight.branch, SkipReason::NameTaken);
    } else if by_pull_request && changes_nothing_watched(question, sight) {
        roster.skip(sight.branch, SkipReason::NoWatchedPath);
    } else if at_capacity(question, roster) {
        roster.skip(sight.branch, SkipReason::AtCapacity);
    } else {
        roster.create.push(sight.wanted(name, repository, sight.pull_request));
    }
}

pub(super) fn computed_name(question: &Question<'_>, repository: &Repository, branch: &BranchName) -> EnvironmentName {
    EnvironmentName::compute(Identity {
        host_url: question.host_url,
        repository: &repository.id,
        branch,
        project: &question.project.key,
    })
}

pub(super) fn at_capacity(question: &Question<'_>, roster: &Roster) -> bool {
    question
        .project
        .max_environments
        .is_some_and(|most| question.existing.len() + roster.create.len() >= most as usize)
}

impl Sight<'_> {
    pub(super) fn wanted(self, name: EnvironmentName, repository: &Repository, pull_request: Option<&PullRequest>) -> Wanted {
        Wanted {
            name,
            branch: self.branch.clone(),
            repository: repository.id.clone(),
            revision: self.revision.clone(),
            pull_request: pull_request.cloned(),
            grace: None,
        }
    }
}
