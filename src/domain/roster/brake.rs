//! The brake: too many retirements and rests at once stop and ask, and whoever is held stays held until somebody answers.

use std::collections::BTreeSet;
use std::mem;
use std::time::Duration;

use aws_lc_rs::digest;

use super::ended::{Shown, shown};
use super::{Absences, Existing, Facts, Question, Rest, Retirement, Roster, SkipReason, holds_default_branch};
use crate::domain::git::BranchName;
use crate::domain::name::EnvironmentName;

/// Retirements and rests that are held until somebody releases exactly these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brake {
    /// Names the set of held environments; a release that bears another digest releases nothing.
    pub digest: String,
    /// The held environments, sorted.
    pub environments: Vec<EnvironmentName>,
    /// Their branches, in the same order.
    pub branches: Vec<BranchName>,
    /// How many are held. More than are named: this look did not show who the others are.
    pub count: usize,
}

/// What the brake held after the look before, in this process or in another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Names the set.
    pub digest: String,
    /// Who is held.
    pub environments: BTreeSet<EnvironmentName>,
    /// How many there are. More than are named: not all of them could be stored, and whoever is missing may be one of them.
    pub count: usize,
}

/// Who of those held before is held still.
#[derive(Default)]
struct Kept<'a> {
    environments: Vec<&'a Existing>,
    /// Whether this look cannot say of each of them what would become of it; a release waits for one that can.
    is_unsure: bool,
    /// Digest and count from before, where this look does not show who else was held.
    unnamed: Option<(&'a str, usize)>,
}

/// Whether what ends now, and was not held before, may go.
struct Room {
    /// All of it.
    for_all: bool,
    /// Those whose branches are gone.
    for_gone: bool,
}

/// So many may go at once whatever the size of the Project.
const ALWAYS_ALLOWED: usize = 3;
/// Beyond that, this share of a Project's environments, in percent.
const SHARE_PERCENT: usize = 30;

/// Moves the retirements of `roster` to `held` if, together with those held before and those already under way, they are too many. Who was
/// held before is held still, however few are left.
///
/// What the Project's own rules end counts as what the host's answers end: a `ttl` of a minute instead of a month is as easily written
/// as an outage is read as "no branches". So does what only goes to rest: an outage must not stop everything
/// either. But many that expire at once do not keep branches from going that are gone.
pub(super) fn apply(question: &Question<'_>, roster: &mut Roster) {
    let kept = Kept::of(question, roster);
    let room = Room::of(question, roster, &kept);
    let (going, held) = mem::take(&mut roster.retire)
        .into_iter()
        .partition::<Vec<_>, _>(|retirement| !kept.contains(&retirement.name) && room.lets_go(is_gone(retirement)));
    let (to_rest, resting) = mem::take(&mut roster.rest)
        .into_iter()
        .partition::<Vec<_>, _>(|rest| !kept.contains(&rest.wanted.name) && room.lets_go(rests_for_good(rest)));
    roster.retire = going;
    roster.rest = to_rest;
    let newly = held
        .iter()
        .map(|retirement| &retirement.name)
        .chain(resting.iter().map(|rest| &rest.wanted.name));
    let newly: BTreeSet<_> = newly.collect();
    let brake = Brake::over(
        question
            .environments()
            .filter(|one| !one.deleting && (newly.contains(&one.name) || kept.contains(&one.name))),
    );
    let brake = brake.with_unnamed(kept.unnamed);
    if brake.count == 0 {
        return;
    }
    if !kept.is_unsure && question.released == Some(brake.digest.as_str()) {
        roster.retire.extend(held);
        roster.rest.extend(resting);
        roster.released = Some(brake);
    } else {
        roster.held = Some(brake);
    }
}

/// What is held while nothing is decided.
pub(super) fn unchanged(question: &Question<'_>) -> Option<Brake> {
    let held = question.held?;
    let brake = Brake::over(
        question
            .environments()
            .filter(|one| !one.deleting && held.environments.contains(&one.name)),
    );
    let unnamed = held.has_unnamed().then_some((held.digest.as_str(), held.count));
    Some(brake.with_unnamed(unnamed)).filter(|brake| brake.count > 0)
}

/// max(3, 30 %), rounded down.
fn allowed(environments: usize) -> usize {
    ALWAYS_ALLOWED.max(environments * SHARE_PERCENT / 100)
}

fn is_gone(retirement: &Retirement) -> bool {
    retirement.head.is_none()
}

fn rests_for_good(rest: &Rest) -> bool {
    !rest.wanted.grace.as_ref().is_some_and(|grace| grace.state.is_of_sleep())
}

fn is_ending(roster: &Roster, name: &EnvironmentName) -> bool {
    roster.retire.iter().any(|retirement| retirement.name == *name) || roster.rest.iter().any(|rest| rest.wanted.name == *name)
}

