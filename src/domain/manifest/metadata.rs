//! What an object may say of itself in its metadata, and in the metadata of what it makes (pod templates, claim templates).

use serde_json::{Map, Value};

use super::review::Review;
use crate::domain::health::{HEALTH_ANNOTATION, Health};
use crate::domain::policy::Permission;
use crate::domain::retention::RETAIN_ANNOTATION;

/// What a bundle may set. Everything else is set by the cluster.
const ALLOWED: [&str; 4] = ["name", "namespace", "labels", "annotations"];

/// Names of objects that Kubernetes or graftling makes itself, by group and kind.
const RESERVED_NAMES: [(&str, &str, &str); 2] = [("", "ServiceAccount", "default"), ("", "ConfigMap", "kube-root-ca.crt")];

/// Checks the metadata of an object and of everything nested in it; fields that are null are dropped.
pub(super) fn check(review: &mut Review<'_>, body: &mut Value) {
    check_name(review);
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| !value.is_null());
        check_fields(review, metadata);
        check_labels(review, metadata);
    }
    check_nested(review, body, "");
}

fn check_name(review: &mut Review<'_>) {
    let key = review.key;
    let is_reserved = RESERVED_NAMES.contains(&(&key.group, &key.kind, &key.name));
    if is_reserved || key.name.starts_with("graftling-") {
        review.refuse(
            "metadata.name",
            format!("the name {:?} is kept for the system: choose another", key.name),
        );
    }
}

fn check_fields(review: &mut Review<'_>, metadata: &Map<String, Value>) {
    for (field, value) in metadata {
        let path = format!("metadata.{field}");
        match field.as_str() {
            "namespace" if review.key.namespace.is_none() => review.refuse(path, "belongs to no namespace: remove the field"),
            "namespace" if value.as_str() != Some(review.admission.namespace.as_str()) => {
                let wanted = review.admission.namespace;
                review.refuse(path, format!("must be {wanted}, the environment's own: remove the field"));
            }
            "ownerReferences" => review.refuse(path, "would let a foreign object decide over this one: remove it"),
            "finalizers" => review.refuse(path, "would keep the environment from being torn down: remove them"),
            known if ALLOWED.contains(&known) => {}
            _ => review.refuse(path, "is set by the cluster, not by a bundle: remove it"),
        }
    }
}

/// The API server checks labels, too, but it cannot say which template to change.
fn check_labels(review: &mut Review<'_>, metadata: &Map<String, Value>) {
    for field in ["labels", "annotations"] {
        match metadata.get(field) {
            None => {}
            Some(Value::Object(entries)) => entries.iter().for_each(|(key, value)| check_entry(review, field, key, value)),
            Some(_) => review.refuse(format!("metadata.{field}"), "must be a mapping of text to text"),
        }
    }
}

fn check_entry(review: &mut Review<'_>, field: &str, key: &str, value: &Value) {
    let path = format!("metadata.{field}[{key:?}]");
    match value {
        Value::String(text) if field == "labels" && !is_label_value(text) => review.refuse(
            path,
            "a label has at most 63 letters, digits, '-', '_' and '.': use {{dnsLabel …}}, and keep the full text in an annotation",
        ),
        Value::String(_) => {}
        _ => review.refuse(path, "must be text: write it with {{quote …}} or in quotes"),
    }
}

fn is_label_value(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && is_end(bytes.first())
        && is_end(bytes.last())
}

/// Looks at every `metadata` in the object. The depth is bounded by what YAML may have.
fn check_nested(review: &mut Review<'_>, value: &Value, path: &str) {
    match value {
        Value::Object(entries) => {
            for (key, entry) in entries {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if key == "metadata" {
                    check_reserved(review, entry, &below);
                }
                check_nested(review, entry, &below);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_nested(review, item, &format!("{path}[{index}]"));
            }
        }
        _ => {}
    }
}

fn check_reserved(review: &mut Review<'_>, metadata: &Value, path: &str) {
    for field in ["labels", "annotations"] {
        let keys = metadata
            .get(field)
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|entries| entries.keys());
        for key in keys {
            if path == "metadata" && field == "annotations" && key == RETAIN_ANNOTATION {
                check_retain(review, &metadata[field][key.as_str()]);
                continue;
            }
            if path == "metadata" && field == "annotations" && key == HEALTH_ANNOTATION {
                check_health(review, &metadata[field][key.as_str()]);
                continue;
            }
            let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
            if prefix == "graftling.dev" || prefix.ends_with(".graftling.dev") {
                review.refuse(
                    format!("{path}.{field}[{key:?}]"),
                    "keys of graftling.dev say what is whose: remove it",
                );
            } else if key.starts_with("rbac.authorization.k8s.io/aggregate-to-") {
                review.refuse(
                    format!("{path}.{field}[{key:?}]"),
                    "would add rules to roles of the whole cluster: remove it",
                );
            }
        }
    }
    for field in ["ownerReferences", "finalizers"] {
        if path != "metadata" && metadata.get(field).is_some_and(|value| !value.is_null()) {
            review.refuse(format!("{path}.{field}"), "must not be set by a bundle: remove it");
        }
    }
}

/// It says nothing of what is whose, only how the object itself is judged.
fn check_health(review: &mut Review<'_>, value: &Value) {
    if let Err(error) = Health::parse(value.as_str().unwrap_or_default()) {
        review.refuse(format!("metadata.annotations[{HEALTH_ANNOTATION:?}]"), error.to_string());
    }
}

/// Kept objects keep their namespace for ever, so a bundle may ask for it only where the Project lets it.
fn check_retain(review: &mut Review<'_>, value: &Value) {
    let field = format!("metadata.annotations[{RETAIN_ANNOTATION:?}]");
    if review.admission.kinds.retain == Permission::Deny {
        review.refuse(
            field,
            "would keep the object and its namespace after their branch is gone: remove it, or set spec.policy.retain of the Project to \
             Allow",
        );
    } else if value.as_str() != Some("true") {
        review.refuse(field, "must be \"true\": write that, or remove it");
    }
}
