//! Planning with nothing desired: stages in reverse, identities after everything that could need them, the namespace last.

use super::{Delete, Observed, Obstacle, Removal, Waiting};
use crate::domain::inventory::{Entry, Inventory, Relation, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::name::EnvironmentName;

/// The order of a teardown. A tier begins when everything of the tiers before it is confirmed gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Custom resources: their controllers need what comes later to finish their work.
    Custom,
    /// What runs.
    Workload,
    /// Services, Ingresses, volumes, configuration.
    Attachment,
    /// What belongs to no namespace: classes and volumes.
    Cluster,
    /// RoleBindings, Roles, their likes for the whole cluster, and Secrets.
    Access,
    /// ServiceAccounts.
    Identity,
    /// Our own fences: they hold until the namespace itself goes, and go with it.
    Guardrail,
    /// The namespace.
    Namespace,
}

/// Without the label there is no proof that the object is still meant to be ours.
pub(super) const LABEL_TAKEN_OFF: &str =
    "no longer bears graftling's label; put the label graftling.dev/environment back or remove the object";

/// What was observed for a teardown. Everything in it was read with the API server's consistent reads, never from a watch.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The live objects under the inventory's keys.
    pub observed: Observed,
    /// Pods of the namespace, whoever made them.
    pub pods: Vec<Pod>,
    /// What the namespace holds beside the inventory; `None` while nobody has looked.
    pub foreign: Option<Vec<ObjectKey>>,
}

/// A pod, as far as it can need an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// The ServiceAccount it runs as.
    pub service_account: String,
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
    /// Delete the namespace.
    DeleteNamespace(Delete),
    /// The namespace is ending.
    AwaitNamespace(Waiting),
    /// Everything of the inventory is gone: scan for residue, write the receipt, let go.
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
}

/// Plans the next step of a teardown.
///
/// # Guarantees
/// - Only objects that bear our label and the recorded UID are deleted, each under its UID as precondition.
/// - A shared object is deleted by the last of its owners alone, and only if nobody has become one since; the others let go of it.
/// - No ServiceAccount, and nothing that gives it rights, is deleted while a pod of the namespace runs as it.
/// - The namespace is deleted only when everything of the inventory inside it is gone and, unless `delete_foreign`, nothing else is left.
pub fn plan(environment: &EnvironmentName, inventory: &Inventory, view: &View, delete_foreign: bool) -> TeardownPlan {
    let mut inventory = inventory.clone();
    settle(environment, &mut inventory, &view.observed);
    let next = next(environment, &inventory, view, delete_foreign);
    TeardownPlan { inventory, next }
}

