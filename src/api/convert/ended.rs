//! The memory of ended environments: out of a Project's status and back into it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::project::{EndedBranch, EndedReason};
use crate::domain::git::BranchName;
use crate::domain::roster::{Ended, EndedBecause};

/// The memory as the roster uses it. An entry that cannot be read can only come around the schema, and is left out.
pub fn from_stored(stored: &[EndedBranch]) -> Vec<Ended> {
    let read = |entry: &EndedBranch| {
        Some(Ended {
            repository: entry.repository_id.parse().ok()?,
            branch: BranchName::from_stored(&entry.branch).ok()?,
            revision: entry.revision.parse().ok()?,
            because: match entry.reason {
                EndedReason::Expired => EndedBecause::Expired,
                EndedReason::PullRequestClosed => EndedBecause::PullRequestClosed,
                EndedReason::Requested => EndedBecause::Requested,
            },
        })
    };
    stored.iter().filter_map(read).collect()
}

/// The memory as it is stored. What is in `before` already keeps its time.
pub fn to_stored(ended: &[Ended], before: &[EndedBranch], now: &Time) -> Vec<EndedBranch> {
    let store = |one: &Ended| {
        let entry = EndedBranch {
            branch: one.branch.to_string(),
            repository_id: one.repository.to_string(),
            revision: one.revision.to_string(),
            reason: match one.because {
                EndedBecause::Expired => EndedReason::Expired,
                EndedBecause::PullRequestClosed => EndedReason::PullRequestClosed,
                EndedBecause::Requested => EndedReason::Requested,
            },
            at: now.clone(),
        };
        let same = |known: &&EndedBranch| {
            EndedBranch {
                at: now.clone(),
                ..(*known).clone()
            } == entry
        };
        before.iter().find(same).cloned().unwrap_or(entry)
    };
    ended.iter().map(store).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn the_memory_survives_being_stored_and_keeps_its_times() {
        let ended = [EndedBecause::Expired, EndedBecause::PullRequestClosed, EndedBecause::Requested].map(|because| Ended {
            repository: "1".parse().unwrap(),
            branch: "feature/a".parse().unwrap(),
            revision: "ab".repeat(20).parse().unwrap(),
            because,
        });
        let [first, later] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"].map(|text| Time(text.parse().unwrap()));
        let stored = to_stored(&ended[..1], &[], &first);
        assert_eq!(from_stored(&stored), ended[..1]);
        let both = to_stored(&ended, &stored, &later);
        assert_eq!(from_stored(&both), ended);
        assert_eq!([&both[0].at, &both[1].at, &both[2].at], [&first, &later, &later]);
    }
}
