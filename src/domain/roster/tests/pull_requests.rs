//! Which pull requests count, and what becomes of an environment whose pull request does not (any more).

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::policy::{Drafts, Filter, Filters, Globs, Needs, OnClose, PullRequestPolicy};

/// Pull requests count that bear the label `preview` and are no drafts.
fn gated(needs: Needs, on_close: OnClose) -> PullRequestPolicy {
    PullRequestPolicy {
        needs,
        on_close,
        filters: Filters {
            labels: BTreeSet::from(["preview".to_owned()]),
            drafts: Drafts::Ignore,
            ..Filters::default()
        },
    }
}

fn labelled(branch_name: &str, labels: &[&str]) -> PullRequest {
    PullRequest {
        labels: labels.iter().map(ToString::to_string).collect(),
        ..pull_request(7, branch_name)
    }
}

/// A look-up of the branch `a` at `head` with this pull request, as one delivery leads to.
fn event(head: char, pull_request: Option<PullRequest>) -> Facts {
    let mut sighted = sighted("1", "a", Some(head), false);
    sighted.lookup.pull_request = pull_request;
    Facts::Lookups(vec![sighted])
}

fn with(policy: PullRequestPolicy, facts: Facts, existing: &[Existing]) -> Asked<'_> {
    let mut asked = ask(facts, existing);
    asked.project.pull_requests = policy;
    asked.server_time = Some(100_000);
    asked
}

fn of_pull_request(pull_request: PullRequest) -> Existing {
    Existing {
        pull_request: Some(pull_request),
        ..existing("1", "a", 'a')
    }
}

fn only_reason(roster: &Roster) -> Option<SkipReason> {
    roster.skipped.first().map(|skipped| skipped.reason)
}

#[test]
fn feature_t5_the_gating_label_creates_and_its_removal_tears_down_within_one_event() {
    let policy = || gated(Needs::PullRequest, OnClose::Keep);
    let branch_alone = with(policy(), event('a', None), &[]).decide();
    assert!(is_quiet(&branch_alone));
    assert_eq!(only_reason(&branch_alone), Some(SkipReason::NoPullRequest));
    let opened = with(policy(), event('a', Some(labelled("a", &[]))), &[]).decide();
    assert!(is_quiet(&opened));
    assert_eq!(only_reason(&opened), Some(SkipReason::Filtered(Filter::Labels)));
    let on = with(policy(), event('a', Some(labelled("a", &["preview"]))), &[]).decide();
    assert_eq!(on.create.len(), 1);

    let there = [of_pull_request(labelled("a", &["preview"]))];
    let off = with(policy(), event('a', Some(labelled("a", &["other"]))), &there).decide();
    assert_eq!(off.retire.len(), 1);
    let filter = Filter::Labels;
    assert_eq!(off.retire[0].proof, Proof::PullRequestFiltered { number: 7, filter });
    assert!(off.ended.is_empty(), "the label alone decides whether it comes back");
}

#[test]
fn feature_t5_an_unrelated_label_changes_the_record_and_nothing_else() {
    let there = [of_pull_request(labelled("a", &["preview"]))];
    let facts = event('a', Some(labelled("a", &["preview", "size/S"])));
    let roster = with(gated(Needs::PullRequest, OnClose::Teardown), facts, &there).decide();
    assert_eq!((roster.refresh.len(), roster.retire.len(), roster.rest.len()), (1, 0, 0));
    assert_eq!(roster.refresh[0].revision.as_str(), there[0].revision);
}

#[test]
fn feature_t6_a_draft_that_is_ready_gets_an_environment_without_a_push() {
    let draft = PullRequest {
        draft: true,
        ..labelled("a", &["preview"])
    };
    let policy = || gated(Needs::PullRequest, OnClose::Keep);
    let before = with(policy(), event('a', Some(draft)), &[]).decide();
    assert_eq!(only_reason(&before), Some(SkipReason::Filtered(Filter::Drafts)));
    let ready = with(policy(), event('a', Some(labelled("a", &["preview"]))), &[]).decide();
    assert_eq!(ready.create.len(), 1);
}

#[test]
fn a_branch_that_gets_an_environment_by_its_name_keeps_it_whatever_its_pull_request_is() {
    let there = [of_pull_request(labelled("a", &["preview"]))];
    for needs in [Needs::Branch, Needs::Either] {
        let unlabelled = || event('a', Some(labelled("a", &[])));
        let roster = with(gated(needs, OnClose::Keep), unlabelled(), &there).decide();
        assert_eq!((roster.retire.len(), roster.refresh.len()), (0, 1), "{needs:?}");
        assert_eq!(with(gated(needs, OnClose::Keep), unlabelled(), &[]).decide().create.len(), 1);
    }
}

