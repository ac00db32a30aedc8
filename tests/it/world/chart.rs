//! The rendered chart, installed as far as a cluster without images goes: definitions, accounts, rights and admission policies.

use kube::Client;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{objects, root};

static DEFINITIONS: OnceCell<()> = OnceCell::const_new();

/// What a server outside of the cluster needs no object for.
const NOT_INSTALLED: [&str; 6] = ["Deployment", "Service", "Pod", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"];

/// Renders the chart with real helm for `release` in `namespace` and applies it.
pub async fn install(client: &Client, release: &str, namespace: &str, values: &[String]) {
    for body in render(release, namespace, values) {
        let kind = body["kind"].as_str().unwrap_or_default();
        if NOT_INSTALLED.contains(&kind) {
            continue;
        }
        let mut body = body;
        if body["metadata"]["namespace"].is_null() {
            body["metadata"]["namespace"] = namespace.into();
        }
        objects::apply_body(client, &body).await;
    }
}

/// The objects of the chart with the values that worlds use, and `values`.
pub fn render(release: &str, namespace: &str, values: &[String]) -> Vec<Value> {
    let chart = root().join("helm/graftling").display().to_string();
    let common = format!("fullnameOverride={release},watchAllNamespaces=false");
    let mut arguments = vec!["template", release, &chart, "--namespace", namespace, "--set", &common];
    arguments.extend(values.iter().flat_map(|value| ["--set", value.as_str()]));
    documents(&testbed::helm::helm(arguments).unwrap())
}

/// Installs the definitions in the control plane that worlds share.
pub async fn define_once(client: &Client) {
    DEFINITIONS.get_or_init(|| define(client)).await;
}

/// Installs the definitions.
pub async fn define(client: &Client) {
    let text = std::fs::read_to_string(root().join("helm/graftling/crds/graftling.dev.yaml")).unwrap();
    for body in documents(&text) {
        objects::apply_body(client, &body).await;
    }
    let names = ["githosts", "projects", "environments"];
    testbed::wait::until("the definitions to be served", super::LONG, || async {
        let served = client.list_api_group_resources("graftling.dev/v1alpha1").await;
        served.is_ok_and(|list| {
            names
                .iter()
                .all(|name| list.resources.iter().any(|resource| resource.name == *name))
        })
    })
    .await;
}

fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|value| value.is_object()).collect()
}
