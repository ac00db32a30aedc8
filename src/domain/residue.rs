//! What is ours of the things that were found, what Kubernetes put there, and what is somebody else's.

pub mod evidence;
pub mod volume;

use std::collections::BTreeSet;

use super::inventory::Inventory;
use super::manifest::ObjectKey;
use super::record::is_record;
use super::retention::Retention;

/// An object that a look over many kinds brought up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which object.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: String,
    /// The value of the environment label.
    pub environment: Option<String>,
    /// The UIDs of its owners.
    pub owners: Vec<String>,
    /// Group and kind of each of its owners.
    pub owner_kinds: Vec<(String, String)>,
    /// Whether the look saw that all of its owners are gone, so that the garbage collector is about to delete it.
    pub lost: bool,
    /// What has to happen before it can go.
    pub finalizers: Vec<String>,
    /// Since when it is being deleted, as Kubernetes writes it.
    pub deleting_since: Option<String>,
    /// What its annotations say about its keeping.
    pub retention: Retention,
}

/// An object of the inventory that stays, because other environments own it as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The object.
    pub key: ObjectKey,
    /// The other environments, by name.
    pub owners: Vec<String>,
}

/// The objects among `found`, the contents of one namespace, that neither we nor Kubernetes put there.
///
/// Ours are the objects of the inventory, what they own directly or through others, and the volume claims that a StatefulSet of the
/// inventory made from its templates (Kubernetes gives those no owner).
pub fn foreign(inventory: &Inventory, found: &[Found]) -> Vec<ObjectKey> {
    let recorded = inventory.iter().filter_map(|(_, entry)| entry.uid.as_deref()).collect();
    let ours = descendants(&recorded, found);
    let stateful_sets: Vec<&str> = inventory
        .iter()
        .filter(|(key, _)| key.kind == "StatefulSet")
        .map(|(key, _)| key.name.as_str())
        .collect();
    found
        .iter()
        .filter(|object| !ours.contains(object.uid.as_str()))
        .filter(|object| !is_put_by_kubernetes(&object.key))
        .filter(|object| !stateful_sets.iter().any(|set| is_claim_of(&object.key, set)))
        .map(|object| object.key.clone())
        .collect()
}

/// The UIDs `roots`, and those of what they own among `found`, directly or through others.
pub fn descendants<'a>(roots: &BTreeSet<&'a str>, found: &'a [Found]) -> BTreeSet<&'a str> {
    let mut family = roots.clone();
    loop {
        let before = family.len();
        for object in found {
            if object.owners.iter().any(|owner| family.contains(owner.as_str())) {
                family.insert(&object.uid);
            }
        }
        if family.len() == before {
            return family;
        }
    }
}

/// Marks the objects whose owners are gone: all of kinds in `listed`, group and kind, of which everything in the namespace was found.
pub fn mark_lost(found: &mut [Found], listed: &BTreeSet<(String, String)>) {
    let there: BTreeSet<String> = found.iter().map(|object| object.uid.clone()).collect();
    for object in found {
        let gone = object.owners.iter().all(|owner| !there.contains(owner));
        object.lost = !object.owners.is_empty() && gone && object.owner_kinds.iter().all(|kind| listed.contains(kind));
    }
}

/// The objects among `found` that somebody asked to keep. What another object of the namespace owns goes or stays with its owner.
pub fn retained(found: &[Found]) -> Vec<Found> {
    let there: BTreeSet<&str> = found.iter().map(|object| object.uid.as_str()).collect();
    let is_owned = |object: &Found| object.owners.iter().any(|owner| there.contains(owner.as_str()));
    let asked = found
        .iter()
        .filter(|object| object.retention.asked && !is_owned(object) && !is_record(&object.key));
    asked.cloned().collect()
}

/// What every namespace gets, and what only records what happened.
fn is_put_by_kubernetes(key: &ObjectKey) -> bool {
    matches!(
        (key.group.as_str(), key.kind.as_str(), key.name.as_str()),
        ("", "ServiceAccount", "default")
            | ("", "ConfigMap", "kube-root-ca.crt")
            | ("", "Event" | "Endpoints", _)
            | ("events.k8s.io", "Event", _)
            | ("discovery.k8s.io", "EndpointSlice", _)
            | ("coordination.k8s.io", "Lease", _)
            | ("metrics.k8s.io", "PodMetrics", _)
    )
}

