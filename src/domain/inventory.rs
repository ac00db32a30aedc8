//! What graftling has ever applied for an environment and not yet seen gone.
//!
//! Write ahead, forget late: an entry is recorded before the first request that could create its object, and leaves only after the
//! object was confirmed gone. Whatever dies in between, nothing is orphaned.

use std::collections::BTreeMap;
use std::fmt;

use super::manifest::ObjectKey;
use super::observed::LiveObject;

/// Every object of an environment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    entries: BTreeMap<ObjectKey, Entry>,
}

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which stage applies it.
    pub stage: Stage,
    /// Its UID; `None` between writing the entry and the first answer.
    pub uid: Option<String>,
    /// The digest of the manifest that was last applied, or its beginning; for a Secret without what it holds.
    pub digest: Option<String>,
    /// The digest of our fields after the last apply.
    pub ownership: Option<String>,
    /// Whether its deletion was confirmed during a teardown.
    pub gone: bool,
    /// Whether the server accepted a deletion of ours: what is gone without was removed by somebody else.
    pub asked: bool,
}

/// The stages that graftling knows by itself, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The namespace.
    Namespace,
    /// Quota, limits, network policies and the deployer's RoleBinding.
    Guardrails,
    /// The bundle's objects.
    Deploy,
}

/// How much of a digest is stored where there are many, in hexadecimal digits: enough that no two manifests of an object have the same.
pub const SHORT_DIGEST: usize = 16;

/// How a live object relates to an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// We created it: the recorded UID is its UID, or the entry was written ahead and the object shows that we applied it. It
    /// bears our label.
    Ours,
    /// We created it, but somebody took our label off.
    Disowned,
    /// Somebody else created it.
    Foreign,
}

// === impl Inventory ===

impl Inventory {
    /// An inventory of these entries.
    pub fn from_entries(entries: impl IntoIterator<Item = (ObjectKey, Entry)>) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }

    /// The entry of an object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Entry)> {
        self.entries.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was ever applied.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries whose deletion is not confirmed.
    pub fn present(&self) -> impl Iterator<Item = (&ObjectKey, &Entry)> {
        self.entries.iter().filter(|(_, entry)| !entry.gone)
    }

    /// Records that an object is about to be created: its old UID, if any, is void.
    pub fn write_ahead(&mut self, key: &ObjectKey, stage: Stage) {
        self.put(key, Entry::ahead(stage));
    }

    /// Records what an apply came back with.
    pub fn record_applied(&mut self, stage: Stage, digest: &str, live: &LiveObject) {
        let entry = Entry {
            stage,
            uid: Some(live.uid.clone()),
            digest: Some(digest.to_owned()),
            ownership: live.ownership.clone(),
            gone: false,
            asked: false,
        };
        self.put(&live.key, entry);
    }

    /// Records the UID of an object that turned out to be ours although a crash lost the answer to its creation.
    pub fn record_found(&mut self, key: &ObjectKey, uid: &str) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.uid = Some(uid.to_owned());
        }
    }

    /// The version of a key takes no part in comparisons, so an insertion alone would keep a version that may no longer be served.
    fn put(&mut self, key: &ObjectKey, entry: Entry) {
        self.entries.remove(key);
        self.entries.insert(key.clone(), entry);
    }

    /// Forgets an object that is confirmed gone while the environment lives on.
    pub fn forget(&mut self, key: &ObjectKey) {
        self.entries.remove(key);
    }

    /// Records that the server accepted a deletion of ours; the object may linger.
    pub fn mark_asked(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.asked = true;
        }
    }

    /// Marks an object as confirmed gone; the entry stays for the receipt.
    pub fn mark_gone(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.gone = true;
        }
    }

    /// Records that an object which was taken for gone has come into being after all, by a creation that arrived late.
    pub fn come_late(&mut self, key: &ObjectKey, uid: &str) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.gone = false;
            entry.uid = Some(uid.to_owned());
        }
    }

    /// Marks everything of one namespace as gone with it.
    pub fn mark_namespace_gone(&mut self, namespace: &str) {
        for (key, entry) in &mut self.entries {
            if key.namespace.as_deref() == Some(namespace) || (key.kind == "Namespace" && key.name == namespace) {
                entry.gone = true;
            }
        }
    }

    /// Voids the UID of an object that turned out not to exist, so that it may be created anew.
    pub fn void_uid(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            *entry = Entry::ahead(entry.stage);
        }
    }
}

// === impl Entry ===

impl Entry {
    /// The entry of an object that is about to be created.
    pub fn ahead(stage: Stage) -> Self {
        Self {
            stage,
            uid: None,
            digest: None,
            ownership: None,
            gone: false,
            asked: false,
        }
    }

    /// Whether the manifest with this digest was the last that was applied.
    pub fn is_of(&self, digest: &str) -> bool {
        let begins = |stored: &String| stored == digest || stored.len() >= SHORT_DIGEST && digest.starts_with(stored.as_str());
        self.digest.as_ref().is_some_and(begins)
    }

    /// How `live`, found under this entry's key, relates to the environment.
    ///
    /// Without a recorded UID, fields that we applied are the proof: labels are copied by people and by controllers, but nobody
    /// applies under our name. An object that bears another environment's label belongs to that one. Of a shared object, an environment
    /// is an owner as long as it holds fields under its own field manager.
    pub fn relation(&self, live: &LiveObject, environment: &str) -> Relation {
        if live.is_shared() {
            let is_owner = live.shares.get(environment).is_some_and(|share| share.ownership.is_some());
            let is_recorded = self.uid.as_ref().is_none_or(|uid| *uid == live.uid);
            return if is_owner && is_recorded {
                Relation::Ours
            } else {
                Relation::Foreign
            };
        }
        let labelled = live.is_labelled_for(environment);
        match &self.uid {
            Some(uid) if *uid != live.uid => Relation::Foreign,
            None if live.ownership.is_none() => Relation::Foreign,
            _ if labelled => Relation::Ours,
            None if live.environment.is_some() => Relation::Foreign,
            _ => Relation::Disowned,
        }
    }
}

// === impl Stage ===

impl Stage {
    /// All stages in their order.
    pub const ALL: [Self; 3] = [Self::Namespace, Self::Guardrails, Self::Deploy];

    /// The stage's name in a status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Guardrails => "guardrails",
            Self::Deploy => "deploy",
        }
    }

    /// Whether a name in a status is of a stage before the bundle's own, which no stage of a pipeline may have.
    pub fn is_before_the_bundle(name: &str) -> bool {
        matches!(Self::from_name(name), Some(Self::Namespace | Self::Guardrails))
    }

    /// The stage of a name in a status.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
