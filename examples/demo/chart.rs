//! The Helm chart, as far as a server outside of the cluster needs it: definitions, accounts, rights and admission policies.

use anyhow::Context;
use kube::Client;
use serde_json::Value;

use crate::checkout;

/// The namespace of the demo and the name of its release.
pub const NAMESPACE: &str = "graftling-demo";

/// What only a server inside the cluster needs.
const LEFT_OUT: [&str; 5] = ["Deployment", "Service", "Pod", "PodDisruptionBudget", "NetworkPolicy"];

/// The custom resource definitions.
pub fn definitions() -> anyhow::Result<Vec<Value>> {
    let path = checkout().join("helm/graftling/crds/graftling.dev.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    documents(&text)
}

/// Accounts, rights and policies, rendered by helm.
pub fn rights() -> anyhow::Result<Vec<Value>> {
    let chart = checkout().join("helm/graftling");
    let text = testbed::helm::helm([
        "template",
        NAMESPACE,
        &chart.display().to_string(),
        "--namespace",
        NAMESPACE,
        "--set",
        &format!("fullnameOverride={NAMESPACE},watchAllNamespaces=false"),
    ])?;
    let mut bodies = documents(&text)?;
    bodies.retain(|body| !LEFT_OUT.contains(&body["kind"].as_str().unwrap_or_default()));
    for body in &mut bodies {
        if body["metadata"]["namespace"].is_null() {
            body["metadata"]["namespace"] = NAMESPACE.into();
        }
    }
    Ok(bodies)
}

/// Waits until the API server serves what the definitions define.
pub async fn served(client: &Client) -> anyhow::Result<()> {
    let kinds = ["githosts", "projects", "environments"];
    let look = || async {
        let list = client.list_api_group_resources("graftling.dev/v1alpha1").await;
        let list = list.map_err(|error| error.to_string())?;
        let served = |kind: &&str| list.resources.iter().any(|resource| resource.name == **kind);
        match kinds.iter().find(|kind| !served(kind)) {
            None => Ok(()),
            Some(kind) => Err(format!("no {kind} yet")),
        }
    };
    testbed::wait::try_until("custom resources", crate::story::LIMIT, look).await?;
    Ok(())
}

fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).context("could not read the YAML of the chart")?;
    Ok(all.into_iter().filter(Value::is_object).collect())
}
