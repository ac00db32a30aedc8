//! The definitions of the chart.

use kube::Client;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{objects, root};

static DEFINITIONS: OnceCell<()> = OnceCell::const_new();

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
