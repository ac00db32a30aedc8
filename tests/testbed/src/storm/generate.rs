//! Storms from a seed.

use std::collections::BTreeSet;

use super::operation::{BRANCHES, Branch, FaultKind, Hook, Kind, Operation, Place, SLOTS, Slot, Target, To};
use crate::random::Seeded;

/// What a storm is drawn from: the same seed gives the same storm on every machine, for good.
#[derive(Debug, Clone)]
pub struct Random(Seeded);

/// What a storm may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// How many operations happen at least and at most between two quiet points.
    pub group: (u32, u32),
    /// Whether requests to the API server fail one by one.
    pub faults: bool,
    /// How long things are away at most, in milliseconds.
    pub away: u32,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            group: (6, 20),
            faults: true,
            away: 3000,
        }
    }
}

impl Random {
    /// Begins with a seed.
    pub fn new(seed: u64) -> Self {
        Self(Seeded::new(seed))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0.below(bound as usize) as u32
    }

    fn between(&mut self, (least, most): (u32, u32)) -> u32 {
        least + self.below(most - least + 1)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u32) as usize]
    }

    fn branch(&mut self) -> Branch {
        Branch(self.below(BRANCHES.len() as u32) as u8)
    }

    fn branches(&mut self, most: u32) -> Vec<Branch> {
        let mut some: Vec<_> = (0..=self.below(most)).map(|_| self.branch()).collect();
        some.sort();
        some.dedup();
        some
    }

    fn slot(&mut self) -> Slot {
        Slot(self.below(SLOTS.len() as u32) as u8)
    }

    /// Most deliveries arrive.
    fn hook(&mut self) -> Hook {
        match self.below(10) {
            0..=4 => Hook::Delivered,
            5..=6 => Hook::Lost,
            7 => Hook::Repeated,
            8 => Hook::Late,
            _ => Hook::MisSigned,
        }
    }
}

/// Draws one operation after the other.
struct Source {
    random: Random,
    weather: Weather,
    /// Branches that are there, as far as the operations alone tell: most of what people do, they do to something.
    there: BTreeSet<Branch>,
    /// How often each family comes in this group.
    weights: [u32; FAMILIES.len()],
    /// The branches that this group is about; none: all of them.
    focus: Vec<Branch>,
}

/// Draws an operation of one sort.
type Family = fn(&mut Source) -> Operation;

/// The sorts of operations, and how often of a hundred or so each comes on average.
const FAMILIES: [(u32, Family); 6] = [
    (36, Source::git),
    (12, Source::settings),
    (11, Source::bundle),
    (20, Source::by_hand),
    (8, Source::process),
    (16, Source::surroundings),
];

/// At least `count` operations, quiet points left out; the last one is a quiet point.
pub fn storm(seed: u64, count: usize, weather: Weather) -> Vec<Operation> {
    let mut source = Source {
        random: Random::new(seed),
        weather,
        there: BTreeSet::new(),
        weights: [0; FAMILIES.len()],
        focus: Vec::new(),
    };
    let mut operations = Vec::new();
    let mut done = 0;
    while done < count {
        source.begin_group();
        let size = source.random.between(weather.group).min((count - done) as u32);
        for _ in 0..size {
            let operation = source.operation();
            source.note(&operation);
            operations.push(operation);
        }
        done += size as usize;
        operations.push(Operation::Quiet);
    }
    operations
}

impl Source {
    /// Each group has moods of its own: what comes together often finds more than what is always mixed alike, and half of the groups are about
    /// one or two branches.
    fn begin_group(&mut self) {
        self.weights = FAMILIES.map(|(weight, _)| weight * self.random.one_of(&[0, 1, 1, 3]));
        if self.weights.iter().sum::<u32>() == 0 {
            self.weights = FAMILIES.map(|(weight, _)| weight);
        }
        self.focus = match self.random.below(2) {
            0 => Vec::new(),
            _ => self.random.branches(2),
        };
    }

    /// What happens.
    fn operation(&mut self) -> Operation {
        let mut rest = self.random.below(self.weights.iter().sum());
        for ((_, family), weight) in FAMILIES.into_iter().zip(self.weights) {
            if rest < weight {
                return family(self);
            }
            rest -= weight;
        }
        Operation::Pause(0)
    }

    /// Any branch that this group is about.
    fn branch(&mut self) -> Branch {
        match self.focus.is_empty() {
            true => self.random.branch(),
            false => self.random.one_of(&self.focus),
        }
    }

    /// A branch that is there, nearly always.
    fn existing(&mut self) -> Branch {
        let is_meant = |branch: &Branch| self.focus.is_empty() || self.focus.contains(branch);
        let there: Vec<_> = self.there.iter().copied().filter(is_meant).collect();
        match there.is_empty() || self.random.below(8) == 0 {
            true => self.branch(),
            false => self.random.one_of(&there),
        }
    }

    fn note(&mut self, operation: &Operation) {
        match operation {
            Operation::Push { branch, to: To::New, .. } | Operation::Recreate(branch, _) => {
                self.there.insert(*branch);
            }
            Operation::PushSeveral(branches) => self.there.extend(branches),
            Operation::Delete(branch, _) => {
                self.there.remove(branch);
            }
            Operation::DeleteSeveral(branches) => self.there.retain(|branch| !branches.contains(branch)),
            _ => {}
        }
    }

