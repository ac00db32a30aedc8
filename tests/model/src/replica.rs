//! A replica: the same sequence of observe, decide, write as in `controller`, with graftling's own decisions.
//!
//! What is decided here by the model itself is only what the controller does between two decisions: which of them is asked, and that
//! writes go one by one in the order of the plan.

mod teardown;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use graftling::domain::adoption::{self, Claimant, Verdict};
use graftling::domain::git::{BranchName, Listing, RefLookup, Repository, Revision};
use graftling::domain::manifest::ObjectKey;
use graftling::domain::plan::{self, Plan, Step, deploy};
use graftling::domain::roster::{self, Absences, ApprovedForks, ChangedPaths, Existing, Facts, Question, Roster, Sighted};

pub use self::teardown::teardown_plan;
use crate::config::Config;
use crate::names;
use crate::request::{Fence, Kind, Request, Work};
use crate::world::{Absence, Breach, Content, Environment, Inventory, Place, Slot, State, UNSEEN};

/// What the Git host answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// Every branch as it is.
    Truth,
    /// No branch at all.
    Empty,
    /// Another repository under the same name.
    Other,
    /// Every branch as it was before its last change.
    Stale,
    /// One branch as it is, with a word whether a signed delivery announced its deletion.
    One(usize, bool),
}

const NOW: Duration = Duration::from_secs(1_000);
const CONFIRMATION: Duration = Duration::from_secs(60);

/// The leader looks at the repository and decides what to write.
pub fn look(config: &Config, state: &mut State, told: Told) {
    let facts = facts(config, state, told);
    let existing: Vec<_> = (0..config.branches)
        .filter_map(|branch| existing(state, branch))
        .map(Arc::new)
        .collect();
    let leader = usize::from(state.leader);
    let absences = absences(config, state);
    let question = Question {
        project: names::project(),
        host_url: names::HOST,
        facts: &facts,
        existing: &existing,
        absences: &absences,
        now: NOW,
        confirmation: CONFIRMATION,
        released: None,
        held: None,
        ended: &[],
        closures: &names::nothing(),
        changed_paths: &ChangedPaths::new(),
        approved_forks: &ApprovedForks::new(),
        tells_pull_requests: false,
        server_time: None,
    };
    let roster = roster::decide(&question);
    remember(state, &roster);
    let orphans = match &facts {
        Facts::Listing(listing) if config.defences.orphans => orphans(config, state, listing),
        _ => Vec::new(),
    };
    let steps = [begin(state, &roster), retire(state, &roster), orphans];
    let steps: Vec<_> = steps.into_iter().filter(|step| !step.is_empty()).collect();
    state.replicas[leader].roster = (!steps.is_empty()).then(|| Work {
        kind: Kind::Roster,
        branch: 0,
        environment: 0,
        read: Inventory::default(),
        inventory: Inventory::default(),
        ahead: false,
        steps,
        overtaken: false,
    });
}

fn facts(config: &Config, state: &State, told: Told) -> Facts {
    if let Told::One(branch, deletion_announced) = told {
        return Facts::Lookups(vec![Sighted {
            lookup: RefLookup {
                repository: names::repository(true),
                branch: names::branch(branch).clone(),
                head: state.git[branch].head.map(names::revision),
                pull_request: None,
            },
            deletion_announced,
        }]);
    }
    let repository = names::repository(told != Told::Other);
    let main = repository.default_branch.clone();
    let head = |branch: usize| match told {
        Told::Truth => state.git[branch].head,
        Told::Stale => state.git[branch].before,
        _ => None,
    };
    let own = (0..config.branches).filter_map(|branch| Some((names::branch(branch).clone(), names::revision(head(branch)?))));
    let mut branches: std::collections::BTreeMap<BranchName, Revision> = own.collect();
    let believes = !config.defences.default_branch;
    branches.extend(
        main.filter(|_| told != Told::Empty || believes)
            .map(|main| (main, names::revision(UNSEEN))),
    );
    Facts::Listing(listing(repository, branches))
}

fn listing(repository: Repository, branches: std::collections::BTreeMap<BranchName, Revision>) -> Listing {
    Listing {
        repository,
        branches,
        pull_requests: Vec::new(),
    }
}

fn existing(state: &State, branch: usize) -> Option<Existing> {
    let environment = state.cluster[branch].environment?;
    Some(Existing {
        name: names::environment(branch).clone(),
        uid: names::uid(environment.uid),
        branch: names::branch(branch).clone(),
        repository: names::repository(true).id,
        revision: names::revision(environment.revision).to_string(),
        pull_request: None,
        grace: None,
        active: None,
        pinned: false,
        deleting: environment.deleting,
    })
}

