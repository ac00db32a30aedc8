//! Which records are kept.

use std::collections::BTreeSet;

use super::{MAX_PARTS, run_of};
use crate::domain::inventory::Inventory;
use crate::domain::run::RunNumber;

/// The most Secrets that the records of an environment take once what is not needed any more is removed: about 20 MiB.
pub const MAX_SECRETS: usize = 24;
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

/// The runs whose records stay, of those that are shown, newest first: good or not (a failed one has logs), and whatever their contents
/// are in. The oldest go first where all together would take more than [`MAX_SECRETS`].
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
    kept
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
