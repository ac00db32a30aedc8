//! What identifies an object in the cluster.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde_json::{Value, json};

use crate::domain::name::{Namespace, ObjectName};

/// What identifies an object: group, kind, namespace and name.
///
/// The version says how the object is written, not which object it is: it takes no part in comparisons, so that a bundle that moves
/// to a newer version of an API updates its object instead of deleting it.
#[derive(Debug, Clone)]
pub struct ObjectKey {
    /// The API group, empty for the core.
    pub group: String,
    /// The version inside the group.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The namespace, `None` for what is in none.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

/// Why an object has no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct KeyError {
    /// The field that is missing or wrong.
    pub field: &'static str,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

// === impl ObjectKey ===

impl PartialEq for ObjectKey {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for ObjectKey {}

impl PartialOrd for ObjectKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for ObjectKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl ObjectKey {
    fn identity(&self) -> (&str, &str, Option<&str>, &str) {
        (&self.group, &self.kind, self.namespace.as_deref(), &self.name)
    }

    /// `apps/v1`, or `v1` for the core.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The smallest object with this key.
    pub fn to_value(&self) -> Value {
        let mut metadata = json!({ "name": self.name });
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = namespace.as_str().into();
        }
        json!({ "apiVersion": self.api_version(), "kind": self.kind, "metadata": metadata })
    }
}

/// The key of an object as the cluster shows it.
impl TryFrom<&Value> for ObjectKey {
    type Error = KeyError;

    fn try_from(object: &Value) -> Result<Self, Self::Error> {
        let (group, version) = api_version(object)?;
        Ok(Self {
            group,
            version,
            kind: kind(object)?,
            namespace: object.pointer("/metadata/namespace").and_then(Value::as_str).map(str::to_owned),
            name: name(object)?,
        })
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.api_version(), self.kind, self.name)
    }
}

/// The key that a rendered object has in the environment's namespace, or everything that is wrong with what it is made of.
pub(super) fn identify(object: &Value, namespace: &Namespace) -> Result<ObjectKey, Vec<KeyError>> {
    if !object.is_object() {
        return Err(vec![error(
            "document",
            "is not a mapping: an object has apiVersion, kind and metadata",
        )]);
    }
    match (api_version(object), kind(object), name(object)) {
        (Ok((group, version)), Ok(kind), Ok(name)) => Ok(ObjectKey {
            group,
            version,
            kind,
            namespace: Some(namespace.as_str().to_owned()),
            name,
        }),
        (version, kind, name) => Err([version.err(), kind.err(), name.err()].into_iter().flatten().collect()),
    }
}

/// An object in words, as far as it says what it is.
pub(super) fn describe(object: &Value) -> String {
    let part = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
    match (part("/kind"), part("/metadata/name")) {
        ("?", "?") => "unknown object".to_owned(),
        (kind, "?") => format!("{kind} without a name"),
        (kind, name) => format!("{kind} {name}"),
    }
}

fn api_version(object: &Value) -> Result<(String, String), KeyError> {
    const FIELD: &str = "apiVersion";
    let text = text(object, "/apiVersion", FIELD)?;
    let (group, version) = text.split_once('/').unwrap_or(("", text));
    if version.is_empty() || version.contains('/') || (text.contains('/') && group.is_empty()) {
        return Err(error(FIELD, format!("{text:?} must have the form VERSION or GROUP/VERSION")));
    }
    Ok((group.to_owned(), version.to_owned()))
}

fn kind(object: &Value) -> Result<String, KeyError> {
    let text = text(object, "/kind", "kind")?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(error("kind", format!("{text:?} must consist of letters and digits")));
    }
    Ok(text.to_owned())
}

fn name(object: &Value) -> Result<String, KeyError> {
    const FIELD: &str = "metadata.name";
    if object.pointer("/metadata/generateName").is_some() {
        let reason = "a name made up by the cluster cannot be found again: use metadata.name, for example with {{shortRevision}}";
        return Err(error("metadata.generateName", reason));
    }
    let text = text(object, "/metadata/name", FIELD)?;
    text.parse::<ObjectName>()
        .map(|name| name.as_str().to_owned())
        .map_err(|name| error(FIELD, format!("{:?} {}", name.text, name.rule)))
}

fn text<'a>(object: &'a Value, pointer: &str, field: &'static str) -> Result<&'a str, KeyError> {
    match object.pointer(pointer) {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Number(_) | Value::Bool(_)) => Err(error(field, "is read as a number or a boolean: put it in quotes")),
        Some(Value::Null) | None => Err(error(field, "is missing")),
        Some(_) => Err(error(field, "must be text")),
    }
}

fn error(field: &'static str, reason: impl Into<String>) -> KeyError {
    KeyError {
        field,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn a_key_is_read_from_an_object_and_becomes_one() {
        let object =
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shop", "namespace": "team" }, "spec": {} });
        let key = ObjectKey::try_from(&object).unwrap();
        assert_eq!(key.to_string(), "apps/v1 Deployment shop");
        assert_eq!(
            key.to_value(),
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shop", "namespace": "team" } })
        );
        let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "shop" } });
        let key = ObjectKey::try_from(&service).unwrap();
        assert_eq!((key.to_string().as_str(), &key.namespace), ("v1 Service shop", &None));
        assert_eq!(key.to_value(), service);
    }

    #[test]
    fn f82_names_that_yaml_reads_as_numbers_are_refused_with_the_way_to_write_them() {
        for (object, wanted) in [
            (
                json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": 10 } }),
                "metadata.name: is read as a number or a boolean: put it in quotes",
            ),
            (
                json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": true } }),
                "metadata.name: is read as a number or a boolean: put it in quotes",
            ),
            (
                json!({ "apiVersion": 1, "kind": "Pod", "metadata": { "name": "a" } }),
                "apiVersion: is read as a number or a boolean: put it in quotes",
            ),
            (
                json!({ "apiVersion": "v1", "kind": "Pod", "metadata": {} }),
                "metadata.name: is missing",
            ),
            (json!({ "apiVersion": "v1", "kind": "Pod" }), "metadata.name: is missing"),
            (
                json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "" } }),
                "metadata.name: \"\" must consist of lower-case letters, digits, '-' and '.', and each part must begin and end with a letter or digit",
            ),
            (
                json!({ "apiVersion": "a/b/c", "kind": "Pod", "metadata": { "name": "a" } }),
                "apiVersion: \"a/b/c\" must have the form VERSION or GROUP/VERSION",
            ),
            (
                json!({ "apiVersion": "/v1", "kind": "Pod", "metadata": { "name": "a" } }),
                "apiVersion: \"/v1\" must have the form VERSION or GROUP/VERSION",
            ),
            (
                json!({ "apiVersion": "v1", "kind": "a b", "metadata": { "name": "a" } }),
                "kind: \"a b\" must consist of letters and digits",
            ),
            (json!([]), "document: is not a mapping: an object has apiVersion, kind and metadata"),
        ] {
            let errors = identify(&object, &"team".parse().unwrap()).unwrap_err();
            assert_eq!(errors[0].to_string(), wanted);
        }
    }
}
