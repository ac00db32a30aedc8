//! The proof of absence.

use super::*;

fn proofs(roster: &Roster) -> Vec<Proof> {
    roster.retire.iter().map(|retirement| retirement.proof).collect()
}

#[test]
fn feature_x7_one_sighting_of_absence_is_remembered_and_retires_nothing() {
    let there = [existing("1", "a", 'a')];
    let roster = ask(listing("1", &[]), &there).decide();
    assert!(is_quiet(&roster));
    assert_eq!(roster.absences[&there[0].name], Duration::from_secs(1000));
}

#[test]
fn feature_x7_two_sightings_prove_the_absence_only_when_far_enough_apart() {
    let there = [existing("1", "a", 'a')];
    for (first, apart) in [(940, true), (941, false), (1000, false), (2000, false)] {
        let roster = ask(listing("1", &[]), &there).seen_absent(&there[0], first).decide();
        assert_eq!(!roster.retire.is_empty(), apart, "first seen at {first}");
        assert_eq!(
            roster.absences[&there[0].name],
            Duration::from_secs(first),
            "the first sighting stays the first"
        );
    }
    let roster = ask(listing("1", &[]), &there).seen_absent(&there[0], 0).decide();
    assert_eq!(proofs(&roster), [Proof::SeenTwice(Duration::from_secs(1000))]);
}

#[test]
fn feature_x7_sightings_at_the_same_instant_are_one_even_if_no_distance_is_asked_for() {
    let there = [existing("1", "a", 'a')];
    let asked = ask(listing("1", &[]), &there).seen_absent(&there[0], 1000);
    let roster = decide(&Question {
        project: &asked.project,
        host_url: HOST,
        facts: &asked.facts,
        existing: &shared(&there),
        absences: &asked.absences,
        now: Duration::from_secs(1000),
        confirmation: Duration::ZERO,
        released: None,
        held: None,
        ended: &[],
        closures: &Absences::new(),
        changed_paths: &ChangedPaths::new(),
        approved_forks: &ApprovedForks::new(),
        tells_pull_requests: false,
        server_time: None,
    });
    assert!(is_quiet(&roster));
}

#[test]
fn feature_t3_an_announced_deletion_needs_one_read_that_confirms_it() {
    let there = [existing("1", "a", 'a')];
    let announced = |head| Facts::Lookups(vec![sighted("1", "a", head, true)]);
    assert_eq!(proofs(&ask(announced(None), &there).decide()), [Proof::AnnouncedAndConfirmed]);
    assert!(is_quiet(&ask(announced(Some('a')), &there).decide()));
    let unannounced = Facts::Lookups(vec![sighted("1", "a", None, false)]);
    assert!(is_quiet(&ask(unannounced, &there).decide()));
}

#[test]
fn a_branch_that_came_back_starts_from_nothing() {
    let there = [existing("1", "a", 'a')];
    for facts in [
        listing("1", &[("a", 'a')]),
        Facts::Lookups(vec![sighted("1", "a", Some('a'), false)]),
    ] {
        let back = ask(facts, &there).seen_absent(&there[0], 0).decide();
        assert!(back.absences.is_empty());
    }
}

#[test]
fn a_branch_that_came_back_clears_the_absence_of_each_of_its_environments() {
    let mut by_hand = existing("1", "a", 'a');
    by_hand.name = "made-by-hand".parse().unwrap();
    let there = [existing("1", "a", 'a'), by_hand];
    let back = ask(listing("1", &[("a", 'a')]), &there)
        .seen_absent(&there[0], 0)
        .seen_absent(&there[1], 0)
        .decide();
    assert!(back.absences.is_empty());
}

#[test]
fn f64_a_listing_without_its_default_branch_proves_nothing() {
    let there = [existing("1", "a", 'a')];
    let Facts::Listing(complete) = listing("1", &[("b", 'b')]) else {
        unreachable!("a listing was asked for")
    };
    let mut without_main = complete.clone();
    without_main.branches.remove(&branch("main"));
    let mut empty = complete.clone();
    empty.branches.clear();
    let mut no_default = complete;
    no_default.repository.default_branch = None;
    for facts in [without_main, empty, no_default] {
        let asked = ask(Facts::Listing(facts), &there).seen_absent(&there[0], 0);
        let roster = asked.decide();
        assert!(is_quiet(&roster) && roster.skipped.is_empty());
        assert_eq!(roster.absences, asked.absences);
    }
}

#[test]
fn f64_a_look_up_that_misses_even_the_default_branch_proves_nothing() {
    let there = [existing("1", "main", '1')];
    let mut asked = ask(Facts::Lookups(vec![sighted("1", "main", None, true)]), &there);
    assert!(is_quiet(&asked.decide()));
    let mut emptied = sighted("1", "a", None, true);
    emptied.lookup.repository.default_branch = None;
    asked.facts = Facts::Lookups(vec![emptied]);
    let there = [existing("1", "a", 'a')];
    asked.existing = &there;
    assert!(is_quiet(&asked.decide()));
}

#[test]
fn f67_a_branch_that_is_gone_retires_its_environment_once() {
    let there = [existing("1", "a", 'a')];
    let gone = Facts::Lookups(vec![sighted("1", "a", None, true)]);
    assert_eq!(ask(gone.clone(), &there).decide().retire.len(), 1);
    let ending = [deleting("1", "a")];
    let roster = ask(gone, &ending).decide();
    assert!(is_quiet(&roster));
    assert!(roster.absences.is_empty(), "what is ending needs no memory");
}

#[test]
fn feature_n4_a_protected_branch_is_never_retired() {
    let there = [existing("1", "protected/x", 'a')];
    let gone = [listing("1", &[]), Facts::Lookups(vec![sighted("1", "protected/x", None, true)])];
    for facts in gone {
        assert!(is_quiet(&ask(facts, &there).seen_absent(&there[0], 0).decide()));
    }
}
