//! Which environments a Project should have: one pure rule for sweeps and hints alike.
//!
//! The rule never looks anything up. It gets facts that the Git host confirmed, the environments that exist and what was seen
//! before, and answers with what to create, refresh and retire, and with a reason for every branch that gets nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::git::{BranchName, Listing, PullRequest, RefLookup, RepositoryId, Revision};
use super::name::EnvironmentName;
use super::policy::{Project, Verdict};

mod admission;
mod brake;
mod ended;
mod expiry;
mod forks;
mod known;
mod presence;
mod pull_requests;
mod rest;
mod retirement;
mod skipped;
use self::known::Known;
use self::presence::{Sight, present};
pub use admission::ChangedPaths;
pub use brake::{Brake, Held};
pub use ended::{Ended, EndedBecause, MOST_ENDED};
pub use forks::ApprovedForks;
pub use rest::{Grace, GraceState, Rest};
pub use retirement::{Proof, Retirement};
pub use skipped::{SkipReason, Skipped};

/// What the Git host confirmed.
#[derive(Debug, Clone)]
pub enum Facts {
    /// All branches of the repository.
    Listing(Listing),
    /// Single branches. A deletion that a signed webhook announced counts as the first of the two sightings.
    Lookups(Vec<Sighted>),
}

/// One branch that was looked up.
#[derive(Debug, Clone)]
pub struct Sighted {
    /// The host's answer.
    pub lookup: RefLookup,
    /// Whether a verified webhook said that the branch was deleted.
    pub deletion_announced: bool,
}

/// An Environment object of the Project.
#[derive(Debug, Clone, PartialEq)]
pub struct Existing {
    /// Its stored name, which is never computed again.
    pub name: EnvironmentName,
    /// The UID of the object: a later environment of the same branch has another.
    pub uid: String,
    /// Its branch.
    pub branch: BranchName,
    /// The repository that it was made for.
    pub repository: RepositoryId,
    /// The revision it wants.
    pub revision: String,
    /// The pull request it knows of.
    pub pull_request: Option<PullRequest>,
    /// Set once its branch was proven to be gone and the Project grants a time of grace.
    pub grace: Option<Grace>,
    /// When something last happened to it, by the API server's clock. Unknown: it never expires.
    pub active: Option<Timestamp>,
    /// Whether no rule of the Project ends it while its branch is there.
    pub pinned: bool,
    /// Whether it is being torn down.
    pub deleting: bool,
}

/// When a branch was first seen to be absent, as time since the process started. A restart forgets it, which only delays.
pub type Absences = BTreeMap<EnvironmentName, Duration>;

/// Everything that the rule looks at.
#[derive(Debug)]
pub struct Question<'a> {
    /// The Project.
    pub project: &'a Project,
    /// The base URL of its Git host.
    pub host_url: &'a str,
    /// The facts.
    pub facts: &'a Facts,
    /// The environments of this Project, those being torn down included.
    pub existing: &'a [Arc<Existing>],
    /// Earlier sightings of absence.
    pub absences: &'a Absences,
    /// Now, as time since the process started.
    pub now: Duration,
    /// How far apart two sightings must be to prove an absence.
    pub confirmation: Duration,
    /// The digest of held retirements that somebody released.
    pub released: Option<&'a str>,
    /// What the brake held after the look before.
    pub held: Option<&'a Held>,
    /// Branches whose environment was removed although they are there.
    pub ended: &'a [Ended],
    /// When pull requests were first seen to be open no more, as [`Absences`] of branches.
    pub closures: &'a Absences,
    /// What is known of the paths that pull requests change; what is not known may have changed.
    pub changed_paths: &'a ChangedPaths,
    /// The commits of pull requests from forks that somebody approved.
    pub approved_forks: &'a ApprovedForks,
    /// Whether the host knows pull requests at all. One that does not never shows that one was closed.
    pub tells_pull_requests: bool,
    /// Now by the API server's clock; `None` while that cannot be relied on, and then nothing rests, ends its rest or expires.
    pub server_time: Option<Timestamp>,
}

