//! Arbitrary histories of a repository, seen through arbitrary answers: what the roster does must hold for all of them.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::domain::deadline::Span;

const BRANCHES: [&str; 6] = ["a", "b", "feature/x", "wip/y", "protected/z", "main"];

/// What happens next.
#[derive(Debug, Clone)]
enum Happening {
    /// The repository changes: the branch gets this head, or is deleted. `main` never goes.
    Change(usize, Option<char>),
    /// A complete, honest listing.
    Listing,
    /// An answer that lost the default branch and maybe more.
    Truncated(Vec<usize>),
    /// A complete listing of another repository under the same name.
    OtherRepository,
    /// Honest look-ups, some after a signed "deleted".
    Lookups(Vec<(usize, bool)>),
    /// The host answers with an error: nothing is decided.
    Error,
    /// A teardown ends.
    TornDown(usize),
    /// The process starts again and forgets.
    Restart,
    /// Somebody suspends or resumes the Project.
    Suspend(bool),
    /// Somebody asks for an environment whose branch is gone.
    Restore(usize),
    /// The API server's clock cannot be relied on, or is behind by so much.
    Clock(Option<u64>),
}

fn happening() -> impl Strategy<Value = Happening> {
    let head = prop::option::of(prop::sample::select(vec!['1', '2', '3']));
    prop_oneof![
        4 => (0..5_usize, head).prop_map(|(branch, head)| Happening::Change(branch, head)),
        4 => Just(Happening::Listing),
        1 => prop::collection::vec(0..5_usize, 0..5).prop_map(Happening::Truncated),
        1 => Just(Happening::OtherRepository),
        3 => prop::collection::vec((0..6_usize, any::<bool>()), 0..4).prop_map(Happening::Lookups),
        1 => Just(Happening::Error),
        2 => (0..6_usize).prop_map(Happening::TornDown),
        1 => Just(Happening::Restart),
        1 => any::<bool>().prop_map(Happening::Suspend),
        1 => (0..5_usize).prop_map(Happening::Restore),
        1 => prop::option::of(0..100_u64).prop_map(Happening::Clock),
    ]
}

/// The world as it really is, and what the controller keeps.
struct World {
    heads: HashMap<&'static str, char>,
    existing: Vec<Existing>,
    absences: Absences,
    suspended: bool,
    grace: Option<Span>,
    /// By how much the clock that is told is behind; `None`: nothing is told.
    behind: Option<u64>,
    now: u64,
    /// When an honest answer that could prove something last said that the branch is absent, in an unbroken row.
    absent_since: HashMap<&'static str, u64>,
}

impl World {
    fn new() -> Self {
        Self {
            heads: HashMap::from([("main", '1')]),
            existing: Vec::new(),
            absences: Absences::new(),
            suspended: false,
            grace: None,
            behind: Some(0),
            now: 0,
            absent_since: HashMap::new(),
        }
    }

    fn facts(&self, happening: &Happening) -> Option<Facts> {
        let heads = |keep: &dyn Fn(&str) -> bool| -> BTreeMap<BranchName, Revision> {
            let kept = self.heads.iter().filter(|(name, _)| keep(name));
            kept.map(|(name, digit)| (branch(name), revision(*digit))).collect()
        };
        let listing = |id: &str, branches| {
            Some(Facts::Listing(Listing {
                repository: repository(id),
                branches,
                pull_requests: Vec::new(),
            }))
        };
        match happening {
            Happening::Listing => listing("1", heads(&|_| true)),
            Happening::OtherRepository => listing("2", BTreeMap::from([(branch("main"), revision('9'))])),
            Happening::Truncated(lost) => listing(
                "1",
                heads(&|name| name != "main" && !lost.iter().any(|lost| BRANCHES[*lost] == name)),
            ),
            Happening::Lookups(hints) => Some(Facts::Lookups(
                hints
                    .iter()
                    .map(|(index, announced)| {
                        let name = BRANCHES[*index];
                        sighted("1", name, self.heads.get(name).copied(), *announced)
                    })
                    .collect(),
            )),
            _ => None,
        }
    }

