//! Emptying one tier, with what keeps it from going.

use super::{LABEL_TAKEN_OFF, Next, Pod, Tier, View};
use crate::domain::inventory::{Entry, Inventory, Relation, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::name::EnvironmentName;
use crate::domain::plan::{Delete, Obstacle, Removal, Waiting};
use crate::domain::record::is_record;

/// What empties `tier`, and waits for it; `None` if it is empty.
pub(super) fn drain(environment: &EnvironmentName, inventory: &Inventory, view: &View, tier: Tier) -> Option<Next> {
    let mut deletes = Vec::new();
    let mut waiting = Vec::new();
    let mut obstacles = Vec::new();
    for (key, entry) in inventory.present().filter(|(key, entry)| Tier::of_entry(key, entry) == tier) {
        let Some(live) = view.observed.get(key) else { continue };
        if live.deletion.is_some() {
            waiting.push(Waiting {
                key: key.clone(),
                reason: "is being deleted".to_owned(),
                deletion: live.deletion.clone(),
                failed: false,
            });
        // A run record is known by its name and UID alone: that somebody took its label off must not hold a teardown up.
        } else if entry.relation(live, environment.as_str()) == Relation::Disowned && !is_record(key) {
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
        let used = in_use(environment, inventory, view);
        obstacles.extend(used.running);
        if obstacles.is_empty() && !used.ending.is_empty() {
            // A pod needs its identity until its last container has ended, however long that takes.
            waiting.extend(used.ending);
            deletes.clear();
        }
    }
    if !obstacles.is_empty() {
        return Some(Next::Blocked(obstacles));
    }
    let idle = deletes.is_empty() && waiting.is_empty();
    (!idle).then_some(Next::Drain { tier, deletes, waiting })
}

/// What keeps our accounts: pods that run as one.
pub(super) struct InUse {
    /// Nobody has asked these to end, so they never would by themselves.
    running: Vec<Obstacle>,
    /// These are about to end.
    ending: Vec<Waiting>,
}

impl InUse {
    /// Whether a pod runs as one of our accounts that nobody has asked to end.
    pub(super) fn is_blocked(&self) -> bool {
        !self.running.is_empty()
    }

    /// Whether no pod runs as one of our accounts.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.ending.is_empty()
    }
}

/// Our accounts that pods still run as.
pub(super) fn in_use(environment: &EnvironmentName, inventory: &Inventory, view: &View) -> InUse {
    let is_kept = |key: &ObjectKey, entry: &Entry| {
        let live = view.observed.get(key).filter(|live| live.deletion.is_none());
        live.is_some_and(|live| entry.relation(live, environment.as_str()) == Relation::Ours)
    };
    let kept = inventory.present().filter(|(key, entry)| is_kept(key, entry));
    let (ending, running): (Vec<_>, Vec<_>) = kept
        .filter_map(|(key, _)| Some((key, used_by(key, &view.pods)?)))
        .partition(|(_, pod)| pod.deletion.is_some());
    InUse {
        running: running.into_iter().map(|(key, pod)| used_by_a_pod(key, pod)).collect(),
        ending: ending.into_iter().map(|(key, pod)| used_by_an_ending_pod(key, pod)).collect(),
    }
}

/// A pod that runs as the account: rather one that nobody has asked to end, since it would never end by itself.
fn used_by<'v>(key: &ObjectKey, pods: &'v [Pod]) -> Option<&'v Pod> {
    let of_account = |pod: &&Pod| key.kind == "ServiceAccount" && pod.service_account == key.name;
    pods.iter().filter(of_account).min_by_key(|pod| pod.deletion.is_some())
}

fn used_by_a_pod(key: &ObjectKey, pod: &Pod) -> Obstacle {
    Obstacle {
        key: key.clone(),
        reason: format!("is still used by Pod {}, which graftling did not create; remove the Pod", pod.name),
        stage: Stage::Deploy,
    }
}

fn used_by_an_ending_pod(key: &ObjectKey, pod: &Pod) -> Waiting {
    Waiting {
        // Its own key: no watch of ours need show the pod.
        key: ObjectKey {
            kind: "Pod".to_owned(),
            name: pod.name.clone(),
            ..key.clone()
        },
        reason: format!("still runs as ServiceAccount {} and is being deleted", key.name),
        deletion: pod.deletion.clone(),
        failed: false,
    }
}
