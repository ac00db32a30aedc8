//! Any object, by server-side apply as the admin.

use kube::api::{DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client};
use serde_json::{Value, json};

/// Applies an object and returns it as the server has it then.
pub async fn apply(client: &Client, api_version: &str, kind: &str, namespace: Option<&str>, name: &str, mut body: Value) -> Value {
    body["apiVersion"] = json!(api_version);
    body["kind"] = json!(kind);
    body["metadata"]["name"] = json!(name);
    if let Some(namespace) = namespace {
        body["metadata"]["namespace"] = json!(namespace);
    }
    apply_body(client, &body).await
}

/// The API of a kind, in a namespace where the kind lives in one.
pub async fn api(client: &Client, api_version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let (resource, capabilities) = pinned_kind(client, &gvk).await.unwrap();
    match (capabilities.scope, namespace) {
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        _ => Api::all_with(client.clone(), &resource),
    }
}

/// Applies a complete object.
pub async fn apply_body(client: &Client, body: &Value) -> Value {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let api_version = text("/apiVersion");
    let api = api(client, &api_version, &text("/kind"), Some(&text("/metadata/namespace"))).await;
    let params = PatchParams::apply("test").force();
    let name = text("/metadata/name");
    let applied = api.patch(&name, &params, &Patch::Apply(body)).await;
    serde_json::to_value(applied.unwrap_or_else(|error| panic!("could not apply {} {name}: {error}", text("/kind")))).unwrap()
}
