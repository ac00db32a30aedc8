//! Pull requests from forks: nothing but what was approved, and never a branch's environment.

use proptest::prelude::*;

use super::*;
use crate::domain::git::Fork;
use crate::domain::policy::Forks;

fn fork_of(number: u64, head: char) -> PullRequest {
    PullRequest {
        fork: Some(Fork {
            revision: revision(head),
            repository: Some("eve/shop".into()),
        }),
        ..pull_request(number, "main")
    }
}

/// A listing of `main` and of these pull requests.
fn pulls(pull_requests: Vec<PullRequest>) -> Facts {
    let Facts::Listing(mut facts) = listing("1", &[]) else {
        unreachable!("a listing was asked for")
    };
    facts.pull_requests = pull_requests;
    Facts::Listing(facts)
}

fn shown(number: u64, digit: char) -> Existing {
    let fork = BranchName::of_pull_request(number);
    Existing {
        name: EnvironmentName::compute(Identity {
            host_url: HOST,
            repository: &"1".parse().unwrap(),
            branch: &fork,
            project: &project().key,
        }),
        pull_request: Some(PullRequest {
            head: fork.clone(),
            ..fork_of(number, digit)
        }),
        branch: fork,
        ..existing("1", "a", digit)
    }
}

fn asked<'a>(facts: Facts, existing: &'a [Existing], approved: &[(u64, char)]) -> Asked<'a> {
    let mut asked = ask(facts, existing);
    asked.project.forks = Forks::Approve;
    asked.approved_forks = approved.iter().map(|(number, digit)| (*number, revision(*digit))).collect();
    asked
}

#[test]
fn threat_t11_a_pull_request_from_a_fork_is_nothing_unless_the_project_approves_forks_and_somebody_its_head() {
    let mut ignored = asked(pulls(vec![fork_of(7, 'a')]), &[], &[(7, 'a')]);
    ignored.project.forks = Forks::Ignore;
    let roster = ignored.decide();
    assert!(is_quiet(&roster) && roster.skipped.iter().all(|skipped| skipped.branch.as_str() == "main"));
    let waiting = asked(pulls(vec![fork_of(7, 'a')]), &[], &[]).decide();
    assert!(is_quiet(&waiting));
    assert!(waiting.skipped.contains(&Skipped {
        branch: BranchName::of_pull_request(7),
        reason: SkipReason::AwaitingApproval
    }));
    for other in [(7, 'b'), (8, 'a')] {
        assert!(is_quiet(&asked(pulls(vec![fork_of(7, 'a')]), &[], &[other]).decide()), "{other:?}");
    }
    let created = asked(pulls(vec![fork_of(7, 'a')]), &[], &[(7, 'a')]).decide();
    assert_eq!(created.create.len(), 1);
    assert_eq!(created.create[0].revision, revision('a'));
    assert_eq!(created.create[0].branch.as_str(), "refs/pull/7/head");
}

#[test]
fn threat_t12_a_push_after_the_approval_shows_nothing_new_until_it_is_approved() {
    let there = [shown(7, 'a')];
    let pushed = asked(pulls(vec![fork_of(7, 'b')]), &there, &[(7, 'a')]).decide();
    assert_eq!((pushed.refresh.len(), pushed.retire.len()), (1, 0), "its record tells the new head");
    assert_eq!(pushed.refresh[0].revision, revision('a'), "what was approved is shown");
    let approved = asked(pulls(vec![fork_of(7, 'b')]), &there, &[(7, 'b')]).decide();
    assert_eq!(approved.refresh[0].revision, revision('b'));
    // A watch that is behind knows an older approval, or none: nothing goes back.
    let newer = [shown(7, 'b')];
    for stale in [&[(7, 'a')][..], &[]] {
        assert!(is_quiet(&asked(pulls(vec![fork_of(7, 'b')]), &newer, stale).decide()), "{stale:?}");
    }
    // Approved before there was an environment, and swapped before it could be made.
    assert!(is_quiet(&asked(pulls(vec![fork_of(7, 'b')]), &[], &[(7, 'a')]).decide()));
}