#[test]
fn where_either_is_enough_a_branch_outside_of_the_globs_needs_a_pull_request_and_an_excluded_one_gets_nothing() {
    let globs = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let policy = BranchPolicy::new(&globs(&["release/*"]), &globs(&["wip/**"]), &[]).unwrap();
    let decide = |branch_name: &str, pull_request: Option<PullRequest>| {
        let mut sighted = sighted("1", branch_name, Some('a'), false);
        sighted.lookup.pull_request = pull_request;
        let mut asked = with(gated(Needs::Either, OnClose::Keep), Facts::Lookups(vec![sighted]), &[]);
        asked.project.branches = policy.clone();
        asked.decide().create.len()
    };
    assert_eq!(decide("release/1", None), 1);
    assert_eq!(decide("a", None), 0);
    assert_eq!(decide("a", Some(labelled("a", &["preview"]))), 1);
    assert_eq!(decide("a", Some(labelled("a", &[]))), 0);
    assert_eq!(decide("wip/x", Some(labelled("wip/x", &["preview"]))), 0);
}

#[test]
fn feature_t12_a_pull_request_from_a_fork_is_none_of_the_branch_that_bears_its_name() {
    let Facts::Listing(mut facts) = listing("1", &[("a", 'a')]) else {
        unreachable!("a listing was asked for")
    };
    facts.pull_requests = vec![PullRequest {
        fork: Some(crate::domain::git::Fork {
            revision: revision('f'),
            repository: Some("stranger/shop".into()),
        }),
        ..labelled("a", &["preview"])
    }];
    let roster = with(gated(Needs::PullRequest, OnClose::Keep), Facts::Listing(facts), &[]).decide();
    assert!(is_quiet(&roster));
}

fn watching(paths: &str, facts: Facts) -> Asked<'static> {
    let mut asked = with(gated(Needs::PullRequest, OnClose::Keep), facts, &[]);
    asked.project.pull_requests.filters.paths = Globs::new("paths", &[paths.to_owned()]).unwrap();
    asked
}

#[test]
fn feature_t7_what_changes_no_watched_path_gets_nothing_and_what_is_not_known_gets_an_environment() {
    let decide = |known: Option<Option<&[&str]>>| {
        let mut asked = watching("web/**", event('a', Some(labelled("a", &["preview"]))));
        if let Some(paths) = known {
            let paths = paths.map(|paths| paths.iter().map(ToString::to_string).collect());
            asked.changed_paths.insert(("main".into(), revision('a')), paths);
        }
        asked.decide()
    };
    assert_eq!(decide(Some(Some(&["web/a", "api/b"]))).create.len(), 1);
    let skipped = decide(Some(Some(&["api/b", "web"])));
    assert_eq!((skipped.create.len(), only_reason(&skipped)), (0, Some(SkipReason::NoWatchedPath)));
    assert_eq!(SkipReason::NoWatchedPath.text(), "no watched path changed");
    assert_eq!(decide(Some(None)).create.len(), 1, "the host cannot tell all of them");
    assert_eq!(decide(None).create.len(), 1, "nobody asked yet");
    // A renamed file has two paths, either of which is enough.
    assert_eq!(decide(Some(Some(&["lib/new", "web/old"]))).create.len(), 1);
}

#[test]
fn feature_t7_only_what_would_begin_because_of_its_pull_request_is_asked_for_its_paths() {
    let unknown = |asked: &Asked<'_>| asked.question(|question| decide(question).unknown_paths(question));
    let facts = || event('a', Some(labelled("a", &["preview"])));
    assert_eq!(unknown(&watching("web/**", facts())), [("main".to_owned(), revision('a'))]);
    let mut known = watching("web/**", facts());
    known.changed_paths.insert(("main".into(), revision('a')), None);
    assert!(unknown(&known).is_empty());
    let mut by_name = watching("web/**", facts());
    by_name.project.pull_requests.needs = Needs::Either;
    assert!(unknown(&by_name).is_empty());
    assert!(unknown(&watching("web/**", event('a', Some(labelled("a", &[]))))).is_empty());
    let there = [of_pull_request(labelled("a", &["preview"]))];
    let mut running = watching("web/**", event('b', Some(labelled("a", &["preview"]))));
    running.existing = &there;
    assert!(unknown(&running).is_empty(), "one that is there follows its branch");
    assert_eq!(running.decide().refresh.len(), 1);
}

