//! What stays: whatever bears the annotation `graftling.dev/retain`, what it needs, and the namespace around it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Tier, View};
use crate::domain::inventory::{Entry, Inventory, Relation, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::observed::LiveObject;
use crate::domain::record::is_record;
use crate::domain::retention::RETAIN_ANNOTATION;

/// Something that a teardown leaves on purpose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// The object.
    pub key: ObjectKey,
    /// Its UID, where it was looked at.
    pub uid: Option<String>,
    /// Why it stays.
    pub because: Keeping,
}

/// Why a teardown leaves something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keeping {
    /// It bears the annotation.
    Asked,
    /// Something that bears it runs, or is a custom resource, and may need this.
    Needed,
    /// It is the namespace of something that stays.
    Home,
    /// It fences that namespace.
    Fence,
    /// It is somebody else's, in that namespace.
    Beside,
}

impl Keeping {
    /// The reason as it stands in receipts and plans.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Asked => "bears the annotation graftling.dev/retain",
            Self::Needed => "is kept for what bears the annotation graftling.dev/retain",
            Self::Home => "is the namespace of what bears the annotation graftling.dev/retain",
            Self::Fence => "fences the namespace of what bears the annotation graftling.dev/retain",
            Self::Beside => "was not created by graftling, and its namespace stays for what bears the annotation graftling.dev/retain",
        }
    }
}

/// Everything that stays, in the order of keys.
///
/// # Guarantees
/// - What is being deleted already is not among it: nobody can stop that.
/// - An object that others share is not among it while it stays anyway: the environment only lets go of it.
/// - If anything inside of the namespace is, so are the namespace and its guardrails.
pub fn kept(environment: &str, inventory: &Inventory, view: &View) -> Vec<Kept> {
    let live = |key: &ObjectKey| view.observed.get(key).filter(|live| live.deletion.is_none());
    let home = inventory.present().map(|(key, _)| key).find(|key| key.kind == "Namespace");
    // Who has deleted the namespace has decided about all that is in it.
    let home = home.filter(|home| live(home).is_some());
    let ours: Vec<_> = inventory
        .present()
        .filter_map(|(key, entry)| Some((key, entry, live(key)?)))
        .filter(|(key, _, _)| key.namespace.is_none() || home.is_some())
        .filter(|(_, entry, live)| entry.relation(live, environment) != Relation::Foreign)
        .collect();
    let asked: Vec<_> = ours.iter().filter(|(_, _, live)| is_asked(live, environment)).collect();
    let beside = view
        .retained
        .iter()
        .filter(|found| home.is_some() && inventory.get(&found.key).is_none());
    let of_inventory: Vec<_> = asked.iter().map(|(key, _, _)| *key).collect();
    let others = beside.clone().map(|found| &found.key);
    let retained: Vec<_> = of_inventory.iter().copied().chain(others).collect();
    if retained.is_empty() {
        return Vec::new();
    }
    let stays = |key: &ObjectKey| key.namespace.is_some() || Some(key) == home;
    let home_stays = retained.iter().any(|key| stays(key));
    let of_ours = |(key, entry, live): &(&ObjectKey, &Entry, &LiveObject)| {
        let because = if is_asked(live, environment) {
            Keeping::Asked
        } else if home_stays && entry.stage == Stage::Namespace {
            Keeping::Home
        } else if home_stays && entry.stage == Stage::Guardrails {
            Keeping::Fence
        } else if entry.stage == Stage::Deploy && !live.is_shared() && is_needed(key, &of_inventory) {
            Keeping::Needed
        } else {
            return None;
        };
        Some(kept_as(key, Some(&live.uid), because))
    };
    let mut kept: Vec<_> = ours.iter().filter_map(of_ours).collect();
    kept.extend(beside.map(|found| kept_as(&found.key, Some(&found.uid), Keeping::Asked)));
    let foreign = view.foreign.iter().flatten().filter(|_| home_stays);
    kept.extend(
        foreign
            .filter(|key| !retained.contains(key))
            .map(|key| kept_as(key, None, Keeping::Beside)),
    );
    kept.sort();
    kept
}

/// Whether `key` has to stay with what is retained.
///
/// What an object refers to is not known here, so the rule is wide: what runs, and whatever a controller may act for, keeps all
/// identities, rights, Secrets, configuration and claims of the namespace. A claim keeps the volumes: one that is bound never ends. No
/// right over the whole cluster outlives its environment unasked.
pub(in crate::domain::plan) fn is_needed(key: &ObjectKey, retained: &[&ObjectKey]) -> bool {
    let runs = retained.iter().any(|key| matches!(Tier::of(key), Tier::Workload | Tier::Custom));
    let claims = retained.iter().any(|key| is_core(key, "PersistentVolumeClaim"));
    match Tier::of(key) {
        // Nothing that runs reads a run record, and nobody looks after it once its environment is gone.
        _ if is_record(key) => false,
        Tier::Access | Tier::Identity => runs && key.namespace.is_some(),
        Tier::Attachment => runs && (is_core(key, "ConfigMap") || is_core(key, "PersistentVolumeClaim")),
        Tier::Cluster => (runs || claims) && is_core(key, "PersistentVolume"),
        _ => false,
    }
}

/// Whether somebody asked that an object be kept which would otherwise be deleted.
pub(in crate::domain::plan) fn is_asked(live: &LiveObject, environment: &str) -> bool {
    let only_ours = !live.is_shared() || live.other_owners(environment).next().is_none();
    live.retention.asked && live.deletion.is_none() && only_ours && !is_record(&live.key)
}

/// The inventory without what stays: what a teardown has to see gone.
pub(super) fn leaving<'i>(inventory: &'i Inventory, kept: &[Kept]) -> Cow<'i, Inventory> {
    if kept.is_empty() {
        return Cow::Borrowed(inventory);
    }
    let kept: BTreeSet<_> = kept.iter().map(|kept| &kept.key).collect();
    let leaving = inventory.iter().filter(|(key, _)| !kept.contains(key));
    Cow::Owned(Inventory::from_entries(leaving.map(|(key, entry)| (key.clone(), entry.clone()))))
}

/// `3 objects bear graftling.dev/retain and stay: …`, or nothing.
pub fn sentence(kept: &[Kept]) -> Option<String> {
    let asked: Vec<_> = kept.iter().filter(|kept| kept.because == Keeping::Asked).collect();
    let named: Vec<_> = asked.iter().take(3).map(|kept| kept.key.to_string()).collect();
    let verb = if asked.len() == 1 { "object stays" } else { "objects stay" };
    let more = if asked.len() > named.len() { ", …" } else { "" };
    (!asked.is_empty()).then(|| {
        format!(
            "{} {verb} because of the annotation {RETAIN_ANNOTATION}: {}{more}",
            asked.len(),
            named.join(", ")
        )
    })
}

fn is_core(key: &ObjectKey, kind: &str) -> bool {
    key.group.is_empty() && key.kind == kind
}

fn kept_as(key: &ObjectKey, uid: Option<&String>, because: Keeping) -> Kept {
    Kept {
        key: key.clone(),
        uid: uid.cloned(),
        because,
    }
}