    fn git(&mut self) -> Operation {
        let (branch, existing, hook) = (self.branch(), self.existing(), self.random.hook());
        match self.random.below(40) {
            0..=17 => Operation::Push { branch, to: To::New, hook },
            18..=20 => Operation::Push {
                branch: existing,
                to: self.random.one_of(&[To::Older, To::Same]),
                hook,
            },
            21..=23 => Operation::PushSeveral(self.random.branches(4)),
            24..=30 => Operation::Delete(existing, hook),
            31..=32 => Operation::DeleteSeveral(self.random.branches(5)),
            33..=36 => Operation::Recreate(existing, hook),
            37 => Operation::Tag(branch),
            _ => Operation::Replay,
        }
    }

    fn settings(&mut self) -> Operation {
        let random = &mut self.random;
        match random.below(14) {
            0..=4 => Operation::Values(random.below(100)),
            5..=6 => Operation::Quota(20 + random.below(20)),
            7 => Operation::Domain(random.below(3)),
            8..=9 => match random.below(2) {
                0 => Operation::Exclude(Vec::new()),
                _ => Operation::Exclude(random.branches(2)),
            },
            10..=11 => match random.below(3) {
                0 => Operation::Limit(Some(2 + random.below(6))),
                _ => Operation::Limit(None),
            },
            // As often back as away: most of what happens shall be acted on.
            12 => Operation::Suspend(random.below(2) == 0),
            _ => Operation::Suspend(false),
        }
    }

    fn bundle(&mut self) -> Operation {
        let random = &mut self.random;
        match random.below(13) {
            0..=6 => Operation::Object(random.slot(), random.one_of(Kind::ALL), random.below(50)),
            7..=8 => Operation::NoObject(random.slot()),
            9 => Operation::Break,
            _ => Operation::Mend,
        }
    }

    fn by_hand(&mut self) -> Operation {
        let (branch, target) = (self.existing(), self.random.one_of(Target::ALL));
        match self.random.below(24) {
            0..=3 => Operation::Edit(branch, target),
            4..=6 => Operation::Unlabel(branch, target),
            7..=9 => Operation::Remove(branch, target),
            10..=11 => Operation::Hold(branch),
            12 => Operation::Release(branch),
            13..=14 => Operation::RemoveNamespace(branch),
            15..=16 => Operation::RemoveEnvironment(branch),
            17..=18 => Operation::Plant(branch),
            19..=20 => Operation::Unplant(branch),
            21 => Operation::PlantNamespace(self.branch()),
            22 => Operation::UnplantNamespace(self.branch()),
            _ => Operation::ReleaseBrake,
        }
    }

    fn process(&mut self) -> Operation {
        let (random, away) = (&mut self.random, self.weather.away);
        match random.below(9) {
            0..=3 => Operation::Kill(random.below(500)),
            4..=5 => Operation::Terminate(random.below(500)),
            6 => Operation::ServerAway(random.below(away)),
            7 => Operation::RepositoryAway(random.below(away)),
            _ => Operation::Pause(random.below(1000)),
        }
    }

    fn surroundings(&mut self) -> Operation {
        let faults = self.weather.faults;
        let random = &mut self.random;
        match random.below(12) {
            0..=8 if faults => {
                let kind = random.one_of(FaultKind::ALL);
                Operation::Fault {
                    kind,
                    place: place(random, kind),
                    percent: 5 + random.below(45),
                    seed: random.below(1_000_000),
                }
            }
            9 => Operation::NoFaults,
            _ => Operation::Pause(random.below(1500)),
        }
    }
}

/// Some faults make sense for some requests alone.
fn place(random: &mut Random, kind: FaultKind) -> Place {
    match kind {
        FaultKind::Swallow | FaultKind::CutWatch => Place::Watches,
        FaultKind::Stale => random.one_of(&[Place::Reads, Place::Watches]),
        FaultKind::Conflict => random.one_of(&[Place::Writes, Place::Environments]),
        _ => random.one_of(Place::ALL),
    }
}

#[cfg(test)]
mod tests {
    use super::super::operation::{parse, print};
    use super::*;

    #[test]
    fn every_storm_can_be_printed_and_read_back() {
        for seed in 0..200 {
            let storm = storm(seed, 100, Weather::default());
            assert_eq!(parse(&print(&storm)).as_ref(), Ok(&storm), "seed {seed}");
        }
    }

    #[test]
    fn a_seed_gives_one_storm_for_good() {
        let weather = Weather::default();
        assert_eq!(storm(7, 300, weather), storm(7, 300, weather));
        assert_ne!(storm(7, 300, weather), storm(8, 300, weather));
        // A changed generator makes the seeds of older reports worthless.
        assert_eq!(
            print(&storm(1, 3, weather)),
            "remove-environment feature/a\nresume\nunplant-namespace feature/a\nquiet\n"
        );
    }

    #[test]
    fn a_few_thousand_operations_contain_every_kind_of_them() {
        let storm = storm(3, 4000, Weather::default());
        let verbs: BTreeSet<String> = storm
            .iter()
            .map(|operation| operation.to_string().split(' ').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(verbs.len(), 38, "all but the sabotage: {verbs:?}");
        for kind in FaultKind::ALL {
            let has = |operation: &Operation| matches!(operation, Operation::Fault { kind: of, .. } if of == kind);
            assert!(storm.iter().any(has), "{kind}");
        }
        let groups = storm
            .split(|operation| *operation == Operation::Quiet)
            .filter(|group| !group.is_empty());
        let (least, most) = Weather::default().group;
        // The last one may be cut short.
        let sizes: Vec<_> = groups.map(|group| group.len() as u32).collect();
        assert!(
            sizes[..sizes.len() - 1].iter().all(|size| (least..=most).contains(size)),
            "{sizes:?}"
        );
    }
}
