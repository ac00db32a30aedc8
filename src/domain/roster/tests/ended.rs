//! Environments that a rule of the Project ends while their branch is there.

use super::*;
use crate::domain::policy::OnClose;

const DAY: i64 = 24 * 60 * 60;

fn idle(branch_name: &str, since: i64) -> Existing {
    Existing {
        active: Some(Timestamp::from_second(since).unwrap()),
        ..existing("1", branch_name, 'a')
    }
}

fn with_pull_request(number: u64, branch_name: &str) -> Existing {
    Existing {
        pull_request: Some(pull_request(number, branch_name)),
        ..existing("1", branch_name, 'a')
    }
}

fn ended(branch_name: &str, digit: char, because: EndedBecause) -> Ended {
    Ended {
        repository: "1".parse().unwrap(),
        branch: branch(branch_name),
        revision: revision(digit),
        because,
    }
}

/// A Project with a `ttl` of a day.
fn with_ttl(facts: Facts, existing: &[Existing], server_time: Option<i64>) -> Asked<'_> {
    let mut asked = ask(facts, existing);
    asked.project.ttl = Some(Duration::from_secs(86_400));
    asked.server_time = server_time;
    asked
}

/// A Project that ends environments with their pull requests; the host shows the branch `a` at `head`.
fn on_close(existing: &[Existing], head: char, open: Option<u64>) -> Asked<'_> {
    let Facts::Listing(mut facts) = listing("1", &[("a", head)]) else {
        unreachable!("a listing was asked for")
    };
    facts.pull_requests = open.map(|number| pull_request(number, "a")).into_iter().collect();
    let mut asked = ask(Facts::Listing(facts), existing);
    asked.project.pull_requests.on_close = OnClose::Teardown;
    asked
}

fn seen_closed<'a>(mut asked: Asked<'a>, environment: &Existing) -> Asked<'a> {
    asked.closures.insert(environment.name.clone(), Duration::from_secs(0));
    asked
}

fn skip_reason(roster: &Roster) -> Option<SkipReason> {
    roster
        .skipped
        .iter()
        .find(|skipped| skipped.branch == branch("a"))
        .map(|skipped| skipped.reason)
}

#[test]
fn feature_l1_at_the_deadline_an_environment_goes_and_its_branch_is_remembered_in_the_same_answer() {
    let there = [idle("a", 1000)];
    let before = with_ttl(listing("1", &[("a", 'a')]), &there, Some(1000 + DAY - 1)).decide();
    assert!(is_quiet(&before) && before.ended.is_empty());
    let at = with_ttl(listing("1", &[("a", 'a')]), &there, Some(1000 + DAY)).decide();
    assert_eq!(at.retire.len(), 1);
    let day = Duration::from_secs(86_400);
    assert_eq!(at.retire[0].proof, Proof::Expired { idle: day, ttl: day });
    assert_eq!(at.ended, [ended("a", 'a', EndedBecause::Expired)]);
}

#[test]
fn f84_nothing_expires_without_a_time_that_can_be_relied_on_or_before_its_last_activity() {
    let there = [idle("a", 1000), existing("1", "b", 'a')];
    for server_time in [None, Some(0), Some(-30 * DAY)] {
        let roster = with_ttl(listing("1", &[("a", 'a'), ("b", 'a')]), &there, server_time).decide();
        assert!(is_quiet(&roster), "{server_time:?}: {roster:?}");
    }
    let unknown = with_ttl(listing("1", &[("b", 'a')]), &there[1..], Some(100 * DAY)).decide();
    assert!(is_quiet(&unknown), "nobody knows since when nothing happened: {unknown:?}");
}

#[test]
fn feature_l1_an_environment_of_a_project_without_a_ttl_lives_as_long_as_its_branch() {
    let there = [idle("a", 0)];
    let mut asked = with_ttl(listing("1", &[("a", 'a')]), &there, Some(1000 * DAY));
    asked.project.ttl = None;
    assert!(is_quiet(&asked.decide()));
}