    /// What an honest answer shows to somebody who keeps books independently of the roster.
    fn witness(&mut self, happening: &Happening) {
        let shown: Vec<usize> = match happening {
            _ if self.suspended => return,
            Happening::Listing => (0..BRANCHES.len()).collect(),
            Happening::Lookups(hints) => hints.iter().map(|(index, _)| *index).collect(),
            _ => return,
        };
        for name in shown.into_iter().map(|index| BRANCHES[index]) {
            if self.heads.contains_key(name) {
                self.absent_since.remove(name);
            } else {
                self.absent_since.entry(name).or_insert(self.now);
            }
        }
    }

    fn apply(&mut self, roster: &Roster) {
        for wanted in &roster.create {
            self.existing.push(Existing {
                name: wanted.name.clone(),
                uid: format!("uid {}", self.existing.len()),
                branch: wanted.branch.clone(),
                repository: wanted.repository.clone(),
                revision: wanted.revision.to_string(),
                pull_request: None,
                grace: None,
                active: None,
                pinned: false,
                deleting: false,
            });
        }
        for environment in &mut self.existing {
            if let Some(wanted) = roster.refresh.iter().find(|wanted| wanted.name == environment.name) {
                environment.revision = wanted.revision.to_string();
                environment.grace = None;
            }
            if let Some(rest) = roster.rest.iter().find(|rest| rest.wanted.name == environment.name) {
                environment.grace.clone_from(&rest.wanted.grace);
            }
            environment.deleting |= roster.retire.iter().any(|retirement| retirement.name == environment.name);
        }
        self.absences.clone_from(&roster.absences);
    }

    fn restore(&mut self, name: &str) {
        let now = at(self.now);
        for environment in self.existing.iter_mut().filter(|environment| environment.branch.as_str() == name) {
            let resting = environment.grace.as_ref().filter(|grace| grace.state == GraceState::Resting);
            if let Some(restored) = resting.map(|grace| grace.restored(now)) {
                environment.grace = Some(restored);
            }
        }
    }

