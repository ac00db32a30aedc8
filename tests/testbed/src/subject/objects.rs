//! Any object, by server-side apply as the admin.

use kube::api::{DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::Error;

/// Whom the API server takes for the owner of what tests write.
const MANAGER: &str = "test";

/// The API of a kind, in a namespace where the kind lives in one.
///
/// # Errors
/// [`Error::Discover`] if the API server does not serve the kind.
pub async fn api(client: &Client, version: &str, kind: &str, namespace: Option<&str>) -> Result<Api<DynamicObject>, Error> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let discovered = pinned_kind(client, &gvk).await;
    let (resource, capabilities) = discovered.map_err(|source| Error::Discover {
        kind: kind.to_owned(),
        source: Box::new(source),
    })?;
    Ok(match (capabilities.scope, namespace) {
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        _ => Api::all_with(client.clone(), &resource),
    })
}

/// Applies a complete object, by force, and answers with it as the API server has it then.
///
/// # Errors
/// [`Error::Discover`] and [`Error::Apply`].
pub async fn apply(client: &Client, body: &Value) -> Result<Value, Error> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    let api = api(client, text("/apiVersion"), kind, Some(text("/metadata/namespace"))).await?;
    let params = PatchParams::apply(MANAGER).force();
    let applied = api.patch(name, &params, &Patch::Apply(body)).await;
    applied.map(|object| json!(object)).map_err(|source| Error::Apply {
        what: format!("{kind} {name}"),
        source: Box::new(source),
    })
}

/// An object with only its identity.
pub fn named(version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Value {
    let mut object = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name } });
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}
