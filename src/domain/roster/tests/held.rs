//! Who is held stays held: over looks that show nothing, restarts and returns of others, until the branch is seen or somebody releases.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const MANY: usize = 6;

fn environments(count: usize) -> Vec<Existing> {
    (0..count).map(|number| existing("1", &format!("b{number}"), 'a')).collect()
}

/// What the roster says of environments without these branches, whose absence was first seen long ago, after `held`.
fn absent(existing: &[Existing], gone: &[usize], held: Option<&Roster>) -> Roster {
    let (released, held) = (None, held.and_then(|before| before.held.as_ref()).map(Held::from));
    released_absent(existing, gone, held, released)
}

fn released_absent(existing: &[Existing], gone: &[usize], held: Option<Held>, released: Option<&str>) -> Roster {
    let there = existing.iter().enumerate().filter(|(number, _)| !gone.contains(number));
    let there: Vec<_> = there.map(|(_, environment)| (environment.branch.as_str(), 'a')).collect();
    let mut asked = ask(listing("1", &there), existing);
    for number in gone {
        asked = asked.seen_absent(&existing[*number], 0);
    }
    asked.held = held;
    asked.released = released;
    asked.decide()
}

fn held_branches(roster: &Roster) -> Vec<String> {
    let mut names: Vec<_> = roster
        .held
        .iter()
        .flat_map(|brake| &brake.branches)
        .map(ToString::to_string)
        .collect();
    names.sort();
    names
}

