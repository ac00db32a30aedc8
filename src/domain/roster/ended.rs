//! Branches that are there and have no environment any more, because a rule of the Project ended it.
//!
//! This is stored before the environment goes. Without it the next look would find a branch without an environment and make one.

use super::{Facts, Proof, Question, Retirement, Roster, Sight, SkipReason, Skipped, could_be_absent, holds_default_branch};
use crate::domain::git::{BranchName, PullRequest, RepositoryId, Revision};

/// A branch whose environment was removed although the branch is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The repository.
    pub repository: RepositoryId,
    /// The branch.
    pub branch: BranchName,
    /// The head that gets no environment; another one does.
    pub revision: Revision,
    /// Why.
    pub because: EndedBecause,
}

/// Which rule of the Project ended an environment, or that a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBecause {
    /// `lifecycle.ttl`.
    Expired,
    /// `pullRequests.onClose`.
    PullRequestClosed,
    /// None: a person asked for it.
    Requested,
}

/// So many branches are remembered for a Project: the memory is part of its status, whose size is limited.
pub const MOST_ENDED: usize = 500;

/// What the host says of a branch now.
pub(super) enum Shown<'a> {
    /// Nothing.
    Nothing,
    /// It is gone.
    Gone,
    /// It is there.
    There(&'a Revision, Option<&'a PullRequest>),
}

/// What is remembered of a branch that the host shows, as long as it holds.
pub(super) fn of<'a>(question: &Question<'a>, repository: &RepositoryId, sight: Sight<'_>) -> Option<&'a Ended> {
    let same = |ended: &&Ended| ended.repository == *repository && ended.branch == *sight.branch;
    question
        .ended
        .iter()
        .find(same)
        .filter(|ended| ended.holds(sight.revision, sight.pull_request))
}

/// Keeps the environments of branches that could not be remembered.
pub(super) fn limit(question: &Question<'_>, roster: &mut Roster) {
    let mut room = MOST_ENDED.saturating_sub(question.ended.len());
    let known = |retirement: &Retirement| {
        let ending = ending(question, retirement);
        ending.is_some_and(|ending| {
            question
                .ended
                .iter()
                .any(|known| known.branch == ending.branch && known.repository == ending.repository)
        })
    };
    let skipped = &mut roster.skipped;
    roster.retire.retain(|retirement| {
        if retirement.head.is_none() || because(retirement.proof).is_none() || known(retirement) {
            return true;
        }
        let fits = room > 0;
        room = room.saturating_sub(1);
        if !fits {
            skipped.push(Skipped {
                branch: retirement.branch.clone(),
                reason: SkipReason::TooManyEnded,
            });
        }
        fits
    });
}

/// What is remembered from now on: what still holds, and what is about to end.
pub(super) fn after(question: &Question<'_>, roster: &Roster) -> Vec<Ended> {
    let holds = |ended: &&Ended| match shown(question.facts, &ended.repository, &ended.branch) {
        Shown::Nothing => true,
        Shown::Gone => false,
        Shown::There(head, pull_request) => ended.holds(head, pull_request) && !lives(question, ended),
    };
    let mut after: Vec<_> = question.ended.iter().filter(holds).cloned().collect();
    for (retirement, ended) in roster
        .retire
        .iter()
        .filter_map(|retirement| Some((retirement, ending(question, retirement)?)))
    {
        after.retain(|known| known.branch != retirement.branch || known.repository != ended.repository);
        after.push(ended);
    }
    after.sort_by(|left, right| (&left.branch, left.repository.as_str()).cmp(&(&right.branch, right.repository.as_str())));
    after
}

fn ending(question: &Question<'_>, retirement: &Retirement) -> Option<Ended> {
    let because = because(retirement.proof)?;
    let environment = question.environments().find(|environment| environment.name == retirement.name)?;
    Some(Ended {
        repository: environment.repository.clone(),
        branch: retirement.branch.clone(),
        revision: retirement.head.clone()?,
        because,
    })
}

/// What has to be remembered, or the next look would bring the environment back. A pull request that does not pass needs no memory.
fn because(proof: Proof) -> Option<EndedBecause> {
    match proof {
        Proof::Expired { .. } => Some(EndedBecause::Expired),
        Proof::PullRequestClosed { .. } => Some(EndedBecause::PullRequestClosed),
        Proof::PullRequestFiltered { .. } | Proof::SeenTwice(_) | Proof::AnnouncedAndConfirmed => None,
    }
}

/// An environment of the branch is there: whatever was remembered, it did not come to it, or somebody made another.
///
/// What a person asked for stays: what is looked at here may be older than their word, and nothing would decide it anew.
fn lives(question: &Question<'_>, ended: &Ended) -> bool {
    if ended.because == EndedBecause::Requested {
        return false;
    }
    let of_branch = |environment: &&super::Existing| environment.branch == ended.branch && environment.repository == ended.repository;
    question.environments().filter(of_branch).any(|environment| !environment.deleting)
}

pub(super) fn shown<'a>(facts: &'a Facts, repository: &RepositoryId, branch: &BranchName) -> Shown<'a> {
    match facts {
        Facts::Listing(listing) if listing.repository.id != *repository || !holds_default_branch(listing) => Shown::Nothing,
        Facts::Listing(listing) if branch.pull_request().is_some() => {
            let number = branch.pull_request();
            let pull = listing.pull_requests.iter().find(|pull| Some(pull.number) == number);
            match pull.and_then(|pull| Some((pull, pull.fork.as_ref()?))) {
                Some((pull, fork)) => Shown::There(&fork.revision, Some(pull)),
                None => Shown::Gone,
            }
        }
        Facts::Listing(listing) => match listing.branches.get(branch) {
            Some(head) => Shown::There(head, super::own_pull_request(listing, branch)),
            None => Shown::Gone,
        },
        Facts::Lookups(lookups) => {
            let of_branch = super::one_each(lookups)
                .map(|sighted| &sighted.lookup)
                .find(|lookup| lookup.repository.id == *repository && lookup.branch == *branch);
            match of_branch.map(|lookup| (lookup, &lookup.head)) {
                Some((lookup, Some(head))) => Shown::There(head, lookup.pull_request.as_ref()),
                Some((lookup, None)) if could_be_absent(lookup) => Shown::Gone,
                Some((_, None)) | None => Shown::Nothing,
            }
        }
    }
}

impl Ended {
    fn holds(&self, head: &Revision, pull_request: Option<&PullRequest>) -> bool {
        let reopened = self.because == EndedBecause::PullRequestClosed && pull_request.is_some();
        self.revision == *head && !reopened
    }
}

impl EndedBecause {
    pub(super) fn skip_reason(self) -> SkipReason {
        match self {
            Self::Expired => SkipReason::Expired,
            Self::PullRequestClosed => SkipReason::PullRequestClosed,
            Self::Requested => SkipReason::Requested,
        }
    }
}
