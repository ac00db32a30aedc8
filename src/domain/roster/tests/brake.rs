//! The brake.

use proptest::prelude::*;

use super::*;

fn environments(count: usize) -> Vec<Existing> {
    (0..count).map(|number| existing("1", &format!("b{number}"), 'a')).collect()
}

/// A listing in which the first `gone` of `existing` are absent, for the second time.
fn asked(existing: &[Existing], gone: usize) -> Asked<'_> {
    let left: Vec<_> = existing[gone..]
        .iter()
        .map(|environment| (environment.branch.as_str(), 'a'))
        .collect();
    let mut asked = ask(listing("1", &left), existing);
    for environment in &existing[..gone] {
        asked = asked.seen_absent(environment, 0);
    }
    asked
}

#[test]
fn f64_the_brake_holds_beyond_three_or_thirty_percent() {
    for (there, gone, held) in [
        (3, 3, false),
        (4, 4, true),
        (10, 3, false),
        (10, 4, true),
        (20, 6, false),
        (20, 7, true),
    ] {
        let existing = environments(there);
        let roster = asked(&existing, gone).decide();
        assert_eq!(roster.held.is_some(), held, "{gone} of {there}");
        assert_eq!(roster.retire.len(), if held { 0 } else { gone }, "{gone} of {there}");
    }
}

#[test]
fn retirements_under_way_count_so_that_a_slow_outage_is_braked_too() {
    let mut existing = environments(4);
    for environment in &mut existing[1..3] {
        environment.deleting = true;
    }
    assert!(asked(&existing, 1).decide().held.is_none());
    existing[3].deleting = true;
    assert!(asked(&existing, 1).decide().held.is_some());
}

#[test]
fn a_release_lets_exactly_these_go() {
    let existing = environments(5);
    let held = asked(&existing, 5).decide().held.unwrap();
    let mut sorted = held.environments.clone();
    sorted.sort();
    assert_eq!(held.environments, sorted);
    let branches: Vec<_> = held.branches.iter().map(ToString::to_string).collect();
    assert_eq!(branches, ["b0", "b1", "b2", "b3", "b4"], "in the order of the names");
    let mut released = asked(&existing, 5);
    released.released = Some(&held.digest);
    let roster = released.decide();
    assert_eq!(roster.retire.len(), 5);
    assert_eq!(roster.held, None);
    assert_eq!(roster.released, Some(held), "so that the release can be used up");
}

#[test]
fn a_release_of_other_environments_releases_nothing() {
    let existing = environments(6);
    let four = asked(&existing, 4).decide().held.unwrap();
    let mut five = asked(&existing, 5);
    for released in [four.digest.as_str(), "", "true"] {
        five.released = Some(released);
        let roster = five.decide();
        assert!(roster.retire.is_empty());
        assert_eq!(roster.held.unwrap().environments.len(), 5);
    }
}

#[test]
fn an_old_release_lets_no_later_environments_of_the_same_branches_go() {
    let mut existing = environments(5);
    let released = asked(&existing, 5).decide().held.unwrap().digest;
    for environment in &mut existing {
        environment.uid.push_str(" of a later life");
    }
    let mut later = asked(&existing, 5);
    later.released = Some(&released);
    assert!(later.decide().retire.is_empty());
}

#[test]
fn while_an_absence_is_not_proven_nothing_is_known_of_what_will_be_held() {
    let existing = environments(5);
    let first = ask(listing("1", &[]), &existing).decide();
    assert!(
        first.held.is_none() && !first.is_decided(),
        "a release given now may be for what is held at the next look"
    );
    assert!(asked(&existing, 5).decide().is_decided());
    assert!(asked(&existing, 0).decide().is_decided());
}

#[test]
fn held_retirements_are_still_held_at_the_next_look() {
    let existing = environments(5);
    let first = asked(&existing, 5).decide();
    let mut second = asked(&existing, 5);
    second.absences = first.absences.clone();
    second.at = 5000;
    assert_eq!(second.decide().held, first.held);
}

proptest! {
    #[test]
    fn f64_no_decision_exceeds_the_brake_unless_exactly_it_was_released(there in 0_usize..40, gone in 0_usize..40, under_way in 0_usize..10) {
        let gone = gone.min(there);
        let mut existing = environments(there);
        let under_way = under_way.min(there - gone);
        for environment in &mut existing[there - under_way..] {
            environment.deleting = true;
        }
        let roster = asked(&existing, gone).decide();
        let most = 3.max(there * 30 / 100);
        if roster.held.is_some() {
            prop_assert!(roster.retire.is_empty());
            prop_assert!(gone + under_way > most);
        } else {
            prop_assert_eq!(roster.retire.len(), gone);
            prop_assert!(gone == 0 || gone + under_way <= most);
        }
    }
}