/// What the leader remembers, as times.
fn absences(config: &Config, state: &State) -> Absences {
    let replica = &state.replicas[usize::from(state.leader)];
    let mut absences = Absences::new();
    for branch in 0..config.branches {
        let long_ago = !config.defences.second_sighting;
        match replica.absences[branch] {
            Some(absence) => {
                let first = if absence.old { Duration::ZERO } else { NOW };
                absences.insert(names::environment(branch).clone(), first);
            }
            None if long_ago => drop(absences.insert(names::environment(branch).clone(), Duration::ZERO)),
            None => {}
        }
    }
    absences
}

fn remember(state: &mut State, roster: &Roster) {
    let git = &state.git;
    let replica = &mut state.replicas[usize::from(state.leader)];
    for (branch, known) in replica.absences.iter_mut().enumerate().take(git.len()) {
        let seen = roster.absences.get(names::environment(branch));
        *known = seen.map(|first| Absence {
            old: *first == Duration::ZERO,
            real: known.is_some_and(|known| known.real) || git[branch].head.is_none(),
        });
    }
}

fn begin(state: &State, roster: &Roster) -> Vec<Request> {
    let create = roster.create.iter().filter_map(|wanted| {
        Some(Request::Create {
            branch: names::number(&wanted.branch)?,
            revision: names::content(&wanted.revision),
            adopting: false,
        })
    });
    let refresh = roster.refresh.iter().filter_map(|wanted| {
        let branch = names::number(&wanted.branch)?;
        Some(Request::Refresh {
            branch,
            uid: state.cluster[branch].environment?.uid,
            revision: names::content(&wanted.revision),
        })
    });
    create.chain(refresh).collect()
}

fn retire(state: &State, roster: &Roster) -> Vec<Request> {
    let replica = &state.replicas[usize::from(state.leader)];
    let retire = roster.retire.iter().filter_map(|retirement| {
        let branch = names::number(&retirement.branch)?;
        let seen = replica.absences[branch].is_some_and(|absence| absence.real);
        Some(Request::Retire {
            branch,
            uid: names::uid_number(&retirement.uid),
            real: seen || state.git[branch].head.is_none(),
        })
    });
    retire.collect()
}

/// As `controller::orphans`: Environments made anew for namespaces whose branch is not listed.
fn orphans(config: &Config, state: &State, listing: &Listing) -> Vec<Request> {
    let default = listing.repository.default_branch.as_ref();
    let is_whole = default.is_some_and(|main| listing.branches.contains_key(main)) && listing.repository == names::repository(true);
    let lost = (0..config.branches).filter(|branch| {
        let place = &state.cluster[*branch];
        let namespace = place
            .get(Slot::Namespace)
            .filter(|namespace| namespace.labelled && !namespace.deleting);
        let adopts = namespace.is_some_and(|namespace| judge(state, *branch, namespace) == Verdict::Adopt);
        is_whole && adopts && place.environment.is_none() && !listing.branches.contains_key(names::branch(*branch))
    });
    lost.map(|branch| Request::Create {
        branch,
        revision: UNSEEN,
        adopting: true,
    })
    .collect()
}

fn judge(state: &State, branch: usize, namespace: &crate::world::Object) -> Verdict {
    let claimant = Claimant {
        environment: names::environment(branch),
        project: &names::project().key,
        branch: names::branch(branch),
        consent: None,
    };
    let own = state.cluster[branch].environment.map(|environment| environment.uid);
    let lives = |uid| {
        state
            .cluster
            .iter()
            .filter_map(|place| place.environment)
            .any(|other| other.uid == uid)
    };
    let earlier_exists = namespace.made_for != 0 && own != Some(namespace.made_for) && lives(namespace.made_for);
    adoption::judge(&names::claim(branch, namespace), &claimant, earlier_exists)
}

/// The leader makes a pass over one environment, up to its first write.
pub fn reconcile(config: &Config, state: &mut State, branch: usize) {
    let Some(environment) = state.cluster[branch].environment else {
        return;
    };
    let work = match environment.deleting {
        true => teardown::tear_down(config, state, branch, &environment),
        false if environment.adopting => take_over(state, branch, &environment),
        false => deploy(config, state, branch, &environment),
    };
    state.replicas[usize::from(state.leader)].pass = work.filter(|work| !work.open().is_empty());
}

/// The plan of a deployment over what is there.
pub fn deployment(config: &Config, branch: usize, environment: &Environment, place: &Place) -> Plan {
    let desired = names::desired(branch, environment.revision, &config.slots);
    let inventory = names::inventory(branch, &environment.inventory);
    let uid = names::uid(environment.uid);
    deploy::plan(
        names::environment(branch),
        &uid,
        &desired,
        &inventory,
        &names::observed(branch, place),
    )
}

