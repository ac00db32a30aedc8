//! Writes down what is in a namespace.

use std::fmt::Write;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, ListParams};
use kube::discovery::{ApiResource, Discovery, Scope, verbs};
use serde_json::{Map, Value, json};

/// Everything of this group is shown in full.
const OUR_GROUP: &str = "graftling.dev";

/// What stands in place of a secret value.
const MASK: &str = "(masked)";

/// Every listable object of the namespace, grouped by kind; events come last, in the order of time.
pub(super) async fn namespace(client: kube::Client, name: &str) -> String {
    let mut text = format!("=== namespace {name}\n");
    let own: kube::Result<Namespace> = Api::all(client.clone()).get(name).await;
    match own {
        Ok(namespace) => section(&mut text, "Namespace", &[full(json!(namespace))]),
        Err(error) => line(&mut text, &format!("Namespace {name}: {error}")),
    }
    match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) => kinds(&mut text, client, &discovery, name).await,
        Err(error) => line(&mut text, &format!("cannot discover the kinds: {}", crate::error_chain(&error))),
    }
    text + &format!("=== end of namespace {name}")
}

async fn kinds(text: &mut String, client: kube::Client, discovery: &Discovery, name: &str) {
    let resources: Vec<ApiResource> = discovery
        .groups()
        .flat_map(|group| group.recommended_resources())
        .filter(|(_, capabilities)| capabilities.scope == Scope::Namespaced && capabilities.supports_operation(verbs::LIST))
        .map(|(resource, _)| resource)
        .collect();
    let lists = join_all(resources.into_iter().map(|resource| list(client.clone(), resource, name))).await;
    let (events, objects): (Vec<_>, Vec<_>) = lists.into_iter().partition(|(resource, _)| resource.kind == "Event");
    for (resource, listed) in objects {
        match listed {
            Ok(objects) => {
                let objects: Vec<Value> = objects.into_iter().map(|object| shown(&resource, object)).collect();
                section(text, &resource.kind, &objects);
            }
            Err(error) => line(text, &format!("{}: {error}", resource.kind)),
        }
    }
    // The core group and events.k8s.io show the same events; one is enough.
    if let Some(Ok(events)) = events.into_iter().map(|(_, listed)| listed).find(|listed| listed.is_ok()) {
        event_lines(text, events);
    }
}

async fn list(client: kube::Client, resource: ApiResource, namespace: &str) -> (ApiResource, kube::Result<Vec<Value>>) {
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &resource);
    let listed = api.list(&ListParams::default()).await;
    (
        resource,
        listed.map(|list| list.items.into_iter().map(|object| json!(object)).collect()),
    )
}

fn shown(resource: &ApiResource, object: Value) -> Value {
    match (resource.group.as_str(), resource.kind.as_str()) {
        (OUR_GROUP, _) => full(object),
        ("", "Secret") => {
            json!({ "metadata": metadata(&object), "type": object["type"], "data": masked(&object["data"]) })
        }
        ("", "ConfigMap") => {
            json!({ "metadata": metadata(&object), "keys": keys(&object["data"]) })
        }
        _ => json!({ "metadata": metadata(&object), "status": status(&object["status"]) }),
    }
}

/// The object without the bookkeeping of field ownership.
fn full(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// What tells objects apart and what holds them: name, owner, labels, finalizers, deletion.
fn metadata(object: &Value) -> Value {
    const SHOWN: [&str; 6] = ["name", "uid", "labels", "ownerReferences", "finalizers", "deletionTimestamp"];
    pick(&object["metadata"], |field| SHOWN.contains(&field))
}

/// Phase, conditions, counts and messages; not the long lists of what runs where.
fn status(status: &Value) -> Value {
    const LONG: [&str; 6] = [
        "images",
        "containerStatuses",
        "initContainerStatuses",
        "podIPs",
        "hostIPs",
        "uncountedTerminatedPods",
    ];
    pick(status, |field| !LONG.contains(&field))
}

fn pick(value: &Value, wanted: impl Fn(&str) -> bool) -> Value {
    match value.as_object() {
        Some(fields) => fields
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, field)| (name.clone(), field.clone()))
            .collect(),
        None => Value::Null,
    }
}

fn masked(data: &Value) -> Value {
    let names = data.as_object().into_iter().flat_map(Map::keys);
    names.map(|name| (name.clone(), Value::from(MASK))).collect()
}

fn keys(data: &Value) -> Value {
    data.as_object().into_iter().flat_map(Map::keys).cloned().collect()
}

fn section(text: &mut String, kind: &str, objects: &[Value]) {
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        line(text, &format!("--- {kind} {name}"));
        yaml(text, object, 1);
    }
}

fn event_lines(text: &mut String, mut events: Vec<Value>) {
    events.sort_by_key(|event| event["metadata"]["creationTimestamp"].to_string());
    for event in events {
        let about = event.get("regarding").unwrap_or(&event["involvedObject"]);
        let note = event.get("note").unwrap_or(&event["message"]);
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (time, kind, reason) = (&event["metadata"]["creationTimestamp"], &event["type"], &event["reason"]);
        let object = format!("{}/{}", word(&about["kind"]), word(&about["name"]));
        line(
            text,
            &format!("event {} {} {object} {}: {}", word(time), word(kind), word(reason), word(note)),
        );
    }
}

/// A short notation like YAML: one line for whatever has no fields or items worth a line of their own.
fn yaml(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let entries: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, field)| (format!("{name}:"), field)).collect(),
        Value::Array(items) => items.iter().map(|item| ("-".to_owned(), item)).collect(),
        scalar => return line(text, &format!("{indent}{scalar}")),
    };
    for (label, entry) in entries {
        if is_short(entry) {
            line(text, &format!("{indent}{label} {entry}"));
        } else {
            line(text, &format!("{indent}{label}"));
            yaml(text, entry, depth + 1);
        }
    }
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) => value.to_string().len() <= 100,
        _ => true,
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_secret_are_masked() {
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&());
        let secret = json!({ "metadata": { "name": "token" }, "data": { "password": "aHVudGVyMg==" }, "type": "Opaque" });
        let mut text = String::new();
        section(&mut text, "Secret", &[shown(&resource, secret)]);
        assert!(text.contains("password") && text.contains(MASK), "{text}");
        assert!(!text.contains("aHVudGVyMg"), "{text}");
    }

    #[test]
    fn a_secret_kept_in_an_annotation_is_not_shown() {
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&());
        let annotations = json!({ "kubectl.kubernetes.io/last-applied-configuration": "aHVudGVyMg==" });
        let secret = json!({ "metadata": { "name": "token", "annotations": annotations } });
        assert!(!shown(&resource, secret).to_string().contains("aHVudGVyMg"));
    }
}