#[test]
fn feature_t4_a_closed_pull_request_puts_to_sleep_and_a_push_or_reopening_wakes() {
    let policy = || gated(Needs::Branch, OnClose::Sleep);
    let there = [of_pull_request(pull_request(7, "a"))];
    let first = with(policy(), event('a', None), &there).decide();
    assert!(is_quiet(&first), "one look proves nothing");
    let mut asked = with(policy(), event('a', None), &there);
    asked.closures.insert(there[0].name.clone(), Duration::ZERO);
    let slept = asked.decide();
    assert_eq!((slept.rest.len(), slept.retire.len(), slept.refresh.len()), (1, 0, 0));
    let mark = slept.rest[0].wanted.grace.clone().unwrap();
    assert_eq!(mark.state, GraceState::Sleeping);
    assert!(
        mark.reason.starts_with("pull request 7 of branch a is open no more"),
        "{}",
        mark.reason
    );

    let asleep = [Existing {
        grace: Some(mark),
        ..there[0].clone()
    }];
    let quiet = with(policy(), event('a', None), &asleep).decide();
    assert!(is_quiet(&quiet) && quiet.closures.is_empty(), "{quiet:?}");
    let pushed = with(policy(), event('b', None), &asleep).decide();
    assert_eq!(
        (pushed.refresh[0].grace.as_ref(), pushed.refresh[0].pull_request.as_ref()),
        (None, None)
    );
    let reopened = with(policy(), event('a', Some(pull_request(7, "a"))), &asleep).decide();
    assert_eq!(reopened.refresh[0].grace, None);
    assert!(reopened.refresh[0].pull_request.is_some());
    let mut kept = with(policy(), event('a', None), &asleep);
    kept.project.pull_requests.on_close = OnClose::Keep;
    assert_eq!(kept.decide().refresh[0].grace, None, "the Project lets it sleep no more");
}

#[test]
fn an_environment_that_sleeps_goes_with_its_branch_and_by_its_ttl() {
    let asleep = [Existing {
        grace: Some(Grace::sleeping(Timestamp::from_second(50_000).unwrap(), "because".into())),
        active: Some(Timestamp::from_second(50_000).unwrap()),
        ..of_pull_request(pull_request(7, "a"))
    }];
    let gone = Facts::Lookups(vec![sighted("1", "a", None, true)]);
    let roster = with(gated(Needs::Branch, OnClose::Sleep), gone.clone(), &asleep).decide();
    assert_eq!(
        (roster.retire.len(), roster.retire[0].grace.as_ref()),
        (1, asleep[0].grace.as_ref())
    );
    let mut graced = with(gated(Needs::Branch, OnClose::Sleep), gone, &asleep);
    graced.project.grace_after_delete = Some("1h".parse().unwrap());
    let rested = graced.decide();
    assert_eq!(rested.rest[0].wanted.grace.as_ref().unwrap().state, GraceState::Resting);
    let mut idle = with(gated(Needs::Branch, OnClose::Sleep), event('a', None), &asleep);
    idle.project.ttl = Some(Duration::from_secs(50_000));
    assert_eq!(idle.decide().retire.len(), 1);
}

#[test]
fn who_was_woken_by_request_runs_for_a_day_and_sleeps_again() {
    let woken = |until: i64| {
        let asleep = Grace::sleeping(Timestamp::from_second(0).unwrap(), "because".into());
        let mark = asleep.restored(Timestamp::from_second(until - 86_400).unwrap());
        assert_eq!(
            (mark.state, mark.until),
            (GraceState::Woken, Timestamp::from_second(until).unwrap())
        );
        [Existing {
            grace: Some(mark),
            ..of_pull_request(pull_request(7, "a"))
        }]
    };
    let awake = woken(100_001);
    assert!(is_quiet(
        &with(gated(Needs::Branch, OnClose::Sleep), event('a', None), &awake).decide()
    ));
    let over = woken(100_000);
    let roster = with(gated(Needs::Branch, OnClose::Sleep), event('a', None), &over).decide();
    assert_eq!(roster.rest[0].wanted.grace.as_ref().unwrap().state, GraceState::Sleeping);
}

