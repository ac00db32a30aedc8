//! What graftling remembers of a live object: just what decisions need, so that a thousand environments stay small.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::Value;

use super::manifest::ObjectKey;
use super::manifest::scope::{OWNER_ANNOTATION_PREFIX, OWNER_MANAGER_PREFIX, SHARED_CONTENT_ANNOTATION};
use super::readiness::{self, Readiness};
use super::retention::Retention;

/// A live object, reduced.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveObject {
    /// Which object.
    pub key: ObjectKey,
    /// The UID: another object of the same name has another.
    pub uid: String,
    /// The resourceVersion as a number; larger is newer within one kind (KEP-5504).
    pub version: u64,
    /// Set while it is being deleted.
    pub deletion: Option<Deletion>,
    /// The value of the environment label, if it bears one.
    pub environment: Option<String>,
    /// The UID of the Environment that a namespace says it was made for.
    pub environment_uid: Option<String>,
    /// A digest of the fields that are ours: it differs once somebody else has changed one of them.
    pub ownership: Option<String>,
    /// Other field managers that use server-side apply on it: they own their fields on purpose.
    pub co_appliers: Vec<String>,
    /// For a Secret, a digest of each value that it holds. They stay in memory: stored, they would let anybody who may read a status
    /// test guesses.
    pub secret: Option<BTreeMap<String, String>>,
    /// Whether it does its work.
    pub readiness: Readiness,
    /// UIDs of its owners.
    pub owners: Vec<String>,
    /// The environments that own it together; empty for what is not shared.
    pub shares: Shares,
    /// Of a shared object, a digest of the content that it was given last, as its annotation says.
    pub shared_content: Option<String>,
    /// What its annotations say about its keeping.
    pub retention: Retention,
}

/// The environments that own a shared object, by name.
pub type Shares = BTreeMap<String, Share>;

/// What one environment has of a shared object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// A digest of what the environment wants the object to be, as its annotation says.
    pub wanted: Option<String>,
    /// A digest of the fields that the environment applied; `None` if it never did: annotations are copied by people, but nobody applies
    /// under an environment's field manager.
    pub ownership: Option<String>,
}

/// A deletion under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Since when, as Kubernetes writes it.
    pub since: String,
    /// What it waits for.
    pub finalizers: Vec<String>,
}

/// The keys under which graftling finds itself on a live object.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    /// Our field manager.
    pub field_manager: &'a str,
    /// The label that names the environment.
    pub environment_label: &'a str,
    /// The annotation with the Environment's UID.
    pub environment_uid_annotation: &'a str,
}

impl LiveObject {
    /// Reduces a body as the API server sent it; `None` if it lacks a UID or resourceVersion, which no real answer does.
    pub fn from_body(key: ObjectKey, body: &Value, marks: Marks<'_>) -> Option<Self> {
        let metadata = body.get("metadata")?;
        let text = |pointer: &str| metadata.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let texts = |field: &str| -> Vec<String> {
            let list = metadata.get(field).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let owners = metadata.get("ownerReferences").and_then(Value::as_array);
        Some(Self {
            uid: text("/uid")?,
            version: text("/resourceVersion")?.parse().ok()?,
            deletion: text("/deletionTimestamp").map(|since| Deletion {
                since,
                finalizers: texts("finalizers"),
            }),
            environment: text(&format!("/labels/{}", escape(marks.environment_label))),
            environment_uid: text(&format!("/annotations/{}", escape(marks.environment_uid_annotation))),
            ownership: ownership(metadata, marks.field_manager),
            co_appliers: co_appliers(metadata, marks.field_manager),
            secret: secret_digests(&key, body),
            readiness: readiness::assess(body),
            owners: owners
                .into_iter()
                .flatten()
                .filter_map(|owner| owner.get("uid")?.as_str().map(str::to_owned))
                .collect(),
            shares: shares(metadata),
            shared_content: text(&format!("/annotations/{}", escape(SHARED_CONTENT_ANNOTATION))),
            retention: Retention::of(|key| metadata.get("annotations")?.get(key)?.as_str()),
            key,
        })
    }

    /// Whether environments own the object together: at least one of them applied it as its owner, and it belongs to none of them alone.
    pub fn is_shared(&self) -> bool {
        self.environment.is_none() && self.shares.values().any(|share| share.ownership.is_some())
    }

    /// The other owners of a shared object.
    pub fn other_owners<'a>(&'a self, environment: &'a str) -> impl Iterator<Item = (&'a str, &'a Share)> {
        let all = self.shares.iter().filter(move |(owner, _)| *owner != environment);
        all.map(|(owner, share)| (owner.as_str(), share))
    }