/// Every step of a teardown from here on, supposing that each deletion succeeds at once: what a person wants to see before it begins.
pub fn forecast(environment: &EnvironmentName, inventory: &Inventory, view: &View, delete_foreign: bool) -> Vec<TeardownPlan> {
    let mut view = view.clone();
    let mut inventory = inventory.clone();
    let mut steps = Vec::new();
    loop {
        let step = plan(environment, &inventory, &view, delete_foreign);
        inventory = step.inventory.clone();
        let gone: Vec<ObjectKey> = match &step.next {
            Next::Drain { deletes, waiting, .. } => {
                let waited = waiting.iter().map(|waiting| waiting.key.clone());
                deletes.iter().map(|delete| delete.key.clone()).chain(waited).collect()
            }
            Next::DeleteNamespace(delete) => vec![delete.key.clone()],
            Next::AwaitNamespace(waiting) => vec![waiting.key.clone()],
            Next::LookForForeign | Next::Conclude | Next::Blocked(_) => Vec::new(),
        };
        let last = gone.is_empty();
        steps.push(step);
        if last {
            return steps;
        }
        for key in gone {
            view.observed.remove(&key);
        }
    }
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

fn next(environment: &EnvironmentName, inventory: &Inventory, view: &View, delete_foreign: bool) -> Next {
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
    for tier in Tier::DRAINED {
        if let Some(next) = drain(environment, inventory, view, tier) {
            return next;
        }
    }
    let Some((key, entry)) = namespace else {
        return Next::Conclude;
    };
    finish(environment, (key, entry), view, delete_foreign)
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

fn drain(environment: &EnvironmentName, inventory: &Inventory, view: &View, tier: Tier) -> Option<Next> {
    let mut deletes = Vec::new();
    let mut waiting = Vec::new();
    let mut obstacles = Vec::new();
    for (key, entry) in inventory.present().filter(|(key, entry)| tier_of_entry(key, entry) == tier) {
        let Some(live) = view.observed.get(key) else { continue };
        if live.deletion.is_some() {
            waiting.push(Waiting {
                key: key.clone(),
                reason: "is being deleted".to_owned(),
                deletion: live.deletion.clone(),
                failed: false,
            });
        } else if entry.relation(live, environment.as_str()) == Relation::Disowned {
            obstacles.push(Obstacle {
                key: key.clone(),
                reason: LABEL_TAKEN_OFF.to_owned(),
                stage: entry.stage,
            });
        } else {
            deletes.push(Delete {
                key: key.clone(),
                uid: live.uid.clone(),
                stage: entry.stage,
                removal: Removal::of(live, environment.as_str()),
            });
        }
    }
    if tier == Tier::Access || tier == Tier::Identity {
        // A pod loses its rights with the bindings, not only with the account.
        let is_kept = |key: &ObjectKey, entry: &Entry| {
            let live = view.observed.get(key).filter(|live| live.deletion.is_none());
            live.is_some_and(|live| entry.relation(live, environment.as_str()) == Relation::Ours)
        };
        let kept = inventory.present().filter(|(key, entry)| is_kept(key, entry));
        obstacles.extend(kept.filter_map(|(key, _)| used_by_a_pod(key, &view.pods)));
    }
    if !obstacles.is_empty() {
        return Some(Next::Blocked(obstacles));
    }
    let idle = deletes.is_empty() && waiting.is_empty();
    (!idle).then_some(Next::Drain { tier, deletes, waiting })
}

fn used_by_a_pod(key: &ObjectKey, pods: &[Pod]) -> Option<Obstacle> {
    let pod = pods
        .iter()
        .find(|pod| key.kind == "ServiceAccount" && pod.service_account == key.name)?;
    Some(Obstacle {
        key: key.clone(),
        reason: format!("is still used by Pod {}, which graftling did not create; remove the Pod", pod.name),
        stage: Stage::Deploy,
    })
}

fn finish(environment: &EnvironmentName, (key, entry): (&ObjectKey, &Entry), view: &View, delete_foreign: bool) -> Next {
    let Some(live) = view.observed.get(key) else {
        return Next::Conclude;
    };
    let Some(foreign) = &view.foreign else {
        return Next::LookForForeign;
    };
    if !foreign.is_empty() && !delete_foreign {
        let obstacles = foreign.iter().map(|key| Obstacle {
            key: key.clone(),
            reason: "was not created by graftling; remove it, or set policy.foreignObjects of the Project to Delete".to_owned(),
            stage: Stage::Namespace,
        });
        return Next::Blocked(obstacles.collect());
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

fn tier_of_entry(key: &ObjectKey, entry: &Entry) -> Tier {
    match entry.stage {
        Stage::Namespace => Tier::Namespace,
        Stage::Guardrails => Tier::Guardrail,
        Stage::Deploy => Tier::of(key),
    }
}

// === impl Tier ===

impl Tier {
    /// All tiers in their order.
    pub const ALL: [Self; 8] = [
        Self::Custom,
        Self::Workload,
        Self::Attachment,
        Self::Cluster,
        Self::Access,
        Self::Identity,
        Self::Guardrail,
        Self::Namespace,
    ];

    /// The tiers that are emptied one by one while the namespace is active.
    const DRAINED: [Self; 6] = [
        Self::Custom,
        Self::Workload,
        Self::Attachment,
        Self::Cluster,
        Self::Access,
        Self::Identity,
    ];

    /// The tier of a bundle's object, by its kind.
    pub fn of(key: &ObjectKey) -> Self {
        match (key.group.as_str(), key.kind.as_str()) {
            ("", "Namespace") => Self::Namespace,
            ("", "ServiceAccount") => Self::Identity,
            ("", "Secret") | ("rbac.authorization.k8s.io", _) => Self::Access,
            ("", "Pod" | "ReplicationController") | ("apps" | "batch", _) => Self::Workload,
            (group, _) if is_built_in(group) && key.namespace.is_none() => Self::Cluster,
            (group, _) if is_built_in(group) => Self::Attachment,
            _ => Self::Custom,
        }
    }
}

/// Kubernetes' own groups: all without a dot, and these. Others below `k8s.io` are custom resources of its special interest groups.
fn is_built_in(group: &str) -> bool {
    !group.contains('.')
        || matches!(
            group,
            "admissionregistration.k8s.io"
                | "apiextensions.k8s.io"
                | "apiregistration.k8s.io"
                | "certificates.k8s.io"
                | "flowcontrol.apiserver.k8s.io"
                | "networking.k8s.io"
                | "storage.k8s.io"
                | "discovery.k8s.io"
                | "coordination.k8s.io"
                | "scheduling.k8s.io"
                | "node.k8s.io"
                | "events.k8s.io"
                | "resource.k8s.io"
        )
}