#[test]
fn feature_l1_an_expired_branch_stays_without_an_environment_until_it_moves() {
    let look = |facts: Facts, existing: &[Existing], memory: &[Ended]| {
        let mut asked = with_ttl(facts, existing, None);
        asked.ended = memory.to_vec();
        asked.decide()
    };
    let memory = [ended("a", 'a', EndedBecause::Expired)];
    let ending = look(listing("1", &[("a", 'a')]), &[deleting("1", "a")], &memory);
    assert_eq!(ending.ended, memory, "while it is being torn down");
    let same = look(listing("1", &[("a", 'a')]), &[], &memory);
    assert!(is_quiet(&same));
    assert_eq!(
        (skip_reason(&same), same.ended.as_slice()),
        (Some(SkipReason::Expired), &memory[..])
    );
    let by_hint = look(Facts::Lookups(vec![sighted("1", "a", Some('a'), false)]), &[], &memory);
    assert!(is_quiet(&by_hint) && by_hint.ended == memory, "a repeated delivery is no push");
    let other = look(Facts::Lookups(vec![sighted("1", "b", Some('b'), false)]), &[], &memory);
    assert_eq!(other.ended, memory, "a look at another branch forgets nothing");
    let pushed = look(listing("1", &[("a", 'b')]), &[], &memory);
    assert_eq!(pushed.create.len(), 1);
    assert!(pushed.ended.is_empty());
}

#[test]
fn the_memory_goes_with_the_branch_and_never_because_of_an_answer_that_proves_nothing() {
    let memory = [ended("a", 'a', EndedBecause::Expired)];
    let after = |facts: Facts| {
        let mut asked = ask(facts, &[]);
        asked.ended = memory.to_vec();
        asked.decide().ended
    };
    assert!(after(listing("1", &[])).is_empty());
    assert!(after(Facts::Lookups(vec![sighted("1", "a", None, false)])).is_empty());
    assert_eq!(after(listing("2", &[])), memory, "another repository");
    let Facts::Listing(mut truncated) = listing("1", &[("a", 'b')]) else {
        unreachable!("a listing was asked for")
    };
    truncated.branches.remove(&branch("main"));
    assert_eq!(after(Facts::Listing(truncated)), memory, "an outage in disguise");
    let mut suspended = ask(listing("1", &[]), &[]);
    suspended.ended = memory.to_vec();
    suspended.project.suspended = true;
    assert_eq!(suspended.decide().ended, memory);
}

#[test]
fn f50_a_push_in_the_look_of_the_deadline_wins_and_one_after_it_brings_a_fresh_environment() {
    let there = [idle("a", 0)];
    let pushed = with_ttl(listing("1", &[("a", 'b')]), &there, Some(2 * DAY)).decide();
    assert!(pushed.retire.is_empty() && pushed.ended.is_empty());
    assert_eq!(pushed.refresh.len(), 1);
    // The deadline was decided before the push was seen; the teardown is under way.
    let mut asked = with_ttl(listing("1", &[("a", 'b')]), &[], Some(2 * DAY));
    asked.ended = vec![ended("a", 'a', EndedBecause::Expired)];
    let torn = [deleting("1", "a")];
    asked.existing = &torn;
    let waiting = asked.decide();
    assert!(is_quiet(&waiting) && waiting.ended.is_empty());
    asked.existing = &[];
    asked.ended = waiting.ended;
    assert_eq!(asked.decide().create.len(), 1);
}

#[test]
fn f50_a_crash_between_the_memory_and_the_deletion_leaves_an_environment_that_expires_again_or_lives_on() {
    let there = [idle("a", 0)];
    let mut asked = with_ttl(listing("1", &[("a", 'a')]), &there, Some(2 * DAY));
    asked.ended = vec![ended("a", 'a', EndedBecause::Expired)];
    let again = asked.decide();
    assert_eq!((again.retire.len(), again.ended.as_slice()), (1, asked.ended.as_slice()));
    // Something happened to it meanwhile: it lives, and what was remembered is no longer so.
    let touched = [idle("a", 2 * DAY)];
    asked.existing = &touched;
    let lives = asked.decide();
    assert!(is_quiet(&lives) && lives.ended.is_empty());
}

