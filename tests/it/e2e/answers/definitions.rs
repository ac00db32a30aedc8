//! Kinds that come with their own objects.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::Phase;
use serde_json::json;

use crate::e2e::scene::{CONFIG, Scene};

/// A definition and an object of it, in one bundle.
const DEFINED: &str = r#"
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ghosts.answers.example}
spec:
  group: answers.example
  scope: Namespaced
  names: {plural: ghosts, singular: ghost, kind: Ghost}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
apiVersion: answers.example/v1
kind: Ghost
metadata: {name: boo}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn f24_a_definition_in_a_bundle_is_refused_with_its_reason_whatever_the_policy_and_nothing_is_written() {
    let kinds = ["apiextensions.k8s.io/CustomResourceDefinition", "answers.example/Ghost"];
    let policy = json!({ "policy": { "kinds": kinds, "clusterScoped": "Share" } });
    let scene = Scene::with("defined", &format!("{CONFIG}{DEFINED}"), policy, &[]).await;
    scene.push("feature/a");
    let words = ["CustomResourceDefinition", "its end would take every object of the kind with it"];
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    assert!(status.inventory.is_empty(), "{:?}", status.inventory);
    let definition = scene
        .read("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "ghosts.answers.example")
        .await;
    assert!(definition.is_none());
    scene.template(CONFIG);
    scene.up("feature/a").await;
}