    /// A digest of the fields that are this environment's: of its own share, where the object is shared.
    pub fn ownership_of(&self, environment: &str) -> Option<&String> {
        match self.shares.get(environment) {
            Some(share) => share.ownership.as_ref(),
            None => self.ownership.as_ref(),
        }
    }

    /// The same object with the ownership of one environment, as that environment records it.
    #[must_use]
    pub fn seen_by(mut self, environment: &str) -> Self {
        self.ownership = self.ownership_of(environment).cloned();
        self
    }

    /// Whether the object bears the label of this environment.
    pub fn is_labelled_for(&self, environment: &str) -> bool {
        self.environment.as_deref() == Some(environment)
    }
}

/// A digest of each of a Secret's values, the same for a manifest (`stringData`) and the live object (`data`); `None` for other kinds.
pub fn secret_digests(key: &ObjectKey, body: &Value) -> Option<BTreeMap<String, String>> {
    if !is_secret(key) {
        return None;
    }
    let entries = |field: &str| body.get(field).and_then(Value::as_object).into_iter().flatten();
    let encoded = entries("data").map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned()));
    let plain = entries("stringData").map(|(name, value)| (name, BASE64.encode(value.as_str().unwrap_or_default())));
    // In Kubernetes, too, stringData wins.
    let merged: BTreeMap<&String, String> = encoded.chain(plain).collect();
    let digests = merged.into_iter().map(|(name, value)| {
        let digest = digest::digest(&digest::SHA256, value.as_bytes());
        (name.clone(), hexadecimal(digest.as_ref()))
    });
    Some(digests.collect())
}

