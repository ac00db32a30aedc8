//! What is created, refreshed and left alone.

use super::*;
use crate::domain::git::Fork;

fn names(wanted: &[Wanted]) -> Vec<&str> {
    wanted.iter().map(|wanted| wanted.branch.as_str()).collect()
}

fn reason(roster: &Roster, branch_name: &str) -> Option<SkipReason> {
    let of_branch = |skipped: &&Skipped| skipped.branch == branch(branch_name);
    roster.skipped.iter().find(of_branch).map(|skipped| skipped.reason)
}

#[test]
fn feature_t1_a_new_branch_gets_an_environment_and_an_unchanged_one_no_write() {
    let there = [existing("1", "a", 'a')];
    let roster = ask(listing("1", &[("a", 'a'), ("b", 'b')]), &there).decide();
    assert_eq!(names(&roster.create), ["b"]);
    assert_eq!(roster.create[0].name, computed("1", "b"));
    assert!(roster.refresh.is_empty());
    assert!(is_quiet(&ask(listing("1", &[("a", 'a')]), &there).decide()));
}

#[test]
fn f66_a_branch_that_moved_anywhere_is_refreshed_under_its_stored_name() {
    let mut there = existing("1", "a", 'b');
    there.name = "stored-long-ago-aaaaaaaaaa".parse().unwrap();
    let there = [there];
    for head in ['a', 'c'] {
        let roster = ask(listing("1", &[("a", head)]), &there).decide();
        assert_eq!(roster.refresh.len(), 1);
        assert_eq!(
            roster.refresh[0].name, there[0].name,
            "feature_n3: the name is never computed again"
        );
        assert_eq!(roster.refresh[0].revision, revision(head));
        assert!(roster.create.is_empty());
    }
}

#[test]
fn f60_only_what_the_host_says_now_counts_however_hints_were_ordered() {
    // "deleted" was delivered although the branch is there: a replayed or reordered delivery.
    let there = [existing("1", "a", 'a')];
    let roster = ask(Facts::Lookups(vec![sighted("1", "a", Some('a'), true)]), &there).decide();
    assert!(is_quiet(&roster));
    assert!(roster.absences.is_empty());
    // "pushed" was delivered although the branch is gone and has no environment.
    let roster = ask(Facts::Lookups(vec![sighted("1", "b", None, false)]), &[]).decide();
    assert!(is_quiet(&roster));
}

#[test]
fn f60_a_branch_that_two_looks_disagree_about_is_present() {
    let there = [existing("1", "a", 'a')];
    for looks in [[Some('b'), None], [None, Some('b')]] {
        let looks = looks.map(|head| sighted("1", "a", head, true)).to_vec();
        let roster = ask(Facts::Lookups(looks), &there).decide();
        assert_eq!(names(&roster.refresh), ["a"]);
        assert!(roster.retire.is_empty());
        assert!(roster.absences.is_empty());
    }
}

#[test]
fn f61_a_branch_that_was_looked_up_twice_is_created_once_and_retired_once() {
    let twice = |head| Facts::Lookups(vec![sighted("1", "a", head, true), sighted("1", "a", head, true)]);
    assert_eq!(names(&ask(twice(Some('a')), &[]).decide().create), ["a"]);
    let there = [existing("1", "a", 'a')];
    assert_eq!(ask(twice(None), &there).decide().retire.len(), 1);
}

#[test]
fn f65_a_renamed_repository_keeps_its_environments_and_another_one_touches_none() {
    let there = [existing("1", "a", 'a')];
    let Facts::Listing(mut renamed) = listing("1", &[("a", 'a')]) else {
        unreachable!("a listing was asked for")
    };
    renamed.repository.name = "acme/store".parse().unwrap();
    assert!(is_quiet(&ask(Facts::Listing(renamed), &there).decide()));
    let roster = ask(listing("2", &[]), &there).seen_absent(&there[0], 0).decide();
    assert!(roster.retire.is_empty());
    assert_eq!(
        roster.absences.len(),
        1,
        "nothing was learned about the environment of the other repository"
    );
}

#[test]
fn f69_a_tag_is_no_branch_so_its_facts_never_reach_the_roster() {
    assert!(BranchName::from_full_ref("refs/tags/a").is_none());
}

#[test]
fn f79_the_same_branch_of_two_repositories_is_two_environments() {
    let there = [existing("1", "a", 'a')];
    let roster = ask(listing("2", &[("a", 'a')]), &there).decide();
    assert_eq!(names(&roster.create), ["a"]);
    assert_ne!(roster.create[0].name, there[0].name);
}

#[test]
fn feature_t2_a_pull_request_belongs_to_the_environment_of_its_branch_and_forks_to_none() {
    let mut fork = pull_request(3, "a");
    fork.fork = Some(Fork {
        revision: revision('f'),
        repository: Some("stranger/shop".to_owned()),
    });
    let Facts::Listing(mut facts) = listing("1", &[("a", 'a')]) else {
        unreachable!("a listing was asked for")
    };
    facts.pull_requests = vec![fork, pull_request(9, "a"), pull_request(7, "a"), pull_request(5, "b")];
    let roster = ask(Facts::Listing(facts.clone()), &[]).decide();
    assert_eq!(roster.create.len(), 1);
    assert_eq!(roster.create[0].pull_request, Some(pull_request(7, "a")));
    facts.pull_requests.reverse();
    let other_order = ask(Facts::Listing(facts), &[]).decide();
    assert_eq!(roster, other_order, "the order in which a host lists changes nothing");
}