fn retired(roster: &Roster) -> Vec<&str> {
    let mut names: Vec<_> = roster.retire.iter().map(|retirement| retirement.branch.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn f64_of_five_that_are_held_the_three_that_do_not_come_back_stay_held() {
    let existing = environments(MANY);
    let five = absent(&existing, &[0, 1, 2, 3, 4], None);
    assert_eq!(held_branches(&five).len(), 5);
    let three = absent(&existing, &[2, 3, 4], Some(&five));
    assert_eq!(
        (held_branches(&three), retired(&three)),
        (vec!["b2".into(), "b3".into(), "b4".into()], vec![])
    );
    let one = absent(&existing, &[4], Some(&three));
    assert_eq!((held_branches(&one), retired(&one)), (vec!["b4".into()], vec![]));
    let digest = one.held.as_ref().unwrap().digest.clone();
    let released = released_absent(&existing, &[4], one.held.as_ref().map(Held::from), Some(&digest));
    assert_eq!((released.held.as_ref(), retired(&released)), (None, vec!["b4"]));
    let back = absent(&existing, &[], Some(&one));
    assert_eq!((back.held.as_ref(), retired(&back)), (None, vec![]));
}

#[test]
fn who_came_back_is_ordinary_again() {
    let existing = environments(MANY);
    let four = absent(&existing, &[0, 1, 2, 3], None);
    let one = absent(&existing, &[0], Some(&four));
    // Two that were held and came back go once more: with the one that is held they are no more than may go.
    let two = absent(&existing, &[0, 1, 2], Some(&one));
    assert_eq!((held_branches(&two), retired(&two)), (vec!["b0".into()], vec!["b1", "b2"]));
}

#[test]
fn who_disappears_while_others_are_held_is_held_too_if_all_of_them_are_too_many() {
    let existing = environments(MANY);
    let four = absent(&existing, &[0, 1, 2, 3], None);
    let five = absent(&existing, &[0, 1, 2, 3, 4], Some(&four));
    assert_eq!((held_branches(&five).len(), retired(&five)), (5, vec![]));
    let mut by_hint = ask(Facts::Lookups(vec![sighted("1", "b4", None, true)]), &existing);
    by_hint.held = four.held.as_ref().map(Held::from);
    for held in &existing[..4] {
        by_hint = by_hint.seen_absent(held, 0);
    }
    assert_eq!(
        held_branches(&by_hint.decide()).len(),
        5,
        "a signed deletion is no exception: it may be one of many"
    );
}

#[test]
fn a_look_up_of_one_that_is_held_neither_retires_it_nor_forgets_the_others() {
    let existing = environments(MANY);
    let four = absent(&existing, &[0, 1, 2, 3], None);
    for announced in [false, true] {
        let mut asked = ask(Facts::Lookups(vec![sighted("1", "b0", None, announced)]), &existing);
        asked.held = four.held.as_ref().map(Held::from);
        asked = asked.seen_absent(&existing[0], 0);
        let roster = asked.decide();
        assert_eq!(
            (roster.held.as_ref(), retired(&roster)),
            (four.held.as_ref(), vec![]),
            "{announced}"
        );
        asked.released = Some(&four.held.as_ref().unwrap().digest);
        let roster = asked.decide();
        assert!(
            roster.held.is_some() && roster.retire.is_empty(),
            "it shows nothing of the other three"
        );
    }
    let mut back = ask(Facts::Lookups(vec![sighted("1", "b0", Some('b'), false)]), &existing);
    back.held = four.held.as_ref().map(Held::from);
    assert_eq!(held_branches(&back.decide()), ["b1", "b2", "b3"]);
}

#[test]
fn after_a_restart_all_are_held_before_anything_is_proven_again_and_a_release_waits_for_that() {
    let existing = environments(MANY);
    let four = absent(&existing, &[0, 1, 2, 3], None);
    let digest = four.held.as_ref().unwrap().digest.clone();
    let mut asked = ask(listing("1", &[("b4", 'a'), ("b5", 'a')]), &existing);
    asked.held = four.held.as_ref().map(Held::from);
    asked.released = Some(&digest);
    let first = asked.decide();
    assert_eq!((first.held.as_ref(), first.released.as_ref()), (four.held.as_ref(), None));
    asked.absences.clone_from(&first.absences);
    asked.at += CONFIRMATION.as_secs();
    let second = asked.decide();
    assert_eq!((second.released.as_ref(), second.retire.len()), (four.held.as_ref(), 4));
}

#[test]
fn an_answer_without_the_default_branch_or_of_another_repository_lets_nobody_go() {
    let existing = environments(MANY);
    let four = absent(&existing, &[0, 1, 2, 3], None);
    let Facts::Listing(mut headless) = listing("1", &[("b0", 'a'), ("b1", 'a')]) else {
        unreachable!()
    };
    headless.branches.remove(&branch("main"));
    for facts in [Facts::Listing(headless), listing("2", &[("b0", 'a'), ("b1", 'a')])] {
        let mut asked = ask(facts, &existing);
        asked.held = four.held.as_ref().map(Held::from);
        assert_eq!(asked.decide().held, four.held);
    }
    let mut suspended = ask(listing("1", &[]), &existing);
    suspended.project.suspended = true;
    suspended.held = four.held.as_ref().map(Held::from);
    assert_eq!(suspended.decide().held, four.held);
}

#[test]
fn who_expired_and_is_held_stays_so_until_it_expires_no_more_and_not_because_the_time_is_unknown() {
    let mut existing = environments(MANY);
    for environment in &mut existing {
        environment.active = Some(Timestamp::from_second(0).unwrap());
    }
    let heads: Vec<_> = existing.iter().map(|environment| (environment.branch.as_str(), 'a')).collect();
    let decide = |existing: &[Existing], time: Option<i64>, held: Option<&Roster>| {
        let mut asked = ask(listing("1", &heads), existing);
        asked.project.ttl = Some(Duration::from_secs(60));
        asked.server_time = time;
        asked.held = held.and_then(|before| before.held.as_ref()).map(Held::from);
        asked.decide()
    };
    let all = decide(&existing, Some(100), None);
    assert_eq!(held_branches(&all).len(), MANY);
    assert_eq!(decide(&existing, None, Some(&all)).held, all.held);
    let mut used = existing.clone();
    for environment in &mut used[..4] {
        environment.active = Some(Timestamp::from_second(99).unwrap());
    }
    let two = decide(&used, Some(100), Some(&all));
    assert_eq!((held_branches(&two), retired(&two)), (vec!["b4".into(), "b5".into()], vec![]));
    // They do not keep a branch from going that is gone.
    let mut asked = ask(listing("1", &heads[1..]), &existing).seen_absent(&existing[0], 0);
    asked.project.ttl = Some(Duration::from_secs(60));
    asked.server_time = Some(100);
    let five = absent(&existing, &[1, 2, 3, 4, 5], None);
    asked.held = five.held.as_ref().map(Held::from);
    assert_eq!(retired(&asked.decide()), ["b0"]);
}

#[test]
fn where_more_were_held_than_are_named_whoever_is_missing_is_held_until_a_listing_shows_all() {
    let existing = environments(MANY);
    let four = absent(&existing, &[0, 1, 2, 3], None).held.unwrap();
    let mut stored = Held::from(&four);
    while stored.environments.len() > 1 {
        stored.environments.pop_last();
    }
    assert!(stored.has_unnamed());
    let mut hint = ask(Facts::Lookups(vec![sighted("1", "b5", None, true)]), &existing);
    hint.held = Some(stored.clone());
    let roster = hint.decide();
    let brake = roster.held.unwrap();
    assert_eq!(
        (roster.retire, &brake.digest, brake.count),
        (vec![], &four.digest, 4),
        "nobody knows who else is held"
    );
    assert!(Held::from(&brake).has_unnamed());
    let whole = released_absent(&existing, &[0, 1, 2, 3], Some(stored), Some(&four.digest));
    assert_eq!(whole.released, Some(four));
}

/// What happens next to a repository of [`MANY`] branches and to the process that watches it.
#[derive(Debug, Clone)]
enum Happening {
    Gone(Vec<usize>),
    Back(Vec<usize>),
    Listing,
    Headless(Vec<usize>),
    Lookups(Vec<(usize, bool)>),
    /// The process starts again: it knows what was stored, in which so many were named.
    Restart(usize),
    /// Somebody releases what is held.
    Release,
    TornDown,
}

fn happening() -> impl Strategy<Value = Happening> {
    let some = || prop::collection::vec(0..MANY, 1..MANY);
    prop_oneof![
        2 => some().prop_map(Happening::Gone),
        2 => some().prop_map(Happening::Back),
        6 => Just(Happening::Listing),
        1 => some().prop_map(Happening::Headless),
        2 => prop::collection::vec((0..MANY, any::<bool>()), 1..4).prop_map(Happening::Lookups),
        1 => (0..MANY).prop_map(Happening::Restart),
        1 => Just(Happening::Release),
        1 => Just(Happening::TornDown),
    ]
}

/// The repository and the process, and books about who was told to be held, kept apart from what the roster keeps.
struct World {
    gone: BTreeSet<usize>,
    existing: Vec<Existing>,
    absences: Absences,
    held: Held,
    told: BTreeSet<EnvironmentName>,
    now: u64,
}

impl World {
    fn is_there(&self, number: usize) -> bool {
        !self.gone.contains(&number)
    }

    fn listed(&self) -> Facts {
        let there: Vec<_> = (0..MANY)
            .filter(|number| self.is_there(*number))
            .map(|number| format!("b{number}"))
            .collect();
        listing("1", &there.iter().map(|name| (name.as_str(), 'a')).collect::<Vec<_>>())
    }

    /// One look. Who is told to be held may go only if the look was released, or the branch was seen before.
    fn look(&mut self, facts: Facts, shown: &[usize], released: Option<&str>) {
        let gone = self.gone.clone();
        for number in shown.iter().filter(|number| !gone.contains(number)) {
            self.told.remove(&computed("1", &format!("b{number}")));
        }
        let mut asked = ask(facts, &self.existing);
        asked.absences.clone_from(&self.absences);
        asked.held = Some(self.held.clone());
        asked.released = released;
        asked.at = self.now;
        let roster = asked.decide();
        if roster.released.is_some() {
            assert!(released.is_some());
            self.told.clear();
        }
        let most = 3.max(self.existing.len() * 30 / 100);
        assert!(roster.released.is_some() || roster.retire.len() <= most);
        let gone = roster.retire.iter().find(|retirement| self.told.contains(&retirement.name));
        assert_eq!(gone, None, "held, and retired unasked");
        let names = roster.held.iter().flat_map(|brake| brake.environments.iter().cloned());
        self.told.extend(names);
        self.held = roster.held.as_ref().map(Held::from).unwrap_or_default();
        self.absences.clone_from(&roster.absences);
        for wanted in &roster.create {
            let number: usize = wanted.branch.as_str()[1..].parse().unwrap();
            self.existing.push(Existing {
                uid: format!("uid {} at {}", number, self.now),
                ..existing("1", &format!("b{number}"), 'a')
            });
        }
        for environment in &mut self.existing {
            environment.deleting |= roster.retire.iter().any(|retirement| retirement.uid == environment.uid);
        }
        let existing = &self.existing;
        self.told
            .retain(|name| existing.iter().any(|one| one.name == *name && !one.deleting));
    }

    fn happen(&mut self, happening: Happening) {
        let all: Vec<_> = (0..MANY).collect();
        match happening {
            Happening::Gone(numbers) => self.gone.extend(numbers),
            Happening::Back(numbers) => self.gone.retain(|number| !numbers.contains(number)),
            Happening::Listing => self.look(self.listed(), &all, None),
            Happening::Release => {
                let digest = self.held.digest.clone();
                self.look(self.listed(), &all, Some(&digest));
            }
            Happening::Headless(lost) => {
                let Facts::Listing(mut listing) = self.listed() else { return };
                listing.branches.remove(&branch("main"));
                listing
                    .branches
                    .retain(|name, _| !lost.iter().any(|lost| name.as_str() == format!("b{lost}")));
                self.look(Facts::Listing(listing), &[], None);
            }
            Happening::Lookups(hints) => {
                let look = |(number, announced): &(usize, bool)| {
                    sighted("1", &format!("b{number}"), self.is_there(*number).then_some('a'), *announced)
                };
                let facts = Facts::Lookups(hints.iter().map(look).collect());
                let shown: Vec<_> = hints.iter().map(|(number, _)| *number).collect();
                self.look(facts, &shown, None);
            }
            Happening::Restart(named) => {
                self.absences.clear();
                while self.held.environments.len() > named {
                    self.held.environments.pop_last();
                }
            }
            Happening::TornDown => self.existing.retain(|environment| !environment.deleting),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn f64_who_is_held_never_goes_before_it_was_seen_or_released(steps in prop::collection::vec((happening(), 0..90_u64), 1..50)) {
        let mut world = World {
            gone: BTreeSet::new(),
            existing: environments(MANY),
            absences: Absences::new(),
            held: Held::default(),
            told: BTreeSet::new(),
            now: 1000,
        };
        for (happening, seconds) in steps {
            world.now += seconds;
            world.happen(happening);
        }
        // Two listings prove all there is to prove; then one release is enough, and once all are back nothing is held.
        for _ in 0..3 {
            world.now += CONFIRMATION.as_secs();
            world.happen(Happening::Listing);
            world.happen(Happening::TornDown);
        }
        let gone = |world: &World| world.existing.iter().filter(|one| world.gone.iter().any(|number| one.branch.as_str() == format!("b{number}"))).count();
        prop_assert_eq!(world.held.count, gone(&world));
        let mut back = World { gone: BTreeSet::new(), existing: world.existing.clone(), absences: world.absences.clone(), held: world.held.clone(), told: BTreeSet::new(), now: world.now };
        back.happen(Happening::Listing);
        prop_assert_eq!(back.held.count, 0);
        world.happen(Happening::Release);
        world.happen(Happening::TornDown);
        prop_assert_eq!((world.held.count, gone(&world)), (0, 0));
    }
}
