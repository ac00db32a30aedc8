//! Planning with nothing desired: stages in reverse, identities after everything that could need them, the namespace last.

mod contents;
mod drain;
mod forecast;
pub mod identities;
pub mod late;
mod preview;
pub mod references;
pub mod retain;
pub mod stages;
pub mod stuck;
mod tier;

use super::{Delete, Observed, Obstacle, Removal, Waiting};
use crate::domain::inventory::{Entry, Inventory, Relation, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::name::EnvironmentName;
use crate::domain::observed::Deletion;
use crate::domain::residue::Found;

pub use self::contents::Contents;
pub use self::forecast::forecast;
pub use self::preview::{descendants, preview};
pub use self::tier::Tier;

use self::drain::drain;
use self::references::{ReferenceRules, References};
use self::retain::Kept;

/// Without the label there is no proof that the object is still meant to be ours.
pub(super) const LABEL_TAKEN_OFF: &str =
    "no longer bears graftling's label; put the label graftling.dev/environment back or remove the object";

/// What the Project decided about teardowns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether objects of others go with the namespace; otherwise they keep it.
    pub delete_foreign: bool,
    /// What becomes of references to accounts that are about to go.
    pub references: ReferenceRules,
}

/// What was observed for a teardown. Everything in it was read with the API server's consistent reads, never from a watch.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The live objects under the inventory's keys.
    pub observed: Observed,
    /// Pods of the namespace, whoever made them.
    pub pods: Vec<Pod>,
    /// What the namespace holds beside the inventory; `None` while nobody has looked.
    pub foreign: Option<Vec<ObjectKey>>,
    /// What beside the inventory has to end before identities go; known once `foreign` is.
    pub pending: Vec<Waiting>,
    /// What counts on the accounts of the namespace; `None` while nobody has looked.
    pub references: Option<References>,
    /// What the namespace holds that somebody asked to keep, whoever made it; known once somebody has looked for `foreign`.
    pub retained: Vec<Found>,
}

impl View {
    /// Takes in what a look at the namespace found.
    pub fn take_in(&mut self, contents: Contents) {
        self.foreign = Some(contents.foreign);
        self.pending = contents.pending;
        self.retained = contents.retained;
    }
}

/// A pod, as far as it can need an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// The ServiceAccount it runs as.
    pub service_account: String,
    /// Set while it is being deleted.
    pub deletion: Option<Deletion>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Delete these and wait for those.
    Drain {
        /// The tier.
        tier: Tier,
        /// What to delete now.
        deletes: Vec<Delete>,
        /// What is being deleted already.
        waiting: Vec<Waiting>,
    },
    /// Look at what else the namespace holds, then plan again.
    LookForForeign,
    /// Look at what counts on the accounts, then plan again.
    LookForReferences,
    /// Delete the namespace.
    DeleteNamespace(Delete),
    /// The namespace is ending.
    AwaitNamespace(Waiting),
    /// Everything of the inventory is gone but for what is kept: scan for residue, write the receipt, let go.
    Conclude,
    /// Only a person can settle this.
    Blocked(Vec<Obstacle>),
}

/// A step of a teardown, with the inventory in which everything confirmed gone is marked.
#[derive(Debug, Clone, PartialEq)]
pub struct TeardownPlan {
    /// The inventory after what was observed.
    pub inventory: Inventory,
    /// What to do next.
    pub next: Next,
    /// What stays when everything else is gone.
    pub kept: Vec<Kept>,
}

/// Plans the next step of a teardown.
///
/// # Guarantees
/// - Only objects that bear our label and the recorded UID are deleted, each under its UID as precondition.
/// - A shared object is deleted by the last of its owners alone, and only if nobody has become one since; the others let go of it.
/// - No ServiceAccount, and nothing that gives it rights, is deleted while a pod of the namespace runs as it, nor, unless the rules let
///   it go, while a binding elsewhere or somebody else's token Secret names it.
/// - No right and no identity is deleted while something in the namespace is ending that may need one, nor, unless the rules let it go,
///   while the namespace holds objects of others.
/// - The namespace is deleted only when everything of the inventory inside it is gone and, unless the rules let it go, nothing else is left.
/// - Nothing that bears the annotation `graftling.dev/retain` is deleted, nor the namespace that it is in (see [`retain::kept`]).
pub fn plan(environment: &EnvironmentName, inventory: &Inventory, view: &View, rules: &Rules) -> TeardownPlan {
    let mut inventory = inventory.clone();
    settle(environment, &mut inventory, &view.observed);
    let kept = retain::kept(environment.as_str(), &inventory, view);
    let next = next(environment, &inventory, view, rules, &kept);
    TeardownPlan { inventory, next, kept }
}