/// `<template>-<set>-<ordinal>`.
fn is_claim_of(key: &ObjectKey, set: &str) -> bool {
    let Some((rest, ordinal)) = key.name.rsplit_once('-') else {
        return false;
    };
    key.kind == "PersistentVolumeClaim" && ordinal.bytes().all(|byte| byte.is_ascii_digit()) && rest.ends_with(&format!("-{set}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::inventory::{Entry, Stage};

    fn key(kind: &str, name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: Some("n".into()),
            name: name.into(),
        }
    }

    fn found(kind: &str, name: &str, uid: &str, owners: &[&str]) -> Found {
        Found {
            key: key(kind, name),
            uid: uid.into(),
            environment: None,
            owners: owners.iter().map(ToString::to_string).collect(),
            owner_kinds: Vec::new(),
            lost: false,
            finalizers: Vec::new(),
            deleting_since: None,
            retention: Retention::default(),
        }
    }

    fn inventory() -> Inventory {
        Inventory::from_entries(
            [(key("StatefulSet", "db"), "1"), (key("Deployment", "web"), "2")].map(|(key, uid)| {
                let entry = Entry {
                    stage: Stage::Deploy,
                    uid: Some(uid.into()),
                    digest: None,
                    ownership: None,
                    gone: true,
                    asked: true,
                };
                (key, entry)
            }),
        )
    }

    #[test]
    fn descendants_of_our_objects_are_ours_however_deep() {
        let contents = [
            found("Pod", "web-1-x", "22", &["21"]),
            found("ReplicaSet", "web-1", "21", &["2"]),
            found("PersistentVolumeClaim", "data-db-0", "11", &[]),
        ];
        assert_eq!(foreign(&inventory(), &contents), []);
    }

    #[test]
    fn only_what_was_looked_for_and_not_found_is_a_lost_owner() {
        let mut contents = [
            found("Pod", "a", "1", &["gone"]),
            found("Pod", "b", "2", &["1"]),
            found("Pod", "c", "3", &["gone", "1"]),
        ];
        contents
            .iter_mut()
            .for_each(|object| object.owner_kinds = vec![("apps".into(), "ReplicaSet".into())]);
        let lost = |listed: &[(&str, &str)], contents: &mut [Found]| -> Vec<String> {
            let listed = listed
                .iter()
                .map(|(group, kind)| ((*group).to_owned(), (*kind).to_owned()))
                .collect();
            mark_lost(contents, &listed);
            contents
                .iter()
                .filter(|object| object.lost)
                .map(|object| object.key.name.clone())
                .collect()
        };
        assert_eq!(lost(&[("apps", "ReplicaSet")], &mut contents), ["a"]);
        assert_eq!(
            lost(&[("", "Node")], &mut contents),
            [""; 0],
            "an owner outside of the namespace, or of a kind that may not be listed"
        );
    }

    #[test]
    fn what_kubernetes_puts_everywhere_is_not_foreign() {
        let contents = [
            found("ServiceAccount", "default", "a", &[]),
            found("ConfigMap", "kube-root-ca.crt", "b", &[]),
            found("Event", "web.17", "c", &[]),
        ];
        assert_eq!(foreign(&inventory(), &contents), []);
    }

    #[test]
    fn feature_x3_a_custom_resource_is_foreign_even_if_its_kind_is_called_like_one_of_kubernetes() {
        let mut lease = found("Lease", "flat-12", "a", &[]);
        lease.key.group = "homes.example.com".into();
        assert_eq!(foreign(&inventory(), std::slice::from_ref(&lease)), [lease.key.clone()]);
        lease.key.group = "coordination.k8s.io".into();
        assert_eq!(foreign(&inventory(), &[lease]), []);
    }

    #[test]
    fn feature_x3_what_somebody_else_made_is_foreign_even_under_a_name_like_ours() {
        let contents = [
            found("ConfigMap", "notes", "a", &[]),
            found("Deployment", "web", "other-uid", &[]),
            found("PersistentVolumeClaim", "data-cache-0", "b", &[]),
            found("Pod", "debug", "c", &["unknown-owner"]),
        ];
        let keys: Vec<_> = contents.iter().map(|object| object.key.clone()).collect();
        assert_eq!(foreign(&inventory(), &contents), keys);
    }
}
