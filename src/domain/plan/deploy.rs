//! From what an environment should be and what it is to what has to be written.

mod shared;

use std::collections::BTreeSet;

use shared::unchanged;
pub use shared::wish;

use super::{Apply, Because, Delete, Fence, Observed, Obstacle, Plan, Removal, Step, Waiting};
use crate::domain::inventory::{Entry, Inventory, Relation, Stage};
use crate::domain::manifest::{Manifest, ObjectKey, Wave, wave};
use crate::domain::name::EnvironmentName;
use crate::domain::observed::{LiveObject, secret_digests};
use crate::domain::plan::teardown::{LABEL_TAKEN_OFF, Tier, retain};
use crate::domain::readiness::Readiness;
use crate::domain::record::is_record;

/// Everything that an environment should consist of.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The namespace.
    pub namespace: Manifest,
    /// What fences it.
    pub guardrails: Vec<Manifest>,
    /// The bundle's objects, as far as its pipeline has reached them.
    pub objects: Vec<Manifest>,
    /// Objects that stay as they are, whatever they are: a later stage decides about them, or they go only once the run has succeeded.
    pub held: BTreeSet<ObjectKey>,
}

/// Plans a deployment.
///
/// # Guarantees
/// - Guardrails come before anything of the bundle, identities and configuration before workloads.
/// - Every object that could come into being is in `write_ahead`.
/// - An object that somebody else created is never written: it becomes an obstacle, and then nothing at all is written, except for
///   wishes for shared objects, without which their owners could never agree.
/// - The content of a shared object changes only if all of its owners want it to.
/// - What the bundle no longer contains is deleted only once everything it does contain is ready, and in the order of a teardown:
///   a tier only after the tiers before it are gone. What somebody asked to keep stays, with what it may need.
/// - Planning again over the result plans nothing.
pub fn plan(environment: &EnvironmentName, environment_uid: &str, desired: &Desired, inventory: &Inventory, observed: &Observed) -> Plan {
    let (retained, stale): (Vec<_>, Vec<_>) =
        stale(inventory, desired).partition(is_kept(environment.as_str(), inventory, desired, observed));
    let mut planning = Planning {
        environment: environment.as_str(),
        plan: Plan {
            write_ahead: inventory.clone(),
            steps: Vec::new(),
            waiting: Vec::new(),
            obstacles: Vec::new(),
            stale: stale.len(),
            withheld: 0,
            retained: retained.into_iter().map(|(key, _)| key.clone()).collect(),
        },
        observed,
    };
    if !planning.namespace(&desired.namespace, environment_uid) {
        return planning.plan;
    }
    planning.stage(Stage::Guardrails, desired.guardrails.iter());
    for current in [Wave::Identity, Wave::Configuration, Wave::Workload] {
        planning.stage(
            Stage::Deploy,
            desired.objects.iter().filter(|manifest| wave(&manifest.key) == current),
        );
    }
    if !planning.plan.obstacles.is_empty() {
        planning.keep_wishes_only(inventory);
    } else if planning.plan.is_quiet() && planning.plan.waiting.is_empty() {
        planning.prune(desired);
    }
    planning.plan
}

/// What is said of a namespace in which a teardown left what somebody had asked to keep.
const NAMESPACE_KEPT: &str = "holds what an earlier environment of this branch left because of the annotation graftling.dev/retain; nothing is \
     written to it: move what was kept or delete it, then delete the namespace";

/// What is said of an object that somebody else created, worded to follow its key.
pub fn not_ours(key: &ObjectKey) -> &'static str {
    match key.kind.as_str() {
        "Namespace" => "exists and was not created for this environment; nothing is written to it",
        _ => "exists and was not created by graftling; rename it in the bundle or remove it",
    }
}

struct Planning<'a> {
    environment: &'a str,
    plan: Plan,
    observed: &'a Observed,
}

