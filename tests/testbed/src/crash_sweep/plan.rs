//! Which cells there are, from what the runs without faults did.

use super::cell::{Baseline, Cell};
use super::injection::{Again, Injection, Place, When};
use super::scenario::Scenario;

/// How often the run without faults is repeated, to see that the judge is fair.
const REPETITIONS: u32 = 3;

/// How many runs of each scenario go on while one request in ten fails.
const FLAKY: u64 = 8;

/// How often reads and events that say the same are disturbed. What comes more often is a repetition of the same look.
const REPEATED: u64 = 3;

/// Every cell of a scenario, given its run without faults and the reads of its recovery from a crash after `halfway`.
pub fn cells(scenario: Scenario, baseline: &Baseline, halfway: &Place, reads: &[Place]) -> Vec<Cell> {
    let mut injections: Vec<Injection> = (1..=REPETITIONS).map(|repetition| Injection::Nothing { repetition }).collect();
    for again in [Again::Never, Again::First, Again::Same] {
        for write in &baseline.writes {
            injections.extend([When::Before, When::After].map(|when| Injection::Crash {
                write: write.clone(),
                when,
                again,
            }));
        }
    }
    let reads = reads.iter().filter(|read| read.number() <= REPEATED);
    injections.extend(reads.map(|read| Injection::Stale {
        write: halfway.clone(),
        read: read.clone(),
    }));
    let events = baseline.events.iter().filter(|event| event.number() <= REPEATED);
    injections.extend(events.map(|event| Injection::Unobserved { event: event.clone() }));
    injections.extend((1..=FLAKY).map(|seed| Injection::Flaky { seed }));
    injections.into_iter().map(|injection| Cell { scenario, injection }).collect()
}

/// The write in the middle of a run.
pub fn halfway(baseline: &Baseline) -> Option<&Place> {
    baseline.writes.get(baseline.writes.len() / 2)
}

/// So many of the cells, chosen by a seed: of every class and scenario some, as far as the number goes.
pub fn sample(cells: &[Cell], count: usize, seed: u64) -> Vec<Cell> {
    let mut rest: Vec<&Cell> = cells.iter().collect();
    let mut chosen: Vec<Cell> = Vec::new();
    let mut state = seed;
    while chosen.len() < count && !rest.is_empty() {
        state = next(state);
        // Of what is chosen the fewest times so far.
        let times = |cell: &Cell| {
            chosen
                .iter()
                .filter(|other| other.injection.class() == cell.injection.class())
                .count()
        };
        let fewest = rest.iter().map(|cell| times(cell)).min().unwrap_or_default();
        let candidates: Vec<usize> = (0..rest.len()).filter(|index| times(rest[*index]) == fewest).collect();
        let index = candidates[(state >> 33) as usize % candidates.len()];
        chosen.push(rest.remove(index).clone());
    }
    chosen
}

/// The next state of a linear congruential generator, with the constants of Knuth's MMIX.
fn next(state: u64) -> u64 {
    state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
}
