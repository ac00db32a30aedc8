//! The time of grace after a branch is gone.
#![allow(clippy::panic, reason = "a roster of another shape is the test's failure")]

use super::*;

const GRACE: u64 = 3600;

fn time(seconds: u64) -> Option<Timestamp> {
    Some(Timestamp::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The Project grants an hour, and `there` was first seen to be absent long ago.
fn absent(there: &[Existing], now: Option<Timestamp>) -> Asked<'_> {
    let mut asked = ask(listing("1", &[]), there);
    asked.project.grace_after_delete = Some("1h".parse().unwrap());
    asked.server_time = now.map(Timestamp::as_second);
    for environment in there {
        asked = asked.seen_absent(environment, 0);
    }
    asked
}

fn marked(state: GraceState, until: u64) -> Existing {
    Existing {
        grace: Some(Grace {
            state,
            since: time(until - GRACE).unwrap(),
            until: time(until).unwrap(),
            reason: "because".into(),
        }),
        ..existing("1", "a", 'a')
    }
}

fn summary(roster: &Roster) -> (usize, usize, usize) {
    (roster.rest.len(), roster.retire.len(), roster.refresh.len())
}

#[test]
fn feature_x12_without_a_time_of_grace_an_environment_goes_with_its_branch() {
    let there = [existing("1", "a", 'a')];
    let mut asked = absent(&there, time(5000));
    asked.project.grace_after_delete = None;
    assert_eq!(summary(&asked.decide()), (0, 1, 0));
}

#[test]
fn feature_x12_with_one_it_rests_first_and_its_mark_says_since_when_until_when_and_why() {
    let there = [existing("1", "a", 'a')];
    let roster = absent(&there, time(5000)).decide();
    assert_eq!(summary(&roster), (1, 0, 0));
    let rest = &roster.rest[0];
    assert_eq!((rest.uid.as_str(), &rest.before), (there[0].uid.as_str(), &None));
    assert_eq!(rest.wanted.revision.as_str(), there[0].revision, "nothing else about it changes");
    let grace = rest.wanted.grace.clone().unwrap();
    assert_eq!(
        (grace.state, Some(grace.since), Some(grace.until)),
        (GraceState::Resting, time(5000), time(5000 + GRACE))
    );
    assert_eq!(grace.reason, "branch a is gone: the host said so twice, 16m 40s apart");
}

#[test]
fn feature_x12_it_rests_until_its_own_time_is_over_whatever_the_project_says_by_then() {
    let there = [marked(GraceState::Resting, 9000)];
    for granted in [None, Some("1s".parse().unwrap()), Some("30d".parse().unwrap())] {
        for (now, goes) in [(8999, false), (9000, true), (90_000, true)] {
            let mut asked = absent(&there, time(now));
            asked.project.grace_after_delete = granted;
            assert_eq!(summary(&asked.decide()), (0, usize::from(goes), 0), "{granted:?} at {now}");
        }
    }
}

#[test]
fn f84_without_a_sure_time_nothing_rests_and_nothing_ends_its_rest() {
    for there in [
        [existing("1", "a", 'a')],
        [marked(GraceState::Resting, 9000)],
        [marked(GraceState::Restored, 9000)],
    ] {
        assert_eq!(summary(&absent(&there, None).decide()), (0, 0, 0), "{there:?}");
    }
}

#[test]
fn feature_x12_time_alone_ends_nothing_without_a_proof_of_absence() {
    let there = [marked(GraceState::Resting, 9000)];
    let mut once = absent(&there, time(99_000));
    once.absences.clear();
    assert_eq!(summary(&once.decide()), (0, 0, 0), "after a restart, one sighting is none");
    let mut truncated = absent(&there, time(99_000));
    let Facts::Listing(answer) = &mut truncated.facts else {
        panic!("a listing was asked for")
    };
    answer.branches.clear();
    assert_eq!(summary(&truncated.decide()), (0, 0, 0), "nor does an outage");
}

#[test]
fn feature_x12_a_branch_that_is_back_takes_the_mark_away_at_any_time_and_at_any_revision() {
    for state in [GraceState::Resting, GraceState::Restored] {
        let there = [marked(state, 9000)];
        for (now, head) in [(8000, 'a'), (8000, 'b'), (99_000, 'a')] {
            let mut asked = absent(&there, time(now));
            asked.facts = listing("1", &[("a", head)]);
            let roster = asked.decide();
            assert_eq!(summary(&roster), (0, 0, 1));
            assert_eq!(
                (roster.refresh[0].name.clone(), &roster.refresh[0].grace),
                (there[0].name.clone(), &None)
            );
            assert_eq!(roster.refresh[0].revision, revision(head));
        }
    }
}

#[test]
fn feature_x12_a_branch_that_is_back_but_excluded_wakes_its_environment_as_it_was() {
    let mut there = [marked(GraceState::Resting, 9000)];
    there[0].branch = branch("wip/a");
    let mut asked = absent(&there, time(8000));
    asked.facts = listing("1", &[("wip/a", 'b')]);
    let roster = asked.decide();
    assert_eq!(summary(&roster), (0, 0, 1));
    assert_eq!(roster.refresh[0].revision, revision('a'), "it gets no updates");
}

#[test]
fn feature_x12_what_was_restored_runs_for_its_time_and_then_rests_once_more() {
    let there = [marked(GraceState::Restored, 9000)];
    assert_eq!(summary(&absent(&there, time(8999)).decide()), (0, 0, 0));
    let roster = absent(&there, time(9000)).decide();
    assert_eq!(summary(&roster), (1, 0, 0));
    assert_eq!(roster.rest[0].before, there[0].grace);
    let mut off = absent(&there, time(9000));
    off.project.grace_after_delete = None;
    assert_eq!(summary(&off.decide()), (0, 1, 0));
}

#[test]
fn feature_x12_a_restored_environment_gets_as_much_time_as_its_rest_was_granted() {
    let mark = marked(GraceState::Resting, 9000).grace.unwrap();
    let restored = mark.restored(time(8500).unwrap());
    assert_eq!((restored.state, Some(restored.until)), (GraceState::Restored, time(8500 + GRACE)));
}

#[test]
fn feature_x12_the_brake_holds_what_goes_to_rest_as_it_holds_what_goes_for_good() {
    let there: Vec<_> = (0..5).map(|number| existing("1", &format!("b{number}"), 'a')).collect();
    let held = absent(&there, time(5000)).decide();
    assert_eq!(summary(&held), (0, 0, 0));
    let brake = held.held.unwrap();
    let mut released = absent(&there, time(5000));
    released.released = Some(&brake.digest);
    assert_eq!(summary(&released.decide()), (5, 0, 0));
    let mut later: Vec<_> = there.clone();
    for environment in &mut later {
        environment.grace = marked(GraceState::Resting, 9000).grace;
    }
    let mut over = absent(&later, time(9000));
    over.released = Some(&brake.digest);
    assert_eq!(summary(&over.decide()), (0, 5, 0));
    over.released = None;
    assert_eq!(summary(&over.decide()), (0, 0, 0), "F84: many at once are asked about");
}

#[test]
fn feature_x12_feature_l5_an_environment_at_rest_counts_against_the_most_that_there_may_be() {
    let there = [marked(GraceState::Resting, 9000)];
    let mut asked = absent(&there, time(8000));
    asked.facts = listing("1", &[("b", 'b')]);
    asked.project.max_environments = Some(1);
    let roster = asked.decide();
    assert!(roster.create.is_empty());
    assert_eq!(
        roster
            .skipped
            .iter()
            .filter(|skipped| skipped.reason == SkipReason::AtCapacity)
            .count(),
        1
    );
}

#[test]
fn feature_n4_feature_x12_a_protected_branch_neither_rests_nor_wakes() {
    let mut there = [marked(GraceState::Resting, 9000)];
    there[0].branch = branch("protected/x");
    assert!(is_quiet(&absent(&there, time(99_000)).decide()));
    let mut back = absent(&there, time(99_000));
    back.facts = listing("1", &[("protected/x", 'b')]);
    assert!(is_quiet(&back.decide()));
}

#[test]
fn feature_x12_feature_l1_a_branch_that_is_back_after_longer_than_the_ttl_does_not_expire_for_it() {
    let mut there = [marked(GraceState::Resting, 9000)];
    there[0].active = time(0);
    let mut asked = absent(&there, time(8000));
    asked.project.ttl = Some(Duration::from_secs(60));
    asked.facts = listing("1", &[("a", 'a')]);
    assert_eq!(summary(&asked.decide()), (0, 0, 1));
}
