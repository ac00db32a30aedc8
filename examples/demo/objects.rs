//! Any object of the cluster, as the person who runs the demo.

use anyhow::Context;
use kube::api::{DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client};
use serde_json::Value;

/// Applies a complete object.
pub async fn apply(client: &Client, body: &Value) -> anyhow::Result<()> {
    let params = PatchParams::apply("graftling-demo").force();
    let applied = async {
        let api = api(client, body).await?;
        api.patch(name(body), &params, &Patch::Apply(body)).await
    };
    applied.await.map(drop).with_context(|| format!("could not apply {}", title(body)))
}

/// Deletes an object; that it is gone already is no error.
pub async fn delete(client: &Client, body: &Value) -> anyhow::Result<()> {
    let deleted = async {
        let api = api(client, body).await?;
        api.delete(name(body), &DeleteParams::default()).await
    };
    match deleted.await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other.map(drop).with_context(|| format!("could not delete {}", title(body))),
    }
}

/// Whether an object exists.
pub async fn exists(client: &Client, body: &Value) -> anyhow::Result<bool> {
    let found = async { api(client, body).await?.get_opt(name(body)).await };
    let found = found.await.with_context(|| format!("could not look for {}", title(body)))?;
    Ok(found.is_some())
}

/// Kind and name, for people.
pub fn title(body: &Value) -> String {
    format!("{} {}", body["kind"].as_str().unwrap_or_default(), name(body))
}

async fn api(client: &Client, body: &Value) -> kube::Result<Api<DynamicObject>> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("/apiVersion").split_once('/').unwrap_or(("", text("/apiVersion")));
    let kind = GroupVersionKind::gvk(group, version, text("/kind"));
    let (resource, capabilities) = pinned_kind(client, &kind).await?;
    Ok(match capabilities.scope {
        Scope::Namespaced => Api::namespaced_with(client.clone(), text("/metadata/namespace"), &resource),
        Scope::Cluster => Api::all_with(client.clone(), &resource),
    })
}

fn name(body: &Value) -> &str {
    body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}
