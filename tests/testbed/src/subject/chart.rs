//! The chart as real helm renders it, installed as far as a cluster without images goes: definitions, accounts, rights and policies.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use serde_json::Value;

use super::{Error, objects, root};
use crate::{control_plane, helm, wait};

/// What a server outside of the cluster needs no object for.
const NOT_INSTALLED: [&str; 6] = ["Deployment", "Service", "Pod", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"];

/// The name of release and namespace while helm renders. It gives way to the real one, so that helm runs once for each set of values.
const PLACEHOLDER: &str = "placeholder-of-a-release";

/// How long new definitions may take to be served.
const SERVED: Duration = Duration::from_secs(120);

/// What helm has rendered, by the values it was given.
static RENDERED: Mutex<Option<HashMap<Vec<String>, String>>> = Mutex::new(None);

/// Installs the definitions, unless the control plane has them, and waits until they are served.
pub(super) async fn define(client: &Client) -> Result<(), Error> {
    match served(client).await {
        true => Ok(()),
        false => define_anew(client).await,
    }
}

/// Installs the definitions, and waits until they are served.
pub(super) async fn define_anew(client: &Client) -> Result<(), Error> {
    let path = definitions();
    let text = std::fs::read_to_string(&path).map_err(|source| Error::ReadDefinitions { path, source })?;
    for body in documents(&text)? {
        objects::apply(client, &body).await?;
    }
    let waited = wait::try_until("the definitions served", SERVED, || served(client)).await;
    waited.map_err(Error::Wait)
}

/// Applies the chart for the release `name` in the namespace of the same name.
pub(super) async fn install(client: &Client, name: &str, values: &[String]) -> Result<(), Error> {
    let (owned, values) = (name.to_owned(), values.to_vec());
    for mut body in control_plane::blocking(move || objects_of(&owned, &values)).await? {
        if body["kind"].as_str().is_some_and(|kind| NOT_INSTALLED.contains(&kind)) {
            continue;
        }
        if body["metadata"]["namespace"].is_null() {
            body["metadata"]["namespace"] = name.into();
        }
        objects::apply(client, &body).await?;
    }
    Ok(())
}

/// The objects of the chart for the release `name` in the namespace of the same name, with `values`, each as `--set` takes it.
pub(super) fn objects_of(name: &str, values: &[String]) -> Result<Vec<Value>, Error> {
    documents(&render(values.to_vec())?.replace(PLACEHOLDER, name))
}

fn render(values: Vec<String>) -> Result<String, Error> {
    let mut rendered = RENDERED.lock().unwrap_or_else(PoisonError::into_inner);
    let rendered = rendered.get_or_insert_default();
    if let Some(text) = rendered.get(&values) {
        return Ok(text.clone());
    }
    let chart = root().join("helm/graftling").display().to_string();
    let common = format!("fullnameOverride={PLACEHOLDER},watchAllNamespaces=false");
    let mut arguments = vec!["template", PLACEHOLDER, &chart, "--namespace", PLACEHOLDER, "--set", &common];
    arguments.extend(values.iter().flat_map(|value| ["--set", value.as_str()]));
    let text = helm::helm(arguments).map_err(Error::Render)?;
    rendered.insert(values, text.clone());
    Ok(text)
}

async fn served(client: &Client) -> bool {
    const NAMES: [&str; 3] = ["githosts", "projects", "environments"];
    let served = client.list_api_group_resources("graftling.dev/v1alpha1").await;
    served.is_ok_and(|list| {
        let known = |name: &&str| list.resources.iter().any(|resource| resource.name == *name);
        NAMES.iter().all(known)
    })
}

fn definitions() -> PathBuf {
    root().join("helm/graftling/crds/graftling.dev.yaml")
}

fn documents(text: &str) -> Result<Vec<Value>, Error> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|source| Error::ParseManifest(Box::new(source)))?;
    Ok(all.into_iter().filter(Value::is_object).collect())
}