    fn ask(&self, facts: Facts) -> Roster {
        let mut asked = ask(facts, &self.existing);
        asked.project.suspended = self.suspended;
        asked.project.grace_after_delete = self.grace;
        asked.absences.clone_from(&self.absences);
        asked.at = self.now;
        asked.server_time = self.behind.map(|behind| at(self.now.saturating_sub(behind)).as_second());
        asked.decide()
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn span(seconds: u64) -> Span {
    format!("{seconds}s").parse().unwrap()
}

/// Every rule that no roster may break.
fn check(world: &World, happening: &Happening, roster: &Roster) {
    let by_name = |name: &EnvironmentName| world.existing.iter().find(|environment| environment.name == *name);
    for wanted in &roster.create {
        assert!(by_name(&wanted.name).is_none(), "created twice: {wanted:?}");
        assert_eq!(
            world.heads.get(wanted.branch.as_str()).map(|digit| revision(*digit)),
            Some(wanted.revision.clone())
        );
        assert!(!wanted.branch.as_str().starts_with("wip/") && wanted.branch.as_str() != "main");
    }
    for wanted in &roster.refresh {
        assert!(by_name(&wanted.name).is_some_and(|environment| !environment.deleting), "{wanted:?}");
    }
    for (environment, branch) in ending(roster) {
        let name = branch.as_str();
        assert!(
            !world.heads.contains_key(name),
            "S4: {name} is there, and was retired or put to rest after {happening:?}"
        );
        let announced =
            matches!(happening, Happening::Lookups(hints) if hints.iter().any(|(index, announced)| BRANCHES[*index] == name && *announced));
        let first = world.absent_since.get(name).copied().unwrap_or(world.now);
        assert!(
            announced || world.now - first >= CONFIRMATION.as_secs(),
            "S4: {name} was retired without proof"
        );
        assert!(by_name(environment).is_some_and(|environment| !environment.deleting));
    }
    check_rest(world, roster);
    let touched: Vec<_> = roster
        .create
        .iter()
        .chain(&roster.refresh)
        .map(|wanted| &wanted.name)
        .chain(ending(roster).into_iter().map(|(name, _)| name))
        .collect();
    assert_eq!(
        touched.iter().collect::<BTreeSet<_>>().len(),
        touched.len(),
        "one decision, one verdict: {roster:?}"
    );
    let protected = |name: &EnvironmentName| by_name(name).is_some_and(|environment| environment.branch.as_str().starts_with("protected/"));
    assert!(!touched.into_iter().any(protected), "feature_n4: {roster:?}");
    assert!(ending(roster).len() <= 3.max(world.existing.len() * 30 / 100));
    if world.suspended {
        assert!(is_quiet(roster));
    }
}

/// What goes, for good or to rest.
fn ending(roster: &Roster) -> Vec<(&EnvironmentName, &BranchName)> {
    let retired = roster.retire.iter().map(|retirement| (&retirement.name, &retirement.branch));
    let resting = roster.rest.iter().map(|rest| (&rest.wanted.name, &rest.wanted.branch));
    retired.chain(resting).collect()
}

/// Whatever the clock said: nothing goes before its time of grace is really over, and nothing rests twice in a row.
fn check_rest(world: &World, roster: &Roster) {
    let mark = |name: &EnvironmentName| {
        let of_name = world.existing.iter().find(|environment| environment.name == *name);
        of_name.and_then(|environment| environment.grace.as_ref())
    };
    for retirement in &roster.retire {
        let over = mark(&retirement.name).is_some_and(|grace| grace.state == GraceState::Resting && grace.until <= at(world.now));
        assert!(world.grace.is_none() || over, "feature_x12: {retirement:?} at {}", world.now);
        assert_eq!(retirement.grace.as_ref(), mark(&retirement.name));
    }
    for rest in &roster.rest {
        assert_eq!(rest.before.as_ref(), mark(&rest.wanted.name));
        assert!(
            rest.before
                .as_ref()
                .is_none_or(|grace| grace.state == GraceState::Restored && grace.until <= at(world.now))
        );
        let grace = rest.wanted.grace.as_ref().unwrap();
        assert_eq!(grace.state, GraceState::Resting);
        assert!(grace.since <= at(world.now) && grace.until == grace.since + world.grace.unwrap().duration());
    }
    assert!(world.behind.is_some() || roster.rest.is_empty() && (world.grace.is_none() || roster.retire.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn f64_feature_x12_no_history_makes_the_roster_retire_without_proof_or_too_early_or_create_twice(
        steps in prop::collection::vec((happening(), 0..90_u64), 1..60),
        grace in prop::option::of(1..200_u64),
    ) {
        let mut world = World::new();
        world.grace = grace.map(span);
        // One that somebody made before the branch became protected.
        world.existing.push(existing("1", "protected/z", '1'));
        for (happening, seconds) in steps {
            world.now += seconds;
            match &happening {
                Happening::Change(index, Some(head)) => { world.heads.insert(BRANCHES[*index], *head); }
                Happening::Change(index, None) => { world.heads.remove(BRANCHES[*index]); }
                Happening::TornDown(index) => world.existing.retain(|environment| !environment.deleting || environment.branch.as_str() != BRANCHES[*index]),
                Happening::Restart => { world.absences.clear(); }
                Happening::Suspend(suspended) => world.suspended = *suspended,
                Happening::Restore(index) => world.restore(BRANCHES[*index]),
                Happening::Clock(behind) => world.behind = *behind,
                _ => {}
            }
            world.witness(&happening);
            let Some(facts) = world.facts(&happening) else { continue };
            let roster = world.ask(facts);
            check(&world, &happening, &roster);
            world.apply(&roster);
            if matches!(happening, Happening::Listing) && !world.suspended {
                let marked = world.existing.iter().filter(|environment| !environment.deleting && environment.grace.is_some());
                let there: Vec<_> = marked.filter(|environment| world.heads.contains_key(environment.branch.as_str())).collect();
                prop_assert!(there.is_empty(), "feature_x12: they rest although their branch is there: {there:?}");
            }
        }
    }

    #[test]
    fn feature_x12_an_environment_without_its_branch_always_ends_whoever_restores_it(
        grace in 1..500_u64, restore in prop::option::of(0..1000_u64), interval in 1..70_u64,
    ) {
        let mut world = World::new();
        world.grace = Some(span(grace));
        world.existing.push(existing("1", "a", '1'));
        let mut restores = restore;
        // Two sightings apart, a rest, as much time again by request, another rest; each noticed by the next listing.
        let most = CONFIRMATION.as_secs() + 3 * (grace + 1) + 5 * interval;
        while world.existing.iter().any(|environment| !environment.deleting) {
            prop_assert!(world.now <= most, "still there after {most} s");
            world.now += interval;
            if restores.is_some_and(|at| at <= world.now) && world.existing[0].grace.as_ref().is_some_and(|mark| mark.state == GraceState::Resting) {
                world.restore("a");
                restores = None;
            }
            let roster = world.ask(world.facts(&Happening::Listing).unwrap());
            check_rest(&world, &roster);
            world.apply(&roster);
        }
        let waited = grace + CONFIRMATION.as_secs();
        prop_assert!(world.now >= waited, "gone after {} s instead of {waited}", world.now);
    }

    #[test]
    fn feature_t9_two_sweeps_end_where_no_event_was_lost(heads in prop::collection::btree_map(0..3_usize, prop::sample::select(vec!['1', '2']), 0..3),
                                                         before in prop::collection::btree_map(0..3_usize, prop::sample::select(vec!['1', '2']), 0..3)) {
        let mut world = World::new();
        for (index, head) in &heads {
            world.heads.insert(BRANCHES[*index], *head);
        }
        world.existing = before.iter().map(|(index, head)| existing("1", BRANCHES[*index], *head)).collect();
        for now in [100, 200] {
            let existing = world.existing.clone();
            let mut asked = ask(world.facts(&Happening::Listing).unwrap(), &existing);
            asked.absences.clone_from(&world.absences);
            asked.at = now;
            world.apply(&asked.decide());
            world.existing.retain(|environment| !environment.deleting);
        }
        let there: BTreeMap<_, _> = world.existing.iter().map(|environment| (environment.branch.to_string(), environment.revision.clone())).collect();
        let wanted: BTreeMap<_, _> = heads.iter().map(|(index, head)| (BRANCHES[*index].to_owned(), revision(*head).to_string())).collect();
        prop_assert_eq!(there, wanted);
    }

    #[test]
    fn the_order_of_branches_and_environments_does_not_matter(
        hints in prop::collection::vec((0..6_usize, prop::option::of(prop::sample::select(vec!['1', '2'])), any::<bool>()), 0..8).prop_shuffle(),
        there in prop::sample::subsequence(BRANCHES.to_vec(), 0..6).prop_shuffle(),
        capacity in prop::option::of(0..6_u32),
    ) {
        let existing_in = |names: &[&str]| names.iter().map(|name| existing("1", name, '1')).collect::<Vec<_>>();
        let facts = |hints: &[(usize, Option<char>, bool)]| Facts::Lookups(hints.iter().map(|(index, head, announced)| sighted("1", BRANCHES[*index], *head, *announced)).collect());
        let (mut sorted_hints, mut sorted_there) = (hints.clone(), there.clone());
        sorted_hints.sort();
        sorted_there.sort_unstable();
        let decide = |hints: &[_], there: &[_]| {
            let existing = existing_in(there);
            let mut asked = ask(facts(hints), &existing);
            asked.project.max_environments = capacity;
            asked.decide()
        };
        prop_assert_eq!(decide(&hints, &there), decide(&sorted_hints, &sorted_there));
    }
}