#[test]
fn a_mass_expiry_is_held_and_remembers_nothing_while_branches_that_are_gone_go() {
    let mut there: Vec<_> = (0..10).map(|number| idle(&format!("b{number}"), 0)).collect();
    there.push(idle("gone", 0));
    let heads: Vec<_> = (0..10).map(|number| (format!("b{number}"), 'a')).collect();
    let heads: Vec<_> = heads.iter().map(|(name, digit)| (name.as_str(), *digit)).collect();
    let mut asked = with_ttl(listing("1", &heads), &there, Some(2 * DAY)).seen_absent(&there[10], 0);
    let held = asked.decide();
    assert_eq!(
        held.retire.iter().map(|retirement| retirement.branch.as_str()).collect::<Vec<_>>(),
        ["gone"]
    );
    assert_eq!(held.held.as_ref().unwrap().environments.len(), 10);
    assert!(held.ended.is_empty(), "what stays is not remembered as ended");
    let digest = held.held.unwrap().digest;
    asked.released = Some(&digest);
    let released = asked.decide();
    assert_eq!((released.retire.len(), released.ended.len()), (11, 10));
    assert!(released.held.is_none());
}

#[test]
fn when_no_more_branches_can_be_remembered_their_environments_stay() {
    let there = [idle("a", 0)];
    let mut asked = with_ttl(listing("1", &[("a", 'a')]), &there, Some(2 * DAY));
    asked.ended = (0..MOST_ENDED)
        .map(|number| Ended {
            repository: "2".parse().unwrap(),
            ..ended(&format!("x{number}"), 'a', EndedBecause::Expired)
        })
        .collect();
    let full = asked.decide();
    assert!(is_quiet(&full));
    assert_eq!((full.ended.len(), skip_reason(&full)), (MOST_ENDED, Some(SkipReason::TooManyEnded)));
}

#[test]
fn a_closed_pull_request_ends_the_environment_only_where_the_project_says_so_and_the_host_can_tell() {
    let there = [with_pull_request(7, "a")];
    let mut asked = seen_closed(on_close(&there, 'a', None), &there[0]);
    let roster = asked.decide();
    let apart = Duration::from_secs(1000);
    assert_eq!(roster.retire[0].proof, Proof::PullRequestClosed { number: 7, apart });
    assert_eq!(roster.ended, [ended("a", 'a', EndedBecause::PullRequestClosed)]);
    asked.plain_git = true;
    assert!(asked.decide().retire.is_empty(), "such a host shows no pull request, open or not");
    asked.plain_git = false;
    asked.project.pull_requests.on_close = OnClose::Keep;
    let kept = asked.decide();
    assert!(kept.retire.is_empty());
    assert_eq!(kept.refresh[0].pull_request, None);
}

#[test]
fn one_list_without_a_pull_request_ends_nothing_and_forgets_nothing() {
    let there = [with_pull_request(7, "a")];
    let first = on_close(&there, 'a', None).decide();
    assert!(is_quiet(&first), "not even the record of the pull request goes: {first:?}");
    assert_eq!(first.closures.len(), 1);
    // It was there all the time.
    let mut asked = on_close(&there, 'a', Some(7));
    asked.closures = first.closures;
    let again = asked.decide();
    assert!(is_quiet(&again) && again.closures.is_empty());
}

#[test]
fn what_was_pushed_and_merged_at_once_is_ended_at_what_was_merged() {
    let there = [with_pull_request(7, "a")];
    let first = on_close(&there, 'b', None).decide();
    assert_eq!(
        first.refresh[0].pull_request,
        Some(pull_request(7, "a")),
        "the push is shown, the record stays"
    );
    let roster = seen_closed(on_close(&there, 'b', None), &there[0]).decide();
    assert!(roster.refresh.is_empty());
    assert_eq!(roster.ended, [ended("a", 'b', EndedBecause::PullRequestClosed)]);
}