#[test]
fn a_listing_and_a_look_up_agree_about_two_pull_requests_from_one_branch() {
    let mut there = existing("1", "a", 'a');
    there.pull_request = Some(pull_request(7, "a"));
    let there = [there];
    let Facts::Listing(mut facts) = listing("1", &[("a", 'a')]) else {
        unreachable!("a listing was asked for")
    };
    // GitHub lists the newest first; a look-up answers with the lowest number.
    facts.pull_requests = vec![pull_request(9, "a"), pull_request(7, "a")];
    assert!(is_quiet(&ask(Facts::Listing(facts), &there).decide()));
    let mut look = sighted("1", "a", Some('a'), false);
    look.lookup.pull_request = Some(pull_request(7, "a"));
    assert!(is_quiet(&ask(Facts::Lookups(vec![look]), &there).decide()));
}

#[test]
fn f68_feature_x8_a_push_to_a_branch_whose_environment_is_ending_waits() {
    let there = [deleting("1", "a")];
    let roster = ask(listing("1", &[("a", 'b')]), &there).decide();
    assert!(is_quiet(&roster));
    assert_eq!(reason(&roster, "a"), Some(SkipReason::BeingTornDown));
    // It has ended: a fresh one.
    assert_eq!(names(&ask(listing("1", &[("a", 'b')]), &[]).decide().create), ["a"]);
}

#[test]
fn the_living_one_of_two_environments_of_a_branch_is_refreshed_wherever_it_stands() {
    let mut by_hand = existing("1", "a", 'a');
    by_hand.name = "made-by-hand".parse().unwrap();
    for there in [[deleting("1", "a"), by_hand.clone()], [by_hand.clone(), deleting("1", "a")]] {
        let roster = ask(listing("1", &[("a", 'b')]), &there).decide();
        assert_eq!(roster.refresh.len(), 1);
        assert_eq!(roster.refresh[0].name, by_hand.name);
        assert!(roster.create.is_empty());
    }
}

#[test]
fn feature_n2_a_name_that_is_taken_is_a_reason_and_never_an_adoption() {
    let mut squatter = existing("1", "b", 'b');
    squatter.name = computed("1", "a");
    let there = [squatter];
    let roster = ask(listing("1", &[("a", 'a'), ("b", 'b')]), &there).decide();
    assert!(is_quiet(&roster));
    assert_eq!(reason(&roster, "a"), Some(SkipReason::NameTaken));
}

#[test]
fn feature_l5_at_capacity_new_branches_wait_and_existing_environments_are_untouched() {
    let there = [existing("1", "a", 'a'), deleting("1", "z")];
    let mut asked = ask(listing("1", &[("a", 'b'), ("b", 'b'), ("c", 'c')]), &there);
    asked.project.max_environments = Some(3);
    let roster = asked.decide();
    assert_eq!(names(&roster.create), ["b"]);
    assert_eq!(names(&roster.refresh), ["a"]);
    assert_eq!(reason(&roster, "c"), Some(SkipReason::AtCapacity));
    asked.project.max_environments = Some(0);
    let roster = asked.decide();
    assert_eq!(names(&roster.refresh), ["a"]);
    assert!(roster.create.is_empty() && roster.retire.is_empty());
}

#[test]
fn feature_n4_every_branch_without_an_environment_has_its_reason() {
    let facts = listing("1", &[("protected/x", 'a'), ("wip/x", 'b')]);
    let roster = ask(facts, &[]).decide();
    assert!(is_quiet(&roster));
    assert_eq!(reason(&roster, "protected/x"), Some(SkipReason::Protected));
    assert_eq!(reason(&roster, "wip/x"), Some(SkipReason::Excluded));
    assert_eq!(reason(&roster, "main"), Some(SkipReason::Excluded));
}

#[test]
fn a_suspended_project_does_nothing_and_forgets_nothing() {
    let there = [existing("1", "a", 'a')];
    let mut asked = ask(listing("1", &[("b", 'b')]), &there).seen_absent(&there[0], 0);
    asked.project.suspended = true;
    let roster = asked.decide();
    assert!(is_quiet(&roster) && roster.skipped.is_empty());
    assert_eq!(roster.absences, asked.absences);
}

#[test]
fn every_reason_is_a_sentence_of_its_own() {
    let reasons = [
        SkipReason::Protected,
        SkipReason::Excluded,
        SkipReason::NotIncluded,
        SkipReason::AtCapacity,
        SkipReason::BeingTornDown,
        SkipReason::NameTaken,
        SkipReason::Expired,
        SkipReason::PullRequestClosed,
        SkipReason::TooManyEnded,
    ];
    let texts: std::collections::BTreeSet<_> = reasons.iter().map(|reason| reason.text()).collect();
    assert_eq!(texts.len(), reasons.len());
}