impl Planning<'_> {
    /// Whether planning may go on: not while an earlier namespace is ending, nor if the namespace is somebody else's.
    fn namespace(&mut self, manifest: &Manifest, environment_uid: &str) -> bool {
        let Some(live) = self.observed.get(&manifest.key) else {
            self.apply(Stage::Namespace, manifest, Fence::MustNotExist, false, Because::Missing);
            return true;
        };
        let recorded = self.plan.write_ahead.get(&manifest.key).and_then(|entry| entry.uid.as_deref());
        // Whatever was recorded, a namespace that we made for this very Environment is its own.
        let unrecorded = Entry::ahead(Stage::Namespace).relation(live, self.environment);
        let made_for_us = live.environment_uid.as_deref() == Some(environment_uid) && unrecorded != Relation::Foreign;
        if recorded != Some(live.uid.as_str()) && !made_for_us {
            let reason = match live.retention.from {
                Some(_) => NAMESPACE_KEPT,
                None => not_ours(&manifest.key),
            };
            self.obstacle(Stage::Namespace, &manifest.key, reason);
            return false;
        }
        if live.deletion.is_some() {
            self.wait(live, "is being deleted; the environment is created anew once it is gone");
            return false;
        }
        let relation = match live.is_labelled_for(self.environment) {
            true => Relation::Ours,
            false => Relation::Disowned,
        };
        self.reconcile_existing(Stage::Namespace, manifest, live, relation);
        true
    }

    fn stage<'m>(&mut self, stage: Stage, manifests: impl Iterator<Item = &'m Manifest>) {
        for manifest in manifests {
            self.object(stage, manifest);
        }
    }

    fn object(&mut self, stage: Stage, manifest: &Manifest) {
        let Some(live) = self.observed.get(&manifest.key) else {
            return self.apply(stage, manifest, Fence::MustNotExist, false, Because::Missing);
        };
        if let Some((_, wanted)) = manifest.owner() {
            return self.shared_object(stage, manifest, live, wanted);
        }
        let relation = match self.plan.write_ahead.get(&manifest.key) {
            Some(entry) => entry.relation(live, self.environment),
            None => Relation::Foreign,
        };
        if relation == Relation::Foreign {
            return self.obstacle(stage, &manifest.key, not_ours(&manifest.key));
        }
        if live.deletion.is_some() {
            return self.wait(live, "is being deleted; it is created anew once it is gone");
        }
        self.reconcile_existing(stage, manifest, live, relation);
    }

    fn reconcile_existing(&mut self, stage: Stage, manifest: &Manifest, live: &LiveObject, relation: Relation) {
        let because = match self.plan.write_ahead.get(&manifest.key) {
            Some(entry) => difference(entry, manifest, live, relation, self.environment),
            None => Some(Because::Unrecorded),
        };
        match because {
            Some(because) => {
                let (fence, force) = match live.is_shared() {
                    true => (unchanged(live), live.co_appliers.is_empty()),
                    false => (Fence::Uid(live.uid.clone()), is_alone(live, self.environment)),
                };
                self.apply(stage, manifest, fence, force, because);
            }
            None => match &live.readiness {
                Readiness::Ready => {}
                Readiness::Progressing { reason } => self.wait(live, reason),
                Readiness::Failed { reason } => self.wait_for_repair(live, reason),
            },
        }
    }

    fn apply(&mut self, stage: Stage, manifest: &Manifest, fence: Fence, force: bool, because: Because) {
        if fence == Fence::MustNotExist {
            self.plan.write_ahead.write_ahead(&manifest.key, stage);
        }
        let apply = Apply {
            manifest: manifest.clone(),
            stage,
            fence,
            force,
            because,
        };
        let rank = rank(stage, &manifest.key);
        match self.plan.steps.last_mut() {
            Some(Step::Apply(applies)) if applies.first().is_some_and(|first| rank_of(first) == rank) => applies.push(apply),
            _ => self.plan.steps.push(Step::Apply(vec![apply])),
        }
    }

    fn wait(&mut self, live: &LiveObject, reason: &str) {
        self.plan.waiting.push(Waiting {
            key: live.key.clone(),
            reason: reason.to_owned(),
            deletion: live.deletion.clone(),
            failed: false,
        });
    }

    /// A failed object is no obstacle: it may heal by itself, and the next push must be able to mend it.
    fn wait_for_repair(&mut self, live: &LiveObject, reason: &str) {
        self.wait(live, reason);
        if let Some(last) = self.plan.waiting.last_mut() {
            last.failed = true;
        }
    }

    fn obstacle(&mut self, stage: Stage, key: &ObjectKey, reason: &str) {
        self.plan.obstacles.push(Obstacle {
            key: key.clone(),
            reason: reason.to_owned(),
            stage,
        });
    }

    /// Deletes what is ours and no longer wanted, tier by tier as in a teardown: the next tier is planned once this one is gone.
    fn prune(&mut self, desired: &Desired) {
        let stale: Vec<_> = stale(&self.plan.write_ahead, desired)
            .filter(|(key, _)| !self.plan.retained.contains(key))
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect();
        for tier in Tier::ALL {
            let mut deletes = Vec::new();
            for (key, entry) in stale.iter().filter(|(key, _)| Tier::of(key) == tier) {
                deletes.extend(self.prune_one(key, entry));
            }
            if !deletes.is_empty() {
                self.plan.steps.push(Step::Delete(deletes));
            }
            if !self.plan.is_quiet() || !self.plan.waiting.is_empty() || !self.plan.obstacles.is_empty() {
                return;
            }
        }
    }

    fn prune_one(&mut self, key: &ObjectKey, entry: &Entry) -> Option<Delete> {
        let found = self.observed.get(key).map(|live| (live, entry.relation(live, self.environment)));
        match found {
            None | Some((_, Relation::Foreign)) => self.plan.write_ahead.forget(key),
            Some((live, _)) if live.deletion.is_some() => {
                self.wait(live, "is being deleted, because the bundle no longer contains it");
            }
            Some((_, Relation::Disowned)) => self.obstacle(entry.stage, key, LABEL_TAKEN_OFF),
            Some((live, Relation::Ours)) => {
                return Some(Delete {
                    key: key.clone(),
                    uid: live.uid.clone(),
                    stage: entry.stage,
                    removal: Removal::of(live, self.environment),
                });
            }
        }
        None
    }
}