#[test]
fn feature_t12_a_closed_pull_request_from_a_fork_goes_without_an_approval_after_two_sightings() {
    let there = [shown(7, 'a')];
    let first = asked(pulls(Vec::new()), &there, &[]).decide();
    assert!(is_quiet(&first));
    for forks in [Forks::Approve, Forks::Ignore] {
        let mut second = asked(pulls(Vec::new()), &there, &[(7, 'a')]).seen_absent(&there[0], 0);
        second.project.forks = forks;
        second.project.grace_after_delete = Some("1h".parse().unwrap());
        let roster = second.decide();
        let apart = Duration::from_secs(1000);
        assert_eq!(roster.retire[0].proof, Proof::PullRequestClosed { number: 7, apart }, "{forks:?}");
        assert!(roster.ended.is_empty() && roster.rest.is_empty());
    }
    let mut other = asked(pulls(Vec::new()), &there, &[]).seen_absent(&there[0], 0);
    other.facts = listing("2", &[]);
    assert!(is_quiet(&other.decide()), "another repository says nothing");
    let looked = asked(Facts::Lookups(vec![sighted("1", "a", None, true)]), &there, &[]).decide();
    assert!(is_quiet(&looked) && looked.absences.is_empty());
}

#[test]
fn no_branch_can_bear_the_name_of_a_fork_and_their_environments_have_different_names() {
    assert!("refs/pull/7/head".parse::<BranchName>().is_err());
    let fork = BranchName::of_pull_request(7);
    assert_eq!((fork.full_ref().as_str(), fork.pull_request()), ("refs/pull/7/head", Some(7)));
    assert_eq!(BranchName::from_stored("refs/pull/7/head").unwrap(), fork);
    for nonsense in ["refs/pull/7/merge", "refs/pull/07/head", "refs/pull/+7/head", "refs/pull//head"] {
        assert!(BranchName::from_stored(nonsense).is_err(), "{nonsense}");
    }
    assert_eq!(branch("pull/7/head").pull_request(), None);
}

#[test]
fn an_environment_of_a_fork_expires_and_stays_away_until_its_head_moves() {
    let idle = [Existing {
        active: Some(Timestamp::from_second(0).unwrap()),
        ..shown(7, 'a')
    }];
    let mut expired = asked(pulls(vec![fork_of(7, 'a')]), &idle, &[(7, 'a')]);
    expired.project.ttl = Some(Duration::from_secs(60));
    expired.server_time = Some(1000);
    let roster = expired.decide();
    assert_eq!((roster.retire.len(), roster.ended.len()), (1, 1));
    let look = |head: char, approved: char| {
        let mut asked = asked(pulls(vec![fork_of(7, head)]), &[], &[(7, approved)]);
        asked.ended = roster.ended.clone();
        asked.decide()
    };
    assert!(is_quiet(&look('a', 'a')) && look('a', 'a').ended.len() == 1);
    assert_eq!(look('b', 'b').create.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is pushed, approved, closed and reopened in whatever order: each commit that is shown was approved, word for word.
    #[test]
    fn threat_t11_threat_t12_no_history_shows_a_commit_that_nobody_approved(
        steps in prop::collection::vec((0..6_u8, prop::sample::select(vec!['1', '2', '3']), 0..90_u64), 1..40),
    ) {
        let (mut head, mut open, mut now) = ('1', true, 0);
        let (mut approved, mut ever): (Vec<(u64, char)>, Vec<char>) = (Vec::new(), Vec::new());
        let (mut existing, mut absences): (Vec<Existing>, Absences) = (Vec::new(), Absences::new());
        for (step, digit, seconds) in steps {
            now += seconds;
            match step {
                0 => head = digit,
                // An approval is for the head that the host shows at that moment.
                1 => { approved = vec![(7, head)]; ever.push(head); }
                2 => open = !open,
                3 => existing.retain(|environment| !environment.deleting),
                _ => {
                    let facts = pulls(open.then(|| fork_of(7, head)).into_iter().collect());
                    let mut asked = asked(facts, &existing, &approved);
                    asked.absences.clone_from(&absences);
                    asked.at = now;
                    let roster = asked.decide();
                    for wanted in roster.create.iter().chain(&roster.refresh) {
                        let digit = wanted.revision.as_str().chars().next().unwrap();
                        prop_assert!(ever.contains(&digit), "{wanted:?} was never approved");
                    }
                    prop_assert!(roster.retire.is_empty() || !open);
                    absences.clone_from(&roster.absences);
                    let changed: Vec<_> = roster.refresh.iter().map(|wanted| (wanted.name.clone(), wanted.revision.to_string(), wanted.pull_request.clone())).collect();
                    for environment in &mut existing {
                        environment.deleting |= roster.retire.iter().any(|retirement| retirement.name == environment.name);
                        if let Some((_, revision, pull)) = changed.iter().find(|(name, ..)| *name == environment.name) {
                            environment.revision.clone_from(revision);
                            environment.pull_request.clone_from(pull);
                        }
                    }
                    let made: Vec<_> = roster.create.iter().map(|wanted| shown(7, wanted.revision.as_str().chars().next().unwrap())).collect();
                    existing.extend(made);
                    prop_assert!(existing.len() <= 1);
                }
            }
        }
    }
}