#[test]
fn many_pull_requests_that_are_closed_or_unlabelled_at_once_are_held() {
    let names: Vec<_> = (0..10).map(|number| format!("b{number}")).collect();
    let there: Vec<_> = names
        .iter()
        .map(|name| Existing {
            pull_request: Some(labelled(name, &["preview"])),
            ..existing("1", name, 'a')
        })
        .collect();
    let heads: Vec<_> = names.iter().map(|name| (name.as_str(), 'a')).collect();
    for on_close in [OnClose::Sleep, OnClose::Teardown] {
        let mut asked = with(gated(Needs::Branch, on_close), listing("1", &heads), &there);
        asked.closures = there.iter().map(|one| (one.name.clone(), Duration::ZERO)).collect();
        let held = asked.decide();
        assert_eq!((held.retire.len(), held.rest.len()), (0, 0), "{on_close:?}");
        assert_eq!(held.held.unwrap().environments.len(), 10);
    }
    let Facts::Listing(mut unlabelled) = listing("1", &heads) else {
        unreachable!("a listing was asked for")
    };
    unlabelled.pull_requests = names.iter().map(|name| labelled(name, &[])).collect();
    let held = with(gated(Needs::PullRequest, OnClose::Keep), Facts::Listing(unlabelled), &there).decide();
    assert_eq!((held.retire.len(), held.held.unwrap().environments.len()), (0, 10));
}

/// What happens next to one branch.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Push(char),
    DeleteBranch,
    Open,
    Close,
    Label(bool),
    Unrelated(bool),
    Draft(bool),
    Listing,
    /// A look-up; whether a signed delivery announced a deletion.
    Event(bool),
    TornDown,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        2 => prop::sample::select(vec!['1', '2', '3']).prop_map(Happens::Push),
        1 => Just(Happens::DeleteBranch),
        3 => Just(Happens::Open),
        2 => Just(Happens::Close),
        3 => any::<bool>().prop_map(Happens::Label),
        1 => any::<bool>().prop_map(Happens::Unrelated),
        2 => any::<bool>().prop_map(Happens::Draft),
        4 => Just(Happens::Listing),
        4 => any::<bool>().prop_map(Happens::Event),
        2 => Just(Happens::TornDown),
    ]
}

/// One branch as it really is, and what the controller keeps.
struct Repo {
    policy: PullRequestPolicy,
    head: Option<char>,
    open: bool,
    label: bool,
    unrelated: bool,
    draft: bool,
    existing: Vec<Existing>,
    absences: Absences,
    closures: Absences,
    ended: Vec<Ended>,
    now: u64,
    /// Since when no look has shown an open pull request.
    closed_since: Option<u64>,
}

