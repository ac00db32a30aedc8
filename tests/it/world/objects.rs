//! Any object, by server-side apply as the admin.

use kube::api::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};
use testbed::subject::objects;

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
    objects::api(client, api_version, kind, namespace).await.unwrap()
}

/// Applies a complete object.
pub async fn apply_body(client: &Client, body: &Value) -> Value {
    let applied = objects::apply(client, body).await;
    applied.unwrap_or_else(|error| panic!("{}", testbed::error_chain(&error)))
}
