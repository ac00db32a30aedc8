//! Which records are kept.

use std::collections::BTreeSet;

use super::{MAX_PARTS, run_of};
use crate::domain::inventory::Inventory;
use crate::domain::run::RunNumber;

/// The most Secrets that the records of an environment take once what is not needed any more is removed: about 20 MiB.
pub const MAX_SECRETS: usize = 24;
/// So many runs that are not shown any more lose their records together: whatever the number, two statuses of the Environment tell of it.
const REMOVED_TOGETHER: usize = 5;
/// How many Secrets there can be for a moment: a new record is written before an old one goes.
pub const ROOM: usize = MAX_SECRETS + MAX_PARTS;

/// A run of which something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Its number.
    pub run: RunNumber,
    /// The run whose record has its contents, where that is another.
    pub contents: Option<RunNumber>,
    /// Whether it goes in no case: the one under way, and the last good one.
    pub needed: bool,
}

/// The runs whose records stay: of those that are shown, newest first, good or not (a failed one has logs), and whatever their contents are
/// in, all for which there is room within [`MAX_SECRETS`]. Those that are not shown any more stay as well until there are
/// five of them or the room is needed; then all of them go.
pub fn keep(shown: impl IntoIterator<Item = Shown>, inventory: &Inventory) -> BTreeSet<RunNumber> {
    let (needed, others): (Vec<_>, Vec<_>) = shown.into_iter().partition(|shown| shown.needed);
    let mut kept: BTreeSet<RunNumber> = needed.iter().flat_map(runs).collect();
    for shown in others {
        let with: BTreeSet<RunNumber> = kept.iter().copied().chain(runs(&shown)).collect();
        if secrets_of(&with, inventory) > MAX_SECRETS {
            break;
        }
        kept = with;
    }
    &kept | &waiting(&kept, inventory)
}

/// The runs beside `kept` whose records need not go yet. Once one of them is being removed, none of them waits.
fn waiting(kept: &BTreeSet<RunNumber>, inventory: &Inventory) -> BTreeSet<RunNumber> {
    let of_runs = inventory.present().filter_map(|(key, entry)| Some((run_of(key)?, entry)));
    let old: Vec<_> = of_runs.filter(|(run, _)| !kept.contains(run)).collect();
    let runs: BTreeSet<RunNumber> = old.iter().map(|(run, _)| *run).collect();
    let is_going = old.iter().any(|(_, entry)| entry.asked);
    let has_room = secrets_of(kept, inventory) + old.len() <= MAX_SECRETS;
    match has_room && !is_going && runs.len() < REMOVED_TOGETHER {
        true => runs,
        false => BTreeSet::new(),
    }
}

fn runs(shown: &Shown) -> impl Iterator<Item = RunNumber> + use<> {
    [Some(shown.run), shown.contents].into_iter().flatten()
}

fn secrets_of(runs: &BTreeSet<RunNumber>, inventory: &Inventory) -> usize {
    let of_runs = |run: &RunNumber| runs.contains(run);
    inventory
        .present()
        .filter(|(key, _)| run_of(key).as_ref().is_some_and(of_runs))
        .count()
}