impl Repo {
    fn pull_request(&self) -> Option<PullRequest> {
        let labels = [("preview", self.label), ("other", self.unrelated)];
        (self.open && self.head.is_some()).then(|| PullRequest {
            labels: labels.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).to_owned()).collect(),
            draft: self.draft,
            ..pull_request(7, "a")
        })
    }

    /// Whether the branch is to have an environment, by the words of the issue.
    fn is_wanted(&self) -> bool {
        let by_pull_request = self.head.is_some() && self.open && self.label && !self.draft;
        match self.policy.needs {
            Needs::Branch | Needs::Either => self.head.is_some(),
            Needs::PullRequest => by_pull_request,
        }
    }

    fn facts(&self, happens: Happens) -> Option<Facts> {
        let mut sighted = match happens {
            Happens::Listing => {
                let heads: Vec<_> = self.head.map(|digit| ("a", digit)).into_iter().collect();
                let Facts::Listing(mut facts) = listing("1", &heads) else {
                    unreachable!("a listing was asked for")
                };
                facts.pull_requests = self.pull_request().into_iter().collect();
                return Some(Facts::Listing(facts));
            }
            Happens::Event(announced) => sighted("1", "a", self.head, announced),
            _ => return None,
        };
        sighted.lookup.pull_request = self.pull_request();
        Some(Facts::Lookups(vec![sighted]))
    }

    fn change(&mut self, happens: Happens) {
        match happens {
            Happens::Push(digit) => self.head = Some(digit),
            Happens::DeleteBranch => (self.head, self.open) = (None, false),
            Happens::Open => self.open = self.head.is_some(),
            Happens::Close => self.open = false,
            Happens::Label(on) => self.label = on,
            Happens::Unrelated(on) => self.unrelated = on,
            Happens::Draft(on) => self.draft = on,
            Happens::TornDown => self.existing.retain(|environment| !environment.deleting),
            Happens::Listing | Happens::Event(_) => {}
        }
    }

    fn look(&mut self, facts: Facts) -> Roster {
        self.closed_since = match self.open {
            true => None,
            false => self.closed_since.or(Some(self.now)),
        };
        let existing = self.existing.clone();
        let mut asked = with(self.policy.clone(), facts, &existing);
        asked.absences.clone_from(&self.absences);
        asked.closures.clone_from(&self.closures);
        asked.ended.clone_from(&self.ended);
        asked.at = self.now;
        asked.server_time = i64::try_from(self.now).ok();
        asked.decide()
    }

    fn apply(&mut self, roster: &Roster) {
        self.absences.clone_from(&roster.absences);
        self.closures.clone_from(&roster.closures);
        self.ended.clone_from(&roster.ended);
        for wanted in roster.refresh.iter().chain(roster.rest.iter().map(|rest| &rest.wanted)) {
            for environment in self.existing.iter_mut().filter(|environment| environment.name == wanted.name) {
                environment.revision = wanted.revision.to_string();
                environment.pull_request.clone_from(&wanted.pull_request);
                environment.grace.clone_from(&wanted.grace);
            }
        }
        for environment in &mut self.existing {
            environment.deleting |= roster.retire.iter().any(|retirement| retirement.name == environment.name);
        }
        self.existing.extend(roster.create.iter().map(|wanted| Existing {
            pull_request: wanted.pull_request.clone(),
            ..existing("1", "a", wanted.revision.as_str().chars().next().unwrap())
        }));
    }

    /// Every rule that no roster may break.
    fn check(&self, roster: &Roster) {
        assert!(
            roster.create.is_empty() || self.is_wanted(),
            "an environment without a reason: {roster:?}"
        );
        assert!(
            roster.create.is_empty() || self.existing.is_empty(),
            "a second environment for one branch"
        );
        for retirement in &roster.retire {
            match retirement.proof {
                Proof::PullRequestFiltered { .. } => {
                    assert!(
                        self.open && !self.is_wanted(),
                        "torn down although its pull request passes: {roster:?}"
                    );
                }
                Proof::PullRequestClosed { .. } => {
                    assert_eq!(self.policy.on_close, OnClose::Teardown);
                    self.check_closed(roster);
                }
                Proof::SeenTwice(_) | Proof::AnnouncedAndConfirmed => assert_eq!(self.head, None),
                Proof::Expired { .. } => panic!("nothing expires here: {roster:?}"),
            }
        }
        if let Some(rest) = roster.rest.first() {
            assert_eq!(
                (self.policy.on_close, rest.wanted.grace.as_ref().unwrap().state),
                (OnClose::Sleep, GraceState::Sleeping)
            );
            self.check_closed(roster);
        }
        let touched = roster.create.len() + roster.refresh.len() + roster.retire.len() + roster.rest.len();
        assert!(touched <= 1, "one decision, one verdict: {roster:?}");
    }

    fn check_closed(&self, roster: &Roster) {
        let since = self.closed_since.unwrap_or(self.now);
        assert!(
            !self.open && self.now - since >= CONFIRMATION.as_secs(),
            "closed without proof: {roster:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn feature_t2_feature_t4_feature_t5_f67_f68_no_history_leaves_an_environment_without_a_reason_or_makes_two(
        needs in prop::sample::select(vec![Needs::Branch, Needs::PullRequest, Needs::Either]),
        on_close in prop::sample::select(vec![OnClose::Keep, OnClose::Sleep, OnClose::Teardown]),
        steps in prop::collection::vec((happens(), 0..90_u64), 1..50),
    ) {
        let mut repo = Repo {
            policy: gated(needs, on_close), head: None, open: false, label: false, unrelated: false, draft: false, existing: Vec::new(),
            absences: Absences::new(), closures: Absences::new(), ended: Vec::new(), now: 0, closed_since: None,
        };
        for (happens, seconds) in steps {
            repo.now += seconds;
            repo.change(happens);
            let Some(facts) = repo.facts(happens) else { continue };
            let roster = repo.look(facts);
            repo.check(&roster);
            repo.apply(&roster);
        }
        // Nothing happens any more: sweeps alone bring what should be, and then nothing changes.
        for _ in 0..6 {
            repo.now += CONFIRMATION.as_secs();
            repo.change(Happens::TornDown);
            let roster = repo.look(repo.facts(Happens::Listing).unwrap());
            repo.check(&roster);
            repo.apply(&roster);
        }
        let last = repo.look(repo.facts(Happens::Listing).unwrap());
        prop_assert!(is_quiet(&last), "{:?}", last);
        let environment = repo.existing.first();
        prop_assert!(repo.head.is_some() || environment.is_none(), "the branch is gone");
        if repo.open {
            prop_assert_eq!(environment.is_some(), repo.is_wanted());
            prop_assert!(environment.is_none_or(|environment| environment.grace.is_none()), "its pull request is open");
        }
        if let Some(environment) = environment {
            let head = revision(repo.head.unwrap());
            prop_assert_eq!(&environment.revision, head.as_str());
        }
    }
}