impl<'a> Question<'a> {
    /// The environments of this Project.
    fn environments(&self) -> impl Iterator<Item = &'a Existing> + use<'a> {
        self.existing.iter().map(AsRef::as_ref)
    }
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Roster {
    /// Environments to create.
    pub create: Vec<Wanted>,
    /// Environments whose revision or pull request changed.
    pub refresh: Vec<Wanted>,
    /// Environments whose branch is proven to be gone.
    pub retire: Vec<Retirement>,
    /// Environments whose branch is proven to be gone, and that are kept for a while.
    pub rest: Vec<Rest>,
    /// Who is held from now on, those included of whom these facts say nothing.
    pub held: Option<Brake>,
    /// Retirements that would be held and that somebody released: they are among `retire`.
    pub released: Option<Brake>,
    /// The absences to remember until next time.
    pub absences: Absences,
    /// Branches that get nothing.
    pub skipped: Vec<Skipped>,
    /// Branches without an environment that are there: stored before anything is retired, or they would be back at the next look.
    pub ended: Vec<Ended>,
    /// The closures of pull requests to remember until next time.
    pub closures: Absences,
}

/// An environment as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Its name.
    pub name: EnvironmentName,
    /// Its branch.
    pub branch: BranchName,
    /// The repository.
    pub repository: RepositoryId,
    /// The revision to show.
    pub revision: Revision,
    /// The open pull request from the branch.
    pub pull_request: Option<PullRequest>,
    /// The mark of a rest that begins; a branch that is there takes it away.
    pub grace: Option<Grace>,
}

/// Decides what to do.
///
/// # Guarantees
/// - Nothing is retired because of an absence that was seen once, or of an answer without the repository's default branch.
/// - A branch that two looks disagree about is present.
/// - Where the Project grants a time of grace, nothing is retired that did not rest until that time was over, and a rest is ended by the
///   same proof as it began.
/// - An environment whose branch is there goes only if the branch is in `ended` of the same answer, and never in the look that moves it;
///   or because its open pull request, as the host showed it, does not pass the Project's filters.
/// - A listing of another repository (by id) than an environment was made for says nothing about that environment.
/// - Who was held neither goes nor rests before the branch was seen, or somebody released exactly those that are held.
/// - The answer depends on the question alone; the order of branches does not matter.
pub fn decide(question: &Question<'_>) -> Roster {
    let mut roster = Roster {
        absences: question.absences.clone(),
        closures: question.closures.clone(),
        ended: question.ended.to_vec(),
        ..Roster::default()
    };
    if question.project.suspended {
        roster.held = brake::unchanged(question);
        return roster;
    }
    let known = Known::of(question);
    match question.facts {
        Facts::Listing(listing) => decide_listing(question, &known, listing, &mut roster),
        Facts::Lookups(lookups) => {
            for sighted in one_each(lookups) {
                decide_lookup(question, &known, sighted, &mut roster);
            }
        }
    }
    let alive = |name: &EnvironmentName| {
        question
            .environments()
            .any(|environment| environment.name == *name && !environment.deleting)
    };
    roster.absences.retain(|name, _| alive(name));
    roster.closures.retain(|name, _| alive(name));
    ended::limit(question, &mut roster);
    brake::apply(question, &mut roster);
    roster.ended = ended::after(question, &roster);
    roster
}

fn decide_listing(question: &Question<'_>, known: &Known<'_>, listing: &Listing, roster: &mut Roster) {
    if !holds_default_branch(listing) {
        return;
    }
    for (branch, revision) in &listing.branches {
        let pull_request = own_pull_request(listing, branch);
        let sight = Sight {
            branch,
            revision,
            pull_request,
        };
        present(question, known, &listing.repository, sight, roster);
    }
    for environment in question.environments() {
        let is_of_fork = environment.branch.pull_request().is_some();
        let is_listed = is_of_fork || listing.branches.contains_key(&environment.branch);
        if environment.repository == listing.repository.id && !is_listed {
            absent(question, environment, false, roster);
        }
    }
    forks::decide(question, listing, roster);
}