#[test]
fn reopening_or_a_push_brings_the_environment_back_and_the_branch_alone_does_not() {
    let look = |head, open| {
        let mut asked = on_close(&[], head, open);
        asked.ended = vec![ended("a", 'a', EndedBecause::PullRequestClosed)];
        asked.decide()
    };
    let same = look('a', None);
    assert_eq!((is_quiet(&same), skip_reason(&same)), (true, Some(SkipReason::PullRequestClosed)));
    for (head, open) in [('a', Some(7)), ('a', Some(8)), ('b', None)] {
        let back = look(head, open);
        assert_eq!((back.create.len(), back.ended.len()), (1, 0), "{head} {open:?}");
    }
}

#[test]
fn f67_merged_then_deleted_or_deleted_then_closed_is_one_teardown() {
    // Merged first: the environment is ending already when the branch goes.
    let ending = [Existing {
        deleting: true,
        ..with_pull_request(7, "a")
    }];
    let mut asked = ask(listing("1", &[]), &ending);
    asked.project.pull_requests.on_close = OnClose::Teardown;
    asked.ended = vec![ended("a", 'a', EndedBecause::PullRequestClosed)];
    let roster = asked.decide();
    assert!(is_quiet(&roster) && roster.ended.is_empty());
    // Deleted first: that the pull request is closed as well adds nothing.
    let there = [with_pull_request(7, "a")];
    let mut asked = ask(listing("1", &[]), &there).seen_absent(&there[0], 0);
    asked.project.pull_requests.on_close = OnClose::Teardown;
    let roster = seen_closed(asked, &there[0]).decide();
    assert_eq!(roster.retire.len(), 1);
    assert_eq!((roster.retire[0].head.as_ref(), roster.ended.len()), (None, 0));
}

#[test]
fn feature_t11_what_somebody_took_down_stays_down_until_a_push_whatever_a_late_watch_shows() {
    let memory = || vec![ended("a", 'a', EndedBecause::Requested)];
    let look = |head: char, existing: &[Existing]| {
        let mut asked = ask(listing("1", &[("a", head)]), existing);
        asked.ended = memory();
        asked.decide()
    };
    // The watch still shows what was deleted a moment ago.
    let late = look('a', &[existing("1", "a", 'a')]);
    assert_eq!((is_quiet(&late), late.ended), (true, memory()));
    let same = look('a', &[]);
    assert_eq!((is_quiet(&same), skip_reason(&same)), (true, Some(SkipReason::Requested)));
    assert_eq!(same.ended, memory());
    let pushed = look('b', &[]);
    assert_eq!((pushed.create.len(), pushed.ended.len()), (1, 0));
}

#[test]
fn feature_l2_a_pinned_environment_is_left_alone_by_every_rule_and_goes_with_its_branch() {
    let pinned = |environment: Existing| {
        [Existing {
            pinned: true,
            ..environment
        }]
    };
    let idle = pinned(idle("a", 0));
    assert!(is_quiet(&with_ttl(listing("1", &[("a", 'a')]), &idle, Some(100 * DAY)).decide()));
    let closed = pinned(with_pull_request(7, "a"));
    for close in [OnClose::Teardown, OnClose::Sleep] {
        let mut asked = seen_closed(on_close(&closed, 'a', None), &closed[0]);
        asked.project.pull_requests.on_close = close;
        asked.server_time = Some(DAY);
        let roster = asked.decide();
        assert!(is_quiet(&roster) && roster.closures.is_empty(), "{close:?}: {roster:?}");
    }
    let gone = ask(Facts::Lookups(vec![sighted("1", "a", None, true)]), &closed).decide();
    assert_eq!(gone.retire.len(), 1);
}
