//! A repository on several hosts: whose word counts.
//!
//! The primary decides about every branch that it has, and it alone says that one is gone. A mirror is heard when it announces a push: what
//! it has counts while the primary does not have the branch, or does not answer. No listing of a mirror counts for anything, so that a
//! branch that was deleted at the primary does not come back because a mirror still has it. Whichever host told of a branch, its
//! environment is that of the primary's repository.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::git::{Listing, PullRequest, RefLookup, Repository, Revision};
use super::roster::Existing;

/// How long a branch that was pushed to a mirror may be on its way to the primary.
pub const ARRIVAL: Duration = Duration::from_secs(15 * 60);

/// What is known of a branch without asking anybody.
#[derive(Debug, Clone)]
pub struct Known {
    /// The repository, as the primary told of it last.
    pub repository: Option<Repository>,
    /// The pull request that the branch's environment knows of: a mirror says nothing of it.
    pub pull_request: Option<PullRequest>,
}

/// What is to be taken for the primary's answer about a branch of which a mirror announced a push. `None`: nothing, as it gave none.
pub fn lookup(primary: Option<&RefLookup>, mirror: Option<&RefLookup>, known: &Known) -> Option<RefLookup> {
    let by_mirror = |head: &Revision, branch| {
        let repository = primary.map(|primary| &primary.repository).or(known.repository.as_ref());
        Some(RefLookup {
            repository: repository?.clone(),
            branch,
            head: Some(head.clone()),
            pull_request: known.pull_request.clone(),
        })
    };
    match (primary, mirror) {
        (Some(primary), _) if primary.head.is_some() => Some(primary.clone()),
        (
            _,
            Some(RefLookup {
                head: Some(head), branch, ..
            }),
        ) => by_mirror(head, branch.clone()),
        (primary, _) => primary.cloned(),
    }
}

/// Which environments may be those of branches that are on their way to the primary: it has none of that name, and something happened to
/// them a short time ago.
pub fn may_arrive<'e>(listing: &Listing, existing: &'e [Arc<Existing>], now: Timestamp) -> Vec<&'e Existing> {
    let is_young = |environment: &&Existing| {
        let age = environment.active.map(|active| now.duration_since(active));
        age.is_some_and(|age| age < SignedDuration::try_from(ARRIVAL).unwrap_or_default())
    };
    let is_missing = |environment: &&Existing| {
        environment.repository == listing.repository.id && !environment.deleting && !listing.branches.contains_key(&environment.branch)
    };
    existing.iter().map(AsRef::as_ref).filter(is_missing).filter(is_young).collect()
}

/// Takes a branch that a mirror still has for one that is there as it is.
pub fn keep(listing: &mut Listing, environment: &Existing) {
    if let Ok(revision) = environment.revision.parse() {
        listing.branches.insert(environment.branch.clone(), revision);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn repository(id: &str) -> Repository {
        Repository {
            id: id.parse().unwrap(),
            name: "acme/shop".parse().unwrap(),
            default_branch: Some("main".parse().unwrap()),
        }
    }

    fn answer(id: &str, head: Option<char>) -> RefLookup {
        RefLookup {
            repository: repository(id),
            branch: "feature/a".parse().unwrap(),
            head: head.map(|digit| digit.to_string().repeat(40).parse().unwrap()),
            pull_request: None,
        }
    }

    fn known() -> Known {
        Known {
            repository: Some(repository("1")),
            pull_request: None,
        }
    }

    fn head(primary: Option<RefLookup>, mirror: Option<RefLookup>) -> Option<Option<String>> {
        let taken = lookup(primary.as_ref(), mirror.as_ref(), &known())?;
        assert_eq!(
            taken.repository.id.as_str(),
            "1",
            "the environment is the primary's, whoever told of the branch"
        );
        Some(taken.head.map(|head| head.as_str()[..1].to_owned()))
    }

    #[test]
    fn mirror_rule_the_primary_decides_about_what_it_has_and_alone_says_what_is_gone() {
        let primary = |digit| Some(answer("1", digit));
        let mirror = |digit| Some(answer("77", digit));
        let found = |digit: &str| Some(Some(digit.to_owned()));
        assert_eq!(head(primary(Some('a')), mirror(Some('b'))), found("a"));
        assert_eq!(head(primary(None), mirror(Some('b'))), found("b"), "it has not arrived yet");
        assert_eq!(head(None, mirror(Some('b'))), found("b"), "the primary is away");
        assert_eq!(head(primary(None), mirror(None)), Some(None));
        assert_eq!(head(None, mirror(None)), None, "no word of the primary, no deletion");
        assert_eq!(head(None, None), None);
    }

    #[test]
    fn mirror_rule_without_ever_a_word_of_the_primary_nothing_is_named() {
        let nobody = Known {
            repository: None,
            pull_request: None,
        };
        assert!(lookup(None, Some(&answer("77", Some('b'))), &nobody).is_none());
    }

    #[test]
    fn mirror_rule_a_mirror_that_says_nothing_of_pull_requests_closes_none() {
        let pull_request = PullRequest {
            number: 7,
            head: "feature/a".parse().unwrap(),
            fork: None,
            base: "main".to_owned(),
            author: String::new(),
            title: String::new(),
            labels: Vec::new(),
            draft: false,
        };
        let known = Known {
            pull_request: Some(pull_request.clone()),
            ..known()
        };
        let taken = lookup(None, Some(&answer("77", Some('b'))), &known).unwrap();
        assert_eq!(taken.pull_request, Some(pull_request));
    }

    #[test]
    fn mirror_rule_only_a_young_environment_can_be_one_that_has_not_arrived() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let existing = |branch: &str, minutes: i64, deleting| Existing {
            name: format!("shop-{branch}-aaaaaaaaaa").parse().unwrap(),
            uid: String::new(),
            branch: branch.parse().unwrap(),
            repository: "1".parse().unwrap(),
            revision: "b".repeat(40),
            pull_request: None,
            grace: None,
            active: Some(now - SignedDuration::from_mins(minutes)),
            deleting,
            pinned: false,
        };
        let mut listing = Listing {
            repository: repository("1"),
            branches: [("main".parse().unwrap(), "a".repeat(40).parse().unwrap())].into(),
            pull_requests: Vec::new(),
        };
        let all = [
            existing("young", 5, false),
            existing("old", 20, false),
            existing("going", 1, true),
            existing("main", 1, false),
        ]
        .map(Arc::new);
        let found = may_arrive(&listing, &all, now);
        assert_eq!(found, [&*all[0]]);
        keep(&mut listing, &all[0]);
        assert_eq!(listing.branches[&all[0].branch].as_str(), "b".repeat(40));
    }
}
