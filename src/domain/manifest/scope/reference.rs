//! Where an object refers to an object that belongs to no namespace.

use serde_json::{Map, Value};

use crate::domain::manifest::{GroupKind, ObjectKey};

/// Fields that hold the name of an object, with its group and kind.
const FIELDS: [(&str, &str, &str); 6] = [
    ("storageClassName", "storage.k8s.io", "StorageClass"),
    ("priorityClassName", "scheduling.k8s.io", "PriorityClass"),
    ("runtimeClassName", "node.k8s.io", "RuntimeClass"),
    ("ingressClassName", "networking.k8s.io", "IngressClass"),
    ("gatewayClassName", "gateway.networking.k8s.io", "GatewayClass"),
    ("volumeName", "", "PersistentVolume"),
];

/// Annotations that do.
const ANNOTATIONS: [(&str, &str, &str); 3] = [
    ("kubernetes.io/ingress.class", "networking.k8s.io", "IngressClass"),
    ("volume.beta.kubernetes.io/storage-class", "storage.k8s.io", "StorageClass"),
    ("cert-manager.io/cluster-issuer", "cert-manager.io", "ClusterIssuer"),
];

/// Mappings whose keys are anybody's words.
const FREE: [&str; 8] = [
    "data",
    "stringData",
    "binaryData",
    "labels",
    "matchLabels",
    "selector",
    "nodeSelector",
    "status",
];

/// Asks `name` about every reference of an object, and writes what it answers: the fields and annotations of class names, and mappings
/// that name a kind and an object of it, such as `roleRef`.
pub(super) fn visit(key: &ObjectKey, body: &mut Value, name: &dyn Fn(&GroupKind, &str) -> Option<String>) {
    let is_data = key.group.is_empty() && matches!(key.kind.as_str(), "ConfigMap" | "Secret");
    if let Some(object) = body.as_object_mut() {
        for (field, value) in object.iter_mut() {
            match field.as_str() {
                "metadata" => annotations(value, name),
                _ if is_data => {}
                _ => entry(field, value, name),
            }
        }
    }
}

fn entry(field: &str, value: &mut Value, name: &dyn Fn(&GroupKind, &str) -> Option<String>) {
    if FREE.contains(&field) {
        return;
    }
    match value {
        Value::String(text) => {
            let known = FIELDS.iter().find(|(known, ..)| *known == field);
            if let Some(new) = known.and_then(|(_, group, kind)| name(&group_kind(group, kind), text)) {
                *text = new;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| nested(item, name)),
        Value::Object(_) => nested(value, name),
        _ => {}
    }
    if field == "metadata" {
        annotations(value, name);
    }
}

fn nested(value: &mut Value, name: &dyn Fn(&GroupKind, &str) -> Option<String>) {
    match value {
        Value::Object(object) => {
            typed(object, name);
            object.iter_mut().for_each(|(field, value)| entry(field, value, name));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| nested(item, name)),
        _ => {}
    }
}

/// `kind` and `name`, with the group as one of the ways in which Kubernetes writes it, or without.
fn typed(object: &mut Map<String, Value>, name: &dyn Fn(&GroupKind, &str) -> Option<String>) {
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    let (Some(kind), Some(old)) = (text("kind"), text("name")) else {
        return;
    };
    let group = text("apiGroup")
        .or_else(|| text("group"))
        .or_else(|| text("apiVersion").map(|version| version.split_once('/').map_or("", |(group, _)| group)));
    let groups = match group {
        Some(group) => vec![group],
        None => GROUPS.to_vec(),
    };
    let new = groups.iter().find_map(|group| name(&group_kind(group, kind), old));
    if let Some(new) = new {
        object.insert("name".to_owned(), new.into());
    }
}

/// Groups that a reference without one may mean.
const GROUPS: [&str; 8] = [
    "",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "scheduling.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "gateway.networking.k8s.io",
    "cert-manager.io",
];

fn annotations(metadata: &mut Value, name: &dyn Fn(&GroupKind, &str) -> Option<String>) {
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else {
        return;
    };
    for (annotation, group, kind) in ANNOTATIONS {
        if let Some(Value::String(text)) = annotations.get_mut(annotation)
            && let Some(new) = name(&group_kind(group, kind), text)
        {
            *text = new;
        }
    }
}

fn group_kind(group: &str, kind: &str) -> GroupKind {
    GroupKind {
        group: group.to_owned(),
        kind: kind.to_owned(),
    }
}
