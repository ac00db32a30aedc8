//! Run records in a deployment: written before the first object that they tell of, and removed when nothing shows their runs any more.

use std::collections::BTreeSet;

use super::deploy::not_ours;
use super::{Apply, Because, Delete, Fence, Observed, Obstacle, Plan, Removal, Step};
use crate::domain::inventory::{Entry, Inventory, Relation, Stage};
use crate::domain::manifest::{Manifest, ObjectKey};
use crate::domain::name::EnvironmentName;
use crate::domain::record::run_of;
use crate::domain::run::RunNumber;

/// Whether the record of a run is written, whole.
pub fn is_written(inventory: &Inventory, run: RunNumber) -> bool {
    let mut parts = inventory.present().filter(|(key, _)| run_of(key) == Some(run)).peekable();
    parts.peek().is_some() && parts.all(|(_, entry)| entry.uid.is_some())
}

/// Whether a deployment has to look at a recorded object. A record is never changed once it is written, and reading it costs up to a
/// megabyte: it is looked at only while it is not known whether it is there.
pub fn is_looked_at(key: &ObjectKey, entry: &Entry) -> bool {
    run_of(key).is_none() || entry.uid.is_none() || entry.asked
}

/// Takes records into a plan: `wanted` are the Secrets of the run that begins, `keep` the runs whose records stay.
///
/// # Guarantees
/// - A record is in the inventory before it is created, and is created before any object of the bundle is written.
/// - A record that is there is never written again: who holds it under our name is looked at by [`Entry::relation`].
/// - One that is somebody else's is an obstacle, and then nothing is written.
/// - What is removed is removed under the recorded UID alone.
pub fn include(plan: &mut Plan, environment: &EnvironmentName, wanted: &[Manifest], keep: &BTreeSet<RunNumber>, observed: &Observed) {
    if !plan.obstacles.is_empty() || !has_home(plan, environment, observed) {
        return;
    }
    let mut writes = Vec::new();
    for manifest in wanted {
        match standing(plan, &manifest.key, environment, observed) {
            Standing::Ours => record_found(plan, &manifest.key, observed),
            Standing::Foreign => plan.obstacles.push(Obstacle {
                key: manifest.key.clone(),
                reason: not_ours(&manifest.key).to_owned(),
                stage: Stage::Deploy,
            }),
            Standing::Missing => writes.push(write(plan, manifest)),
        }
    }
    if !plan.obstacles.is_empty() {
        return plan.steps.clear();
    }
    if !writes.is_empty() {
        plan.steps.insert(position(&plan.steps), Step::Apply(writes));
    }
    let wanted: BTreeSet<_> = wanted.iter().filter_map(|manifest| run_of(&manifest.key)).collect();
    let deletes = removals(plan, environment, &|run| keep.contains(&run) || wanted.contains(&run), observed);
    if !deletes.is_empty() {
        plan.steps.push(Step::Delete(deletes));
    }
}

/// A crash lost the answer to its creation.
fn record_found(plan: &mut Plan, key: &ObjectKey, observed: &Observed) {
    let is_unknown = plan.write_ahead.get(key).is_some_and(|entry| entry.uid.is_none());
    if let Some(live) = observed.get(key).filter(|_| is_unknown) {
        plan.write_ahead.record_found(key, &live.uid);
    }
}

enum Standing {
    Ours,
    Foreign,
    Missing,
}

fn standing(plan: &Plan, key: &ObjectKey, environment: &EnvironmentName, observed: &Observed) -> Standing {
    let entry = plan.write_ahead.get(key);
    let Some(live) = observed.get(key) else {
        let is_known = entry.is_some_and(|entry| entry.uid.is_some() && !entry.asked);
        return if is_known { Standing::Ours } else { Standing::Missing };
    };
    match entry.map(|entry| entry.relation(live, environment.as_str())) {
        Some(Relation::Ours | Relation::Disowned) => Standing::Ours,
        Some(Relation::Foreign) | None => Standing::Foreign,
    }
}

fn write(plan: &mut Plan, manifest: &Manifest) -> Apply {
    plan.write_ahead.write_ahead(&manifest.key, Stage::Deploy);
    Apply {
        manifest: manifest.clone(),
        stage: Stage::Deploy,
        fence: Fence::MustNotExist,
        force: false,
        because: Because::Missing,
    }
}

/// Before the first object of the bundle, after what makes the namespace.
fn position(steps: &[Step]) -> usize {
    let is_ours = |step: &Step| match step {
        Step::Apply(applies) => applies.iter().all(|apply| apply.stage < Stage::Deploy),
        Step::Delete(_) => false,
    };
    steps.iter().take_while(|step| is_ours(step)).count()
}

/// Whether the namespace is there and stays, or is about to be made.
fn has_home(plan: &Plan, environment: &EnvironmentName, observed: &Observed) -> bool {
    let is_home = |key: &ObjectKey| key.kind == "Namespace" && key.group.is_empty() && key.name == environment.as_str();
    match observed.iter().find(|(key, _)| is_home(key)) {
        Some((_, live)) => live.deletion.is_none(),
        None => !plan.steps.is_empty(),
    }
}

fn removals(plan: &mut Plan, environment: &EnvironmentName, stays: &dyn Fn(RunNumber) -> bool, observed: &Observed) -> Vec<Delete> {
    let superseded = |key: &ObjectKey| run_of(key).is_some_and(|run| !stays(run));
    let entries: Vec<_> = plan
        .write_ahead
        .present()
        .filter(|(key, _)| superseded(key))
        .map(|(key, entry)| (key.clone(), entry.clone()))
        .collect();
    let mut deletes = Vec::new();
    for (key, entry) in entries {
        let live = observed
            .get(&key)
            .filter(|live| entry.relation(live, environment.as_str()) != Relation::Foreign);
        let uid = match live {
            Some(live) if live.deletion.is_some() => continue,
            Some(live) => Some(live.uid.clone()),
            None if is_looked_at(&key, &entry) => None,
            None => entry.uid.clone(),
        };
        match uid {
            Some(uid) => deletes.push(Delete {
                key,
                uid,
                stage: entry.stage,
                removal: Removal::Delete,
            }),
            None => plan.write_ahead.forget(&key),
        }
    }
    deletes
}