fn deploy(config: &Config, state: &mut State, branch: usize, environment: &Environment) -> Option<Work> {
    let place = &state.cluster[branch].clone();
    let plan = deployment(config, branch, environment, place);
    let claims = |key: &ObjectKey| {
        names::slot(branch, key)
            .and_then(|slot| place.get(slot))
            .is_some_and(|object| object.labelled)
    };
    if plan.obstacles.iter().any(|obstacle| claims(&obstacle.key)) {
        match adopt(state, branch, environment) {
            Adoption::Rebuilt(work) => return Some(work),
            Adoption::Refused => return None,
            Adoption::Nothing => {}
        }
    }
    if !plan.is_quiet() && !crate::server::is_own(place, environment.uid) {
        state.breach(Breach::Shared);
    }
    let steps = plan.steps.iter().map(|step| requests(branch, environment, step)).collect();
    let ahead = names::stored(branch, &plan.write_ahead);
    Some(Work {
        kind: Kind::Deploy,
        branch,
        environment: environment.uid,
        read: environment.inventory,
        inventory: ahead,
        ahead: config.defences.write_ahead && !plan.is_quiet() && ahead != environment.inventory,
        steps,
        overtaken: false,
    })
}

fn requests(branch: usize, environment: &Environment, step: &Step) -> Vec<Request> {
    let slot = |key: &ObjectKey| names::slot(branch, key).expect("plans are over what the model contains");
    match step {
        Step::Apply(applies) => applies
            .iter()
            .map(|apply| Request::Apply {
                branch,
                slot: slot(&apply.manifest.key),
                content: apply.manifest.digest.parse::<Content>().unwrap_or_default(),
                fence: match &apply.fence {
                    plan::Fence::MustNotExist => Fence::MustNotExist,
                    plan::Fence::Uid(uid) | plan::Fence::Unchanged { uid, .. } => Fence::Uid(names::uid_number(uid)),
                },
                environment: environment.uid,
            })
            .collect(),
        Step::Delete(deletes) => deletes
            .iter()
            .map(|delete| Request::Delete {
                branch,
                slot: slot(&delete.key),
                uid: names::uid_number(&delete.uid),
                environment: environment.uid,
            })
            .collect(),
    }
}

enum Adoption {
    /// There is something to take over, and its UIDs are recorded first.
    Rebuilt(Work),
    /// It must not be taken over, or not yet.
    Refused,
    /// There is nothing to take over.
    Nothing,
}

/// As `controller::reconcile::adopt`.
fn adopt(state: &State, branch: usize, environment: &Environment) -> Adoption {
    let place = &state.cluster[branch];
    let namespace = place.get(Slot::Namespace).filter(|namespace| namespace.labelled);
    let recorded = environment.inventory[Slot::Namespace as usize];
    let claim = namespace.filter(|namespace| recorded.is_none_or(|entry| entry.uid != namespace.uid));
    if let Some(claim) = claim
        && judge(state, branch, claim) != Verdict::Adopt
    {
        return Adoption::Refused;
    }
    let applied = |slot: &Slot| place.get(*slot).is_some_and(|object| object.ours && object.labelled);
    let inside = Slot::ALL.into_iter().skip(1).filter(applied);
    let slots = inside.chain(claim.map(|_| Slot::Namespace));
    let ours: Vec<_> = slots
        .filter_map(|slot| Some((names::key(branch, slot).clone(), names::uid(place.get(slot)?.uid))))
        .collect();
    let old = names::inventory(branch, &environment.inventory);
    let rebuilt = adoption::rebuild(&old, &ours);
    if rebuilt == old {
        return Adoption::Nothing;
    }
    Adoption::Rebuilt(status_only(branch, environment, names::stored(branch, &rebuilt)))
}

fn status_only(branch: usize, environment: &Environment, inventory: Inventory) -> Work {
    Work {
        kind: Kind::Teardown,
        branch,
        environment: environment.uid,
        read: environment.inventory,
        inventory,
        ahead: false,
        steps: Vec::new(),
        overtaken: false,
    }
}

/// An Environment that was made anew records what there is, and nothing else.
fn take_over(state: &State, branch: usize, environment: &Environment) -> Option<Work> {
    let is_empty = environment.inventory.iter().all(Option::is_none);
    match is_empty.then(|| adopt(state, branch, environment)) {
        Some(Adoption::Rebuilt(work)) => Some(work),
        _ => None,
    }
}

/// The objects that a place should not contain, by name.
pub fn slots_of(place: &Place) -> BTreeSet<Slot> {
    Slot::ALL.into_iter().filter(|slot| place.get(*slot).is_some()).collect()
}