/// Marks everything gone that is gone, or that turned out never to have been ours, and records the UIDs that a crash lost.
fn settle(environment: &EnvironmentName, inventory: &mut Inventory, observed: &Observed) {
    let of_ours = |(key, entry): (&ObjectKey, &Entry)| {
        let live = observed.get(key);
        live.filter(|live| entry.relation(live, environment.as_str()) != Relation::Foreign)
    };
    let (found, gone): (Vec<_>, Vec<_>) = inventory
        .present()
        .map(|(key, entry)| (key.clone(), of_ours((key, entry))))
        .partition(|(_, live)| live.is_some());
    for live in found.into_iter().filter_map(|(_, live)| live) {
        inventory.record_found(&live.key, &live.uid);
    }
    let gone: Vec<_> = gone.into_iter().map(|(key, _)| key).collect();
    let namespace = gone.iter().find(|key| key.kind == "Namespace").map(|key| key.name.clone());
    for key in &gone {
        inventory.mark_gone(key);
    }
    if let Some(namespace) = namespace {
        inventory.mark_namespace_gone(&namespace);
    }
}

fn next(environment: &EnvironmentName, inventory: &Inventory, view: &View, rules: &Rules, kept: &[Kept]) -> Next {
    let namespace = inventory.present().find(|(key, _)| key.kind == "Namespace");
    if let Some((key, _)) = namespace
        && let Some(live) = view.observed.get(key)
        && let Some(deletion) = &live.deletion
    {
        return Next::AwaitNamespace(holder(inventory, &view.observed).unwrap_or(Waiting {
            key: key.clone(),
            reason: live.readiness.to_string(),
            deletion: Some(deletion.clone()),
            failed: false,
        }));
    }
    let leaving = retain::leaving(inventory, kept);
    let stays = namespace.is_some_and(|(key, _)| kept.iter().any(|kept| kept.key == *key));
    for tier in Tier::DRAINED {
        if tier == Tier::Access {
            let used = drain::in_use(environment, &leaving, view);
            // Whoever runs as an account may be ours, made so late that it was taken for gone.
            if used.is_blocked() && view.foreign.is_none() && late::is_possible(inventory) {
                return Next::LookForForeign;
            }
            // Whoever still has to clean up after what is gone by now may need the rights and identities that are next.
            if used.is_empty()
                && namespace.is_some()
                && contents::has_rights(&leaving)
                && let Some(next) = contents::hold(view, rules, stays)
            {
                return next;
            }
        }
        if tier == Tier::Access
            && let Some(next) = references::guard(environment, (inventory, &leaving), view, &rules.references)
        {
            return next;
        }
        if let Some(next) = drain(environment, &leaving, view, tier) {
            return next;
        }
    }
    let Some((key, entry)) = namespace else {
        return Next::Conclude;
    };
    if view.foreign.is_some() && stays {
        return Next::Conclude;
    }
    finish(environment, (key, entry), view, rules)
}

/// The first of our objects that keeps an ending namespace: somebody still has to take its finalizers off.
fn holder(inventory: &Inventory, observed: &Observed) -> Option<Waiting> {
    let live = inventory.present().filter_map(|(key, _)| observed.get(key));
    let mut held = live.filter(|live| live.key.namespace.is_some());
    held.find_map(|live| {
        let deletion = live.deletion.clone().filter(|deletion| !deletion.finalizers.is_empty())?;
        Some(Waiting {
            key: live.key.clone(),
            reason: "keeps its namespace from ending: it is being deleted".to_owned(),
            deletion: Some(deletion),
            failed: false,
        })
    })
}

fn finish(environment: &EnvironmentName, (key, entry): (&ObjectKey, &Entry), view: &View, rules: &Rules) -> Next {
    let Some(live) = view.observed.get(key) else {
        return Next::Conclude;
    };
    if let Some(next) = contents::hold(view, rules, false) {
        return next;
    }
    if entry.relation(live, environment.as_str()) == Relation::Disowned {
        return Next::Blocked(vec![Obstacle {
            key: key.clone(),
            reason: LABEL_TAKEN_OFF.to_owned(),
            stage: Stage::Namespace,
        }]);
    }
    Next::DeleteNamespace(Delete {
        key: key.clone(),
        uid: live.uid.clone(),
        stage: entry.stage,
        removal: Removal::Delete,
    })
}