/// The open pull request from a branch of the repository itself.
fn own_pull_request<'a>(listing: &'a Listing, branch: &BranchName) -> Option<&'a PullRequest> {
    let own = listing
        .pull_requests
        .iter()
        .filter(|pull| pull.head == *branch && pull.fork.is_none());
    // Hosts list in an order of their own; a look-up answers with the lowest number too.
    own.min_by_key(|pull| pull.number)
}

/// A listing that lacks the default branch is an outage in disguise.
fn holds_default_branch(listing: &Listing) -> bool {
    listing
        .repository
        .default_branch
        .as_ref()
        .is_some_and(|branch| listing.branches.contains_key(branch))
}

/// Several deliveries may have led to one branch. A look that found it is stronger than one that did not.
fn one_each(lookups: &[Sighted]) -> impl Iterator<Item = &Sighted> {
    let strength = |sighted: &Sighted| {
        let pull_request = sighted.lookup.pull_request.as_ref().map(|pull| pull.number);
        (sighted.lookup.head.clone(), pull_request, sighted.deletion_announced)
    };
    let mut strongest: BTreeMap<(&RepositoryId, &BranchName), &Sighted> = BTreeMap::new();
    for sighted in lookups {
        let known = strongest
            .entry((&sighted.lookup.repository.id, &sighted.lookup.branch))
            .or_insert(sighted);
        if strength(sighted) > strength(known) {
            *known = sighted;
        }
    }
    strongest.into_values()
}

fn decide_lookup(question: &Question<'_>, known: &Known<'_>, sighted: &Sighted, roster: &mut Roster) {
    let lookup = &sighted.lookup;
    if lookup.branch.pull_request().is_some() {
        // No branch tells anything of a pull request from a fork.
        return;
    }
    match &lookup.head {
        Some(revision) => {
            let sight = Sight {
                branch: &lookup.branch,
                revision,
                pull_request: lookup.pull_request.as_ref(),
            };
            present(question, known, &lookup.repository, sight, roster);
        }
        None if !could_be_absent(lookup) => {}
        None => {
            for environment in question.environments() {
                if environment.repository == lookup.repository.id && environment.branch == lookup.branch {
                    absent(question, environment, sighted.deletion_announced, roster);
                }
            }
        }
    }
}

/// A repository without its default branch is an outage in disguise, whoever asks for which branch.
fn could_be_absent(lookup: &RefLookup) -> bool {
    lookup
        .repository
        .default_branch
        .as_ref()
        .is_some_and(|branch| *branch != lookup.branch)
}

fn absent(question: &Question<'_>, environment: &Existing, announced: bool, roster: &mut Roster) {
    if environment.deleting {
        return;
    }
    if question.project.branches.verdict(&environment.branch) == Verdict::Protected {
        return roster.skip(&environment.branch, SkipReason::Protected);
    }
    let first = *roster.absences.entry(environment.name.clone()).or_insert(question.now);
    let apart = question.now.saturating_sub(first);
    let proof = if announced {
        Proof::AnnouncedAndConfirmed
    } else if apart >= question.confirmation && apart > Duration::ZERO {
        Proof::SeenTwice(apart)
    } else {
        return;
    };
    rest::end(question, environment, proof, roster);
}

impl Roster {
    /// Whether it is known of every environment what becomes of it: one whose branch is not proven to be gone, or whose pull request to
    /// be closed, may be held at the next look.
    pub fn is_decided(&self) -> bool {
        self.held.is_some() || self.absences.is_empty() && self.closures.is_empty()
    }

    fn skip(&mut self, branch: &BranchName, reason: SkipReason) {
        self.skipped.push(Skipped {
            branch: branch.clone(),
            reason,
        });
    }
}

#[cfg(test)]
mod tests;
