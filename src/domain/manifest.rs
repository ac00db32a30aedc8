//! Manifests: the objects that an environment consists of, and the gate that every rendered document must pass.
//!
//! A template's author decides what runs in an environment, but not what happens outside of it. [`admit`] is the first of two
//! fences; the second is RBAC, because the objects are applied under an identity that can do no more than this.

mod hosts;
mod key;
mod kind;
mod metadata;
mod pods;
mod rbac;
mod review;
mod rules;
pub mod scope;
mod size;
#[cfg(test)]
mod tests;
mod texts;
mod volumes;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde_json::Value;

use super::name::{DomainName, EnvironmentName, Namespace, ProjectKey};
use super::observed::is_secret;
use super::policy::ClusterScoped;
use super::render::Document;
pub(super) use hosts::HOST_ANNOTATIONS;
pub use key::{KeyError, ObjectKey};
pub use kind::{AllowedKinds, GroupKind, Wave, wave};
pub(super) use pods::{containers, spec_pointer as pod_spec_pointer};
use review::Review;
use scope::Renames;

/// The most objects of an environment.
pub const MAX_OBJECTS: usize = 500;
/// The most bytes of one object as JSON: what etcd takes in one request.
pub const MAX_OBJECT: usize = 3 * 512 * 1024;
/// The most bytes of all objects as JSON.
pub const MAX_OBJECTS_SIZE: usize = 8 * 1024 * 1024;

/// The most bytes of all names of objects, and of all kinds that they have: the inventory of an environment has to fit into its status.
pub const MAX_NAMES: usize = 24 * 1024;

/// The label by which other tools see who owns an object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The label that holds the Project's name.
pub const PROJECT_LABEL: &str = "graftling.dev/project";
/// The label that holds the Project's namespace.
pub const PROJECT_NAMESPACE_LABEL: &str = "graftling.dev/project-namespace";
/// The label that holds the environment's name.
pub const ENVIRONMENT_LABEL: &str = "graftling.dev/environment";

/// The annotation with the number of the run that wrote an object last.
pub const RUN_ANNOTATION: &str = "graftling.dev/run";

/// Where an object was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// A file of the bundle.
    pub file: String,
    /// The line of the template, counted from 1.
    pub line: usize,
}

/// An admitted object, ready to be applied.
#[derive(Clone, PartialEq)]
pub struct Manifest {
    /// What identifies it in the cluster.
    pub key: ObjectKey,
    /// The object, with its namespace and our labels. Shared, as many hold a manifest at a time and nobody changes it.
    pub body: Arc<Value>,
    /// Where it was written.
    pub source: Source,
    /// The first half of a SHA-256 over the body as canonical JSON, in hexadecimal: equal exactly when the body is.
    pub digest: String,
}

impl Manifest {
    /// An object that needs no admission, because it is not a bundle's or was admitted.
    pub(super) fn new(key: ObjectKey, body: Value, source: Source) -> Self {
        Self {
            digest: digest_of(&body),
            key,
            body: Arc::new(body),
            source,
        }
    }

    /// The digest as it may be stored where many can read it: that of a Secret does not depend on its values, or anybody could test
    /// guesses of them.
    pub fn recorded_digest(&self) -> String {
        if !is_secret(&self.key) {
            return self.digest.clone();
        }
        let mut outline = Value::clone(&self.body);
        for field in ["data", "stringData"] {
            let values = outline.get_mut(field).and_then(Value::as_object_mut);
            values.into_iter().flatten().for_each(|(_, value)| *value = Value::Null);
        }
        digest_of(&outline)
    }
}

/// What objects are measured against.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The environment's namespace: the only one that objects may be in.
    pub namespace: &'a Namespace,
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// Its Project.
    pub project: &'a ProjectKey,
    /// The domain above the environment's hosts.
    pub domain: &'a DomainName,
    /// Which kinds may be used.
    pub kinds: &'a AllowedKinds,
}

