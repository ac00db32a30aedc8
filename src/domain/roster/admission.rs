//! Whether a branch that is there is to have an environment at all: by its name, by its open pull request, or by either.
//!
//! Of several open pull requests from one branch the one with the lowest number counts, in listings and look-ups alike.

use std::collections::{BTreeMap, BTreeSet};

use super::{Question, Roster, Sight, SkipReason};
use crate::domain::git::{PullRequest, Revision};
use crate::domain::policy::{Filter, Needs, Verdict};

/// The paths that pull requests change, by the branch to merge into and the head; `None` where the host cannot tell all of them.
pub type ChangedPaths = BTreeMap<(String, Revision), Option<BTreeSet<String>>>;

/// What the Project says of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It gets an environment, because of its name.
    ByName,
    /// It gets one as long as its pull request is open and passes the filters.
    ByPullRequest,
    /// It would get one if it had an open pull request. One that is there stays: what its end needs is decided elsewhere.
    NoPullRequest,
    /// Its open pull request does not pass.
    Filtered(Filter),
    /// Its name keeps it from getting one; one that is there stays as it is.
    Outside(SkipReason),
}

/// What the Project says of a branch that is not protected.
pub(super) fn admission(question: &Question<'_>, verdict: Verdict, pull_request: Option<&PullRequest>) -> Admission {
    let policy = &question.project.pull_requests;
    match (policy.needs, verdict) {
        (_, Verdict::Protected) => Admission::Outside(SkipReason::Protected),
        (_, Verdict::Excluded) => Admission::Outside(SkipReason::Excluded),
        (Needs::Branch | Needs::Either, Verdict::Included) => Admission::ByName,
        (Needs::Branch | Needs::PullRequest, Verdict::NotIncluded) => Admission::Outside(SkipReason::NotIncluded),
        (Needs::PullRequest, Verdict::Included) | (Needs::Either, Verdict::NotIncluded) => match pull_request {
            None => Admission::NoPullRequest,
            Some(pull_request) => match policy.filters.refusal(pull_request) {
                None => Admission::ByPullRequest,
                Some(filter) => Admission::Filtered(filter),
            },
        },
    }
}

/// Whether it is known that the pull request changes none of the paths that the Project watches. What is not known may have changed.
pub(super) fn changes_nothing_watched(question: &Question<'_>, sight: Sight<'_>) -> bool {
    let watched = &question.project.pull_requests.filters.paths;
    let Some(pull_request) = sight.pull_request.filter(|_| !watched.is_empty()) else {
        return false;
    };
    let known = question.changed_paths.get(&(pull_request.base.clone(), sight.revision.clone()));
    known
        .and_then(Option::as_ref)
        .is_some_and(|paths| !paths.iter().any(|path| watched.match_one(path)))
}

impl Roster {
    /// What would have to be known of changed paths before this roster is acted on: only what begins is held to them.
    pub fn unknown_paths(&self, question: &Question<'_>) -> Vec<(String, Revision)> {
        let policy = &question.project.pull_requests;
        if policy.filters.paths.is_empty() {
            return Vec::new();
        }
        let asked = self.create.iter().filter_map(|wanted| {
            let pull_request = wanted.pull_request.as_ref()?;
            let verdict = question.project.branches.verdict(&wanted.branch);
            let by_pull_request = admission(question, verdict, Some(pull_request)) == Admission::ByPullRequest;
            by_pull_request.then(|| (pull_request.base.clone(), wanted.revision.clone()))
        });
        asked.filter(|place| !question.changed_paths.contains_key(place)).collect()
    }
}