/// Whether it is not known what would become of an environment once all is known: a second sighting or the time is missing.
fn is_undecided(question: &Question<'_>, roster: &Roster, environment: &Existing) -> bool {
    let is_unproven = |sightings: &Absences| {
        let first = sightings.get(&environment.name);
        first.is_some_and(|first| {
            let apart = question.now.saturating_sub(*first);
            apart < question.confirmation || apart == Duration::ZERO
        })
    };
    let depends_on_time = question.project.depends_on_time() || environment.grace.is_some();
    let had_no_room = || {
        let of_branch = roster.skipped.iter().filter(|skipped| skipped.branch == environment.branch);
        of_branch.into_iter().any(|skipped| skipped.reason == SkipReason::TooManyEnded)
    };
    question.server_time.is_none() && depends_on_time || is_unproven(&roster.absences) || is_unproven(&roster.closures) || had_no_room()
}

// === impl Held ===

impl Held {
    /// Whether more are held than are named.
    pub fn has_unnamed(&self) -> bool {
        self.count > self.environments.len()
    }

    /// How many of `brake` were not held before.
    pub fn news(&self, brake: &Brake) -> usize {
        if self.has_unnamed() {
            return brake.count.saturating_sub(self.count);
        }
        let is_new = |name: &&EnvironmentName| !self.environments.contains(*name);
        brake.environments.iter().filter(is_new).count()
    }
}

impl From<&Brake> for Held {
    fn from(brake: &Brake) -> Self {
        Self {
            digest: brake.digest.clone(),
            environments: brake.environments.iter().cloned().collect(),
            count: brake.count,
        }
    }
}

// === impl Kept ===

impl<'a> Kept<'a> {
    /// Only a look that shows the branch, and finds nothing that ends its environment, lets go of one. That there is no proof of anything
    /// is none: after a restart an absence has to be seen twice again.
    fn of(question: &Question<'a>, roster: &Roster) -> Self {
        let mut kept = Self::default();
        let Some(held) = question.held.filter(|held| held.count > 0) else {
            return kept;
        };
        let is_whole = matches!(question.facts, Facts::Listing(listing) if holds_default_branch(listing));
        let mut is_shown = is_whole;
        for environment in question.environments().filter(|environment| !environment.deleting) {
            let sight = shown(question.facts, &environment.repository, &environment.branch);
            let ends = is_ending(roster, &environment.name);
            let is_undecided = !ends && is_undecided(question, roster, environment);
            let is_there = matches!(sight, Shown::There(..));
            is_shown &= !(is_there && is_undecided);
            let may_be_unnamed = held.has_unnamed() && (ends || matches!(sight, Shown::Gone));
            let was_held = held.environments.contains(&environment.name) || may_be_unnamed;
            if was_held && (!is_there || ends || is_undecided) {
                kept.is_unsure |= is_undecided || !is_whole && matches!(sight, Shown::Nothing);
                kept.environments.push(environment);
            }
        }
        if held.has_unnamed() && !is_shown {
            kept.unnamed = Some((&held.digest, held.count));
            kept.is_unsure = true;
        }
        kept
    }

    fn contains(&self, name: &EnvironmentName) -> bool {
        self.environments.iter().any(|environment| environment.name == *name)
    }
}

// === impl Room ===

impl Room {
    fn of(question: &Question<'_>, roster: &Roster, kept: &Kept<'_>) -> Self {
        let under_way = question.environments().filter(|environment| environment.deleting).count();
        let allowed = allowed(question.existing.len());
        let is_new = |name| !kept.contains(name);
        let retirements: Vec<_> = roster.retire.iter().filter(|one| is_new(&one.name)).collect();
        let rests: Vec<_> = roster.rest.iter().filter(|one| is_new(&one.wanted.name)).collect();
        let gone = retirements.iter().filter(|one| is_gone(one)).count() + rests.iter().filter(|one| rests_for_good(one)).count();
        let gone_before = kept
            .environments
            .iter()
            .filter(|one| roster.absences.contains_key(&one.name))
            .count();
        Self {
            for_all: under_way + kept.environments.len() + retirements.len() + rests.len() <= allowed,
            for_gone: under_way + gone_before + gone <= allowed,
        }
    }

    fn lets_go(&self, is_gone: bool) -> bool {
        self.for_all || is_gone && self.for_gone
    }
}

// === impl Brake ===

impl Brake {
    /// Over environments by name and UID. Who goes to rest and who goes for good count alike.
    fn over<'a>(environments: impl Iterator<Item = &'a Existing>) -> Self {
        let mut held: Vec<_> = environments.collect();
        held.sort_by_key(|environment| (&environment.name, &environment.uid));
        let mut context = digest::Context::new(&digest::SHA256);
        for environment in &held {
            // The UID as well: an old release must not release what a branch of the same name has since.
            for part in [environment.name.as_str(), environment.uid.as_str()] {
                context.update(part.as_bytes());
                context.update(b"\n");
            }
        }
        Self {
            digest: context.finish().as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect(),
            count: held.len(),
            environments: held.iter().map(|environment| environment.name.clone()).collect(),
            branches: held.iter().map(|environment| environment.branch.clone()).collect(),
        }
    }

    /// With those of whom only their number is known: the digest stays what it was, as nobody can tell another.
    fn with_unnamed(self, unnamed: Option<(&str, usize)>) -> Self {
        let Some((digest, count)) = unnamed else { return self };
        Self {
            digest: digest.to_owned(),
            count: count.max(self.environments.len() + 1),
            ..self
        }
    }
}