/// Whether an object is a Secret, whose contents must not leave a trace in any status.
pub fn is_secret(key: &ObjectKey) -> bool {
    key.group.is_empty() && key.kind == "Secret"
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A JSON pointer segment.
fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn managed_fields(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata.get("managedFields").and_then(Value::as_array).into_iter().flatten()
}

fn is_apply(entry: &Value) -> bool {
    entry.get("operation").and_then(Value::as_str) == Some("Apply") && entry.get("subresource").is_none()
}

fn manager(entry: &Value) -> Option<&str> {
    entry.get("manager").and_then(Value::as_str)
}

/// Who owns a shared object: whoever says so by an annotation, and whoever applied it as an owner.
fn shares(metadata: &Value) -> Shares {
    let mut shares = Shares::new();
    let annotations = metadata.get("annotations").and_then(Value::as_object);
    for (key, value) in annotations.into_iter().flatten() {
        if let Some(owner) = key.strip_prefix(OWNER_ANNOTATION_PREFIX) {
            shares.entry(owner.to_owned()).or_default().wanted = value.as_str().map(str::to_owned);
        }
    }
    for entry in managed_fields(metadata).filter(|entry| is_apply(entry)) {
        if let Some(owner) = manager(entry).and_then(|manager| manager.strip_prefix(OWNER_MANAGER_PREFIX)) {
            shares.entry(owner.to_owned()).or_default().ownership = digest_of_fields(entry);
        }
    }
    shares
}

/// An update by somebody else takes a field out of our set; the API server writes the set in a canonical order.
fn ownership(metadata: &Value, field_manager: &str) -> Option<String> {
    digest_of_fields(managed_fields(metadata).find(|entry| is_apply(entry) && manager(entry) == Some(field_manager))?)
}

fn digest_of_fields(entry: &Value) -> Option<String> {
    let fields = entry.get("fieldsV1")?.to_string();
    let digest = digest::digest(&digest::SHA256, fields.as_bytes());
    Some(hexadecimal(&digest.as_ref()[..8]))
}

fn co_appliers(metadata: &Value, field_manager: &str) -> Vec<String> {
    managed_fields(metadata)
        .filter(|entry| is_apply(entry))
        .filter_map(manager)
        .filter(|name| *name != field_manager && !name.starts_with(OWNER_MANAGER_PREFIX))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a body that cannot be reduced is the test's failure")]

    use serde_json::json;

    use super::*;

    const MARKS: Marks<'static> = Marks {
        field_manager: "graftling",
        environment_label: "graftling.dev/environment",
        environment_uid_annotation: "graftling.dev/environment-uid",
    };

    fn reduce(managed_fields: Value) -> LiveObject {
        let key = ObjectKey {
            group: String::new(),
            version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: Some("n".into()),
            name: "c".into(),
        };
        let body = json!({"metadata": {
            "uid": "u", "resourceVersion": "12",
            "labels": {"graftling.dev/environment": "shop-x"},
            "managedFields": managed_fields,
        }});
        LiveObject::from_body(key, &body, MARKS).unwrap()
    }

    fn ours(fields: Value) -> Value {
        json!({"manager": "graftling", "operation": "Apply", "fieldsV1": fields})
    }

    #[test]
    fn a_foreign_update_of_our_field_changes_the_ownership_and_of_another_field_does_not() {
        let before = reduce(json!([ours(json!({"f:data": {"f:a": {}, "f:b": {}}}))]));
        let edited = reduce(json!([
            ours(json!({"f:data": {"f:b": {}}})),
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:a": {}}}}
        ]));
        let beside = reduce(json!([
            ours(json!({"f:data": {"f:a": {}, "f:b": {}}})),
            {"manager": "other", "operation": "Update", "fieldsV1": {"f:data": {"f:c": {}}}}
        ]));
        assert_ne!(before.ownership, edited.ownership);
        assert_eq!(before.ownership, beside.ownership);
        assert!(edited.co_appliers.is_empty());
    }

    #[test]
    fn f11_another_applier_is_told_from_an_edit_by_hand() {
        let live = reduce(json!([ours(json!({})), {"manager": "flux", "operation": "Apply", "fieldsV1": {}}]));
        assert_eq!(live.co_appliers, ["flux"]);
    }

    #[test]
    fn f80_a_secret_is_compared_by_its_contents_however_they_are_written() {
        let key = ObjectKey {
            kind: "Secret".into(),
            ..reduce(json!([])).key
        };
        let manifest = secret_digests(&key, &json!({"stringData": {"a": "hello"}, "data": {"b": "eA=="}}));
        let live = secret_digests(&key, &json!({"data": {"a": "aGVsbG8=", "b": "eA=="}}));
        let other = secret_digests(&key, &json!({"data": {"a": "aGVsbG8h", "b": "eA=="}}));
        assert_eq!(manifest, live);
        assert_ne!(live, other);
        assert_eq!(secret_digests(&reduce(json!([])).key, &json!({"data": {}})), None);
    }

    #[test]
    fn the_label_tells_the_environment() {
        let live = reduce(json!([]));
        assert!(live.is_labelled_for("shop-x"));
        assert!(!live.is_labelled_for("shop-y"));
        assert_eq!(live.ownership, None);
    }

    #[test]
    fn feature_i5_owners_of_a_shared_object_are_who_applied_it_and_who_says_so() {
        let body = |labels: Value, manager: &str| {
            json!({"metadata": {
                "uid": "u", "resourceVersion": "12", "labels": labels,
                "annotations": {"owner.graftling.dev/shop-a": "wish", "owner.graftling.dev/forged": "other"},
                "managedFields": [{"manager": manager, "operation": "Apply", "fieldsV1": {"f:value": {}}}],
            }})
        };
        let key = reduce(json!([])).key;
        let read = |labels, manager| LiveObject::from_body(key.clone(), &body(labels, manager), MARKS).unwrap();
        let shared = read(json!({}), "graftling:shop-a");
        assert!(shared.is_shared() && shared.co_appliers.is_empty());
        assert_eq!(shared.shares["shop-a"].wanted.as_deref(), Some("wish"));
        assert_eq!(shared.ownership_of("shop-a"), shared.shares["shop-a"].ownership.as_ref());
        assert_eq!(
            shared.other_owners("shop-a").map(|(owner, _)| owner).collect::<Vec<_>>(),
            ["forged"]
        );
        assert!(!read(json!({}), "kubectl").is_shared(), "annotations alone prove nothing");
        let alone = read(json!({"graftling.dev/environment": "shop-a"}), "graftling:shop-a");
        assert!(!alone.is_shared(), "what bears an environment's label is that environment's alone");
    }
}