/// Why an object may not be applied. Its text names file, line, object and field, and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{source_place}: {object}: {field}: {reason}")]
pub struct Refusal {
    /// Where the object was written.
    pub source_place: Source,
    /// The object as far as it is known, for example "apps/v1 Deployment web".
    pub object: String,
    /// The field, for example "spec.type".
    pub field: String,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

/// Admits the documents of a bundle as the objects of one environment, in the order in which they are to be applied.
///
/// Members of a `v1 List` count as documents. Each object gets the environment's namespace, and our labels on its own metadata
/// (never on a pod template or a selector); `status` is dropped. What belongs to no namespace gets a name of its own under the policy
/// `Rename`, with every reference to it, and the environment as an owner under `Share`. Nothing else is changed: what is not allowed is
/// refused.
///
/// # Errors
///
/// Everything that is wrong with any of them.
pub fn admit(documents: Vec<Document>, admission: &Admission<'_>) -> Result<Vec<Manifest>, Vec<Refusal>> {
    let objects: Vec<(Source, Value)> = documents.into_iter().flat_map(flatten).collect();
    if let Some((source, _)) = objects.get(MAX_OBJECTS) {
        let reason = format!(
            "the bundle gives {} objects, at most {MAX_OBJECTS} are allowed: use fewer, larger ones",
            objects.len()
        );
        return Err(vec![refusal(source, "bundle", "objects", reason)]);
    }
    let renames = Renames::of(objects.iter().map(|(_, body)| body), admission);
    let mut manifests = Vec::with_capacity(objects.len());
    let mut refusals = Vec::new();
    for (source, body) in objects {
        match admit_one(source, body, admission, &renames) {
            Ok(manifest) => manifests.push(manifest),
            Err(mut found) => refusals.append(&mut found),
        }
    }
    refusals.extend(duplicates(&manifests));
    refusals.extend(rbac::unknown_roles(&manifests));
    refusals.extend(size::check(&manifests));
    if !refusals.is_empty() {
        refusals.sort();
        return Err(refusals);
    }
    manifests.sort_by(|left, right| (wave(&left.key), &left.key).cmp(&(wave(&right.key), &right.key)));
    Ok(manifests)
}

/// The manifests as one YAML text, for people and for comparison: the same text for the same manifests, always.
pub fn to_yaml(manifests: &[Manifest]) -> String {
    manifests
        .iter()
        .map(|manifest| format!("---\n# {}\n{}", manifest.source, super::render::to_yaml(&manifest.body)))
        .collect()
}

fn admit_one(source: Source, mut body: Value, admission: &Admission<'_>, renames: &Renames) -> Result<Manifest, Vec<Refusal>> {
    let mut key = key::identify(&body, admission.namespace).map_err(|errors| {
        let object = key::describe(&body);
        errors
            .into_iter()
            .map(|error| refusal(&source, &object, error.field, error.reason))
            .collect::<Vec<_>>()
    })?;
    if admission.kinds.is_cluster_scoped(&GroupKind::of(&key)) {
        key.namespace = None;
    }
    let mut review = Review::new(admission, &source, &key);
    if let Err(reason) = admission.kinds.check(&GroupKind::of(&key)) {
        review.refuse("kind", reason);
        return Err(review.refusals);
    }
    metadata::check(&mut review, &mut body);
    texts::check(&mut review, &body);
    rules::check(&mut review, &mut body);
    if !review.refusals.is_empty() {
        return Err(review.refusals);
    }
    renames.apply(&mut key, &mut body);
    complete(&key, &mut body, admission);
    Ok(Manifest::new(key, body, source))
}

/// Adds what we add and drops what we drop.
fn complete(key: &ObjectKey, body: &mut Value, admission: &Admission<'_>) {
    let Some(object) = body.as_object_mut() else { return };
    object.remove("status");
    if key.namespace.is_none() && admission.kinds.cluster_scoped == ClusterScoped::Share {
        return scope::share(body, admission);
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(namespace) = &key.namespace {
        metadata.insert("namespace".into(), namespace.as_str().into());
    }
    scope::insert(metadata, "labels", own_labels(admission.environment, admission.project));
}

/// The labels that every object of an environment bears, guardrails included: by them it is watched, found and proved ours.
pub(super) fn own_labels<'a>(environment: &'a EnvironmentName, project: &'a ProjectKey) -> [(&'static str, &'a str); 4] {
    [
        (MANAGED_BY_LABEL, "graftling"),
        (PROJECT_LABEL, project.name.as_str()),
        (PROJECT_NAMESPACE_LABEL, project.namespace.as_str()),
        (ENVIRONMENT_LABEL, environment.as_str()),
    ]
}

/// A `v1 List` as its members; the recursion is bounded by the depth that YAML may have.
fn flatten(document: Document) -> Vec<(Source, Value)> {
    let source = Source {
        file: document.file,
        line: document.line,
    };
    flatten_value(document.value)
        .into_iter()
        .map(|value| (source.clone(), value))
        .collect()
}

fn flatten_value(mut value: Value) -> Vec<Value> {
    let is_list =
        value.get("kind").and_then(Value::as_str) == Some("List") && value.get("apiVersion").and_then(Value::as_str) == Some("v1");
    match value.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items.into_iter().flat_map(flatten_value).collect(),
        Some(Value::Null) | None if is_list => Vec::new(),
        Some(items) => {
            value["items"] = items;
            vec![value]
        }
        None => vec![value],
    }
}

/// Two objects of one name: whatever their API version, the cluster would see one.
fn duplicates(manifests: &[Manifest]) -> Vec<Refusal> {
    let mut first: BTreeMap<(&str, &str, &str), &Manifest> = BTreeMap::new();
    let mut refusals = Vec::new();
    for manifest in manifests {
        let key = &manifest.key;
        match first.entry((&key.group, &key.kind, &key.name)) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(manifest);
            }
            std::collections::btree_map::Entry::Occupied(entry) => {
                let reason = format!("{} has an object of the same kind and name: rename one", entry.get().source);
                refusals.push(refusal(&manifest.source, &key.to_string(), "metadata.name", reason));
            }
        }
    }
    refusals
}

fn refusal(source: &Source, object: &str, field: impl Into<String>, reason: impl Into<String>) -> Refusal {
    Refusal {
        source_place: source.clone(),
        object: object.to_owned(),
        field: field.into(),
        reason: reason.into(),
    }
}

fn digest_of(body: &Value) -> String {
    let mut canonical = String::new();
    write_canonical(&mut canonical, body);
    digest_of_text(&canonical)
}

/// The first half of the SHA-256 of a text, in hexadecimal.
pub(crate) fn digest_of_text(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON with sorted keys and without white space.
fn write_canonical(out: &mut String, value: &Value) {
    match value {
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, entry)) in entries.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_canonical(out, entry);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write_canonical(out, item);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// The body may be a Secret, so it is not shown.
impl fmt::Debug for Manifest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Manifest({} from {}, {})", self.key, self.source, self.digest)
    }
}
