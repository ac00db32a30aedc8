//! Whether an environment has ever shown another revision than the wanted one: what templates see as `environment.isFirstDeploy`.
//!
//! Neither the end of a deployment nor the history, which is bounded, changes the answer: only a revision that is about to be written
//! does, and it is recorded before its first request.

use crate::api::environment::{EnvironmentStatus, RevisionStatus};
use crate::domain::git::Revision;

/// True as long as no other revision than `wanted` was ever applied.
pub fn is_first_deploy(status: Option<&EnvironmentStatus>, wanted: &Revision) -> bool {
    let Some(status) = status else { return true };
    let (first, superseded) = seen(status);
    !superseded && first.is_none_or(|first| first == wanted.as_str())
}

/// Records that `wanted` is about to be applied. The first revision stays for good, and so does that there was another.
pub fn record(status: &mut EnvironmentStatus, wanted: &Revision) {
    let (first, superseded) = seen(status);
    let first = first.unwrap_or(wanted.as_str()).to_owned();
    let superseded = superseded || first != wanted.as_str();
    let revision = status.revision.get_or_insert_default();
    revision.first = Some(first);
    revision.superseded = superseded;
}

/// The first revision, and whether there was another. A status from before these were recorded tells it by what it has.
fn seen(status: &EnvironmentStatus) -> (Option<&str>, bool) {
    let revision = status.revision.as_ref();
    if let Some(RevisionStatus {
        first: Some(first),
        superseded,
        ..
    }) = revision
    {
        return (Some(first), *superseded);
    }
    let past = status.history.iter().rev().map(|run| run.revision.as_str());
    let mut known = past.chain(revision.and_then(|revision| revision.applied.as_deref()));
    let first = known.next();
    (first, known.any(|other| Some(other) != first))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use proptest::prelude::*;

    use super::*;
    use crate::api::environment::HistoryEntry;

    fn revision(digit: char) -> Revision {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn run(digit: char) -> HistoryEntry {
        HistoryEntry {
            run: None,
            revision: revision(digit).to_string(),
            at: Time("2026-01-01T00:00:00Z".parse().unwrap()),
            started: None,
            result: "Ready".into(),
            because: None,
            stages: None,
            changed: 1,
            objects: Vec::new(),
        }
    }

    #[test]
    fn a_revision_is_the_first_until_another_one_was_applied() {
        let (a, b) = (revision('a'), revision('b'));
        let mut status = EnvironmentStatus::default();
        assert!(is_first_deploy(None, &a) && is_first_deploy(Some(&status), &a));
        record(&mut status, &a);
        assert!(is_first_deploy(Some(&status), &a), "its own deployment changes nothing");
        assert!(!is_first_deploy(Some(&status), &b));
        // The branch goes back before anything of the other revision was written.
        assert!(is_first_deploy(Some(&status), &a));
        record(&mut status, &b);
        assert!(!is_first_deploy(Some(&status), &a), "going back makes no first deployment");
        assert_eq!(status.revision.unwrap().first.as_deref(), Some(a.as_str()));
    }

    #[test]
    fn the_bounded_history_forgets_and_the_answer_stays() {
        let (a, b) = (revision('a'), revision('b'));
        let mut status = EnvironmentStatus::default();
        record(&mut status, &a);
        record(&mut status, &b);
        status.history = vec![run('b'); 10];
        assert!(
            !is_first_deploy(Some(&status), &b),
            "ten runs of one revision hide that there was another"
        );
        status.history.clear();
        assert!(!is_first_deploy(Some(&status), &b));
    }

    #[test]
    fn a_status_from_before_it_was_recorded_tells_by_its_history() {
        let (a, b) = (revision('a'), revision('b'));
        let mut status = EnvironmentStatus {
            history: vec![run('b'), run('a')],
            ..EnvironmentStatus::default()
        };
        assert!(!is_first_deploy(Some(&status), &a) && !is_first_deploy(Some(&status), &b));
        record(&mut status, &b);
        let recorded = status.revision.clone().unwrap();
        assert_eq!((recorded.first.as_deref(), recorded.superseded), (Some(a.as_str()), true));
        status.history = vec![run('a')];
        status.revision = None;
        assert!(is_first_deploy(Some(&status), &a) && !is_first_deploy(Some(&status), &b));
    }

    proptest! {
        #[test]
        fn it_is_the_first_exactly_while_only_the_wanted_one_was_applied(digits in prop::collection::vec("[abc]", 0..8), wanted in "[abc]") {
            let digit = |text: &String| text.chars().next().unwrap();
            let mut status = EnvironmentStatus::default();
            for text in &digits {
                record(&mut status, &revision(digit(text)));
            }
            let only = digits.iter().all(|text| *text == wanted);
            prop_assert_eq!(is_first_deploy(Some(&status), &revision(digit(&wanted))), only);
        }
    }
}