/// What was applied once and is no longer wanted. Run records have an end of their own ([`super::records`]).
pub fn stale<'a>(inventory: &'a Inventory, desired: &'a Desired) -> impl Iterator<Item = (&'a ObjectKey, &'a Entry)> {
    let wanted = |key: &ObjectKey| {
        *key == desired.namespace.key
            || desired.held.contains(key)
            || desired
                .guardrails
                .iter()
                .chain(&desired.objects)
                .any(|manifest| manifest.key == *key)
    };
    inventory.present().filter(move |(key, _)| !wanted(key) && !is_record(key))
}

/// Which of the stale objects stay: those that somebody asked to keep, and what they may need.
fn is_kept<'a>(
    environment: &'a str,
    inventory: &'a Inventory,
    desired: &'a Desired,
    observed: &'a Observed,
) -> impl FnMut(&(&'a ObjectKey, &'a Entry)) -> bool {
    let is_asked = |(key, entry): &(&ObjectKey, &Entry)| {
        let live = observed.get(key).filter(|live| retain::is_asked(live, environment));
        live.is_some_and(|live| entry.relation(live, environment) != Relation::Foreign)
    };
    let asked: Vec<_> = stale(inventory, desired).filter(is_asked).map(|(key, _)| key).collect();
    move |(key, _)| asked.contains(key) || !asked.is_empty() && observed.contains_key(key) && retain::is_needed(key, &asked)
}

/// Nobody else applies the object, so fields may be taken back from who updated them.
fn is_alone(live: &LiveObject, environment: &str) -> bool {
    live.co_appliers.is_empty() && live.other_owners(environment).next().is_none()
}

/// Why `manifest` has to be written over `live`, if it has to.
fn difference(entry: &Entry, manifest: &Manifest, live: &LiveObject, relation: Relation, environment: &str) -> Option<Because> {
    if entry.uid.as_deref() != Some(live.uid.as_str()) || entry.digest.is_none() {
        Some(Because::Unrecorded)
    } else if has_changed(entry, manifest, live) {
        Some(Because::Changed)
    } else if relation == Relation::Disowned || entry.ownership.as_ref() != live.ownership_of(environment) {
        Some(Because::Drifted)
    } else {
        None
    }
}

fn has_changed(entry: &Entry, manifest: &Manifest, live: &LiveObject) -> bool {
    !entry.is_of(&manifest.recorded_digest()) || holds_other_values(manifest, live)
}

/// Only the values of the manifest count: what somebody else added to a Secret is not ours to take away.
pub(super) fn holds_other_values(manifest: &Manifest, live: &LiveObject) -> bool {
    let held = |name: &String| live.secret.as_ref().and_then(|held| held.get(name));
    let wanted = secret_digests(&manifest.key, &manifest.body).unwrap_or_default();
    wanted.iter().any(|(name, digest)| held(name) != Some(digest))
}

/// Where an object stands in the order of applies: stage, then wave.
fn rank(stage: Stage, key: &ObjectKey) -> (Stage, Wave) {
    match stage {
        Stage::Deploy => (stage, wave(key)),
        Stage::Namespace | Stage::Guardrails => (stage, Wave::Identity),
    }
}

fn rank_of(apply: &Apply) -> (Stage, Wave) {
    rank(apply.stage, &apply.manifest.key)
}
