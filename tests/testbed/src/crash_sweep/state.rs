//! What is there, in a form in which two runs can be compared.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::{self, TryStreamExt};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Map, Value, json};

use super::Error;
use super::kinds::Kind;
use super::names::Names;

/// Objects by where and what they are.
pub(super) type State = BTreeMap<String, Value>;

/// How many lists are asked for at a time.
const LISTS: usize = 8;

/// Kinds of ours, whose status is compared word by word. The status of others is their controllers' matter, but for what is ready.
const OUR_GROUP: &str = "graftling.dev/";

/// The owner of fields that graftling writes.
const OUR_MANAGER: &str = "graftling";

/// Every object of these namespaces, as the API server has it now.
pub(super) async fn read(client: &Client, kinds: &[Kind], namespaces: &[&str]) -> Result<Vec<Value>, Error> {
    let mut lists = Vec::new();
    for kind in kinds.iter().filter(|kind| kind.namespaced) {
        for namespace in namespaces {
            lists.push(list(client.clone(), kind.clone(), Some((*namespace).to_owned())));
        }
    }
    gather(lists).await
}

/// Every object of the cluster, without Events.
pub(super) async fn read_all(client: &Client, kinds: &[Kind]) -> Result<Vec<Value>, Error> {
    let mut lists = Vec::new();
    for kind in kinds.iter().filter(|kind| !kind.is_event()) {
        lists.push(list(client.clone(), kind.clone(), None));
    }
    gather(lists).await
}

async fn gather(lists: Vec<impl Future<Output = Result<Vec<Value>, Error>>>) -> Result<Vec<Value>, Error> {
    let all: Vec<Vec<Value>> = stream::iter(lists).buffer_unordered(LISTS).try_collect().await?;
    Ok(all.into_iter().flatten().collect())
}

async fn list(client: Client, kind: Kind, namespace: Option<String>) -> Result<Vec<Value>, Error> {
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client, &namespace, &kind.resource),
        None => Api::all_with(client, &kind.resource),
    };
    let listed = api.list(&ListParams::default()).await;
    let items = listed.map_err(Error::request(format!("list {}", kind.resource.plural)))?.items;
    Ok(items.into_iter().map(|object| of_kind(&kind, &object)).collect())
}

/// Items of a list do not say their kind.
fn of_kind(kind: &Kind, object: &DynamicObject) -> Value {
    let mut value = json!(object);
    value["apiVersion"] = json!(kind.resource.api_version);
    value["kind"] = json!(kind.resource.kind);
    value
}

/// The objects in the form in which they are compared. What a controller made of an object is its own matter: its history counts it.
pub(super) fn canonical(objects: &[Value], names: &Names) -> State {
    let compared = objects.iter().filter(|object| !is_event(object) && controller(object).is_none());
    compared.map(|object| (key(object, names), shape(object, names))).collect()
}

/// The objects exactly as they are, but for what their own controllers report: to see whether somebody has touched them.
pub(super) fn exact(objects: &[Value]) -> State {
    let names = Names::default();
    let compared = objects.iter().filter(|object| !is_event(object));
    let untouched = |object: &Value| {
        let mut object = object.clone();
        let metadata = object["metadata"].take();
        let kept = [
            "uid",
            "generation",
            "labels",
            "annotations",
            "finalizers",
            "ownerReferences",
            "deletionTimestamp",
        ];
        let metadata: Map<String, Value> = kept.iter().map(|field| ((*field).to_owned(), metadata[*field].clone())).collect();
        object["metadata"] = Value::Object(metadata);
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        object
    };
    compared.map(|object| (key(object, &names), untouched(object))).collect()
}

/// Objects of ours with what they tell, to see what changed while nothing should.
pub(super) fn exact_with_status(objects: &[Value]) -> State {
    let names = Names::default();
    let told = |object: &Value| serde_json::json!({ "spec": object["spec"], "status": object["status"] });
    objects.iter().map(|object| (key(object, &names), told(object))).collect()
}

/// `ENV apps/v1 Deployment web`.
pub(super) fn key(object: &Value, names: &Names) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    names.text(&format!("{namespace} {} {} {name}", text("/apiVersion"), text("/kind")))
}

/// Whether it tells of another object.
pub(super) fn is_event(object: &Value) -> bool {
    object["kind"] == "Event"
}

fn controller(object: &Value) -> Option<&str> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    owner["uid"].as_str()
}

fn shape(object: &Value, names: &Names) -> Value {
    let own = object["apiVersion"].as_str().is_some_and(|version| version.starts_with(OUR_GROUP));
    let receipt = !object["metadata"]["labels"]["graftling.dev/receipt"].is_null();
    let mut shape = object.clone();
    hide(&mut shape);
    shape["metadata"] = metadata(&object["metadata"]);
    if own {
        forget_chances(&mut shape["status"]);
    } else {
        shape["status"] = readiness(&object["status"]);
    }
    names.value(&mut shape, own || receipt);
    shape
}

/// Without what every write or every run changes. The generation stays: it counts changes of what is wanted.
fn metadata(metadata: &Value) -> Value {
    let mut kept = metadata.clone();
    let owners = kept["managedFields"].take();
    if let Some(fields) = kept.as_object_mut() {
        let changing = ["uid", "resourceVersion", "creationTimestamp", "managedFields", "name", "namespace"];
        fields.retain(|field, _| !changing.contains(&field.as_str()));
    }
    kept["ownedFields"] = ownership(&owners);
    kept
}

/// Which fields graftling owns, by manager.
fn ownership(entries: &Value) -> Value {
    let ours = entries.as_array().into_iter().flatten().filter(|entry| {
        let manager = entry["manager"].as_str().unwrap_or_default();
        manager.starts_with(OUR_MANAGER)
    });
    let owned = ours.map(|entry| {
        let text = |field: &str| entry[field].as_str().unwrap_or_default();
        let key = format!("{} {} {}", text("manager"), text("operation"), text("subresource"));
        (key, entry["fieldsV1"].clone())
    });
    Value::Object(owned.collect())
}

/// What an Environment tells that a crash may change, and why.
fn forget_chances(status: &mut Value) {
    // How much a run has changed counts answers that were seen; a crash loses one. The few names beside it are those of the first.
    let mut forget = |pointer: &str| {
        if let Some(fields) = status.pointer_mut(pointer).and_then(Value::as_object_mut) {
            fields.retain(|field, _| field != "changed" && field != "objects");
        }
    };
    forget("/run");
    (0..10).for_each(|entry| forget(&format!("/history/{entry}")));
    // The digest of a record comes with the answer to its creation and is never compared: a record is written once.
    for entry in status["inventory"].as_array_mut().into_iter().flatten() {
        let is_record = entry["name"].as_str().is_some_and(|name| name.starts_with("graftling-run-"));
        if let Some(fields) = entry.as_object_mut().filter(|_| is_record) {
            fields.retain(|field, _| field != "digest" && field != "ownership");
        }
    }
}

fn readiness(status: &Value) -> Value {
    let kept = ["phase", "replicas", "readyReplicas", "availableReplicas", "hard"];
    let kept = kept.iter().filter(|field| !status[**field].is_null());
    Value::Object(kept.map(|field| ((*field).to_owned(), status[*field].clone())).collect())
}

/// What has another value in every run and says nothing: addresses, random keys, packed records.
fn hide(object: &mut Value) {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "Service" => {
            if let Some(spec) = object["spec"].as_object_mut() {
                spec.retain(|field, _| !field.starts_with("clusterIP"));
            }
        }
        "Secret" if object["type"] == "graftling.dev/run" || name.ends_with("-receipt-key") => keep_keys(object),
        "ConfigMap" if name == "kube-root-ca.crt" || name.ends_with("-receipt-key") => keep_keys(object),
        _ => {}
    }
}

fn keep_keys(object: &mut Value) {
    if let Some(data) = object["data"].as_object_mut() {
        data.values_mut().for_each(|value| *value = json!("HIDDEN"));
    }
}

/// What of two states is not the same, in at most `most` lines.
pub(super) fn difference(expected: &State, found: &State, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in expected {
        match found.get(key) {
            None => lines.push(format!("{key}: missing")),
            Some(other) => compare(key, value, other, &mut lines),
        }
    }
    let extra = found.keys().filter(|key| !expected.contains_key(*key));
    lines.extend(extra.map(|key| format!("{key}: should not be there")));
    lines.truncate(most);
    lines
}

fn compare(path: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let mut keys: Vec<&String> = expected.keys().chain(found.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let null = Value::Null;
                let (expected, found) = (expected.get(key).unwrap_or(&null), found.get(key).unwrap_or(&null));
                compare(&format!("{path} /{key}"), expected, found, lines);
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{path} /{index}"), expected, found, lines);
            }
        }
        (Value::String(expected), Value::String(found)) if expected != found && expected.contains('\n') => {
            lines.extend(other_lines(expected, found).map(|line| format!("{path}: {line}")));
        }
        (expected, found) if expected != found => lines.push(format!("{path}: expected {expected}, found {found}")),
        _ => {}
    }
}

/// The lines that only one of two texts has.
fn other_lines<'a>(expected: &'a str, found: &'a str) -> impl Iterator<Item = String> + 'a {
    let missing = expected.lines().filter(|line| !found.lines().any(|other| other == *line));
    let extra = found.lines().filter(|line| !expected.lines().any(|other| other == *line));
    missing
        .map(|line| format!("missing line {line}"))
        .chain(extra.map(|line| format!("line {line}")))
}
