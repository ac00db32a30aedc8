//! A custom resource whose controller needs an account of the environment to let it go, and whose controller is away.

use std::time::Instant;

use graftling::api::environment::Phase;
use graftling::domain::plan::teardown::stuck::STUCK_AFTER;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use testbed::wait;

use crate::e2e::scene::Scene;
use crate::e2e::teardown::{as_account, define_widgets, operated};
use crate::world::{LONG, objects, ready_reason, receipt_name};

const FINALIZER: &str = "peers.test.example/clean";

#[tokio::test(flavor = "multi_thread")]
async fn f51_a_custom_resource_whose_controller_is_away_keeps_its_account_and_blocks_visibly_and_is_never_a_success() {
    define_widgets("peers").await;
    let policy = json!({ "policy": { "kinds": ["peers.test.example/Widget"] } });
    let values = ["rbac.customResources[0].apiGroups={peers.test.example},rbac.customResources[0].resources={widgets}"];
    let scene = Scene::with("operated", &operated("peers"), policy, &values).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let operator = as_account(&scene, &name, "operator").await;
    let api = objects::api(&operator, "peers.test.example/v1", "Widget", Some(&name)).await;
    let finalizers = |list: Value| Patch::Merge(json!({ "metadata": { "finalizers": list } }));
    let held = api.patch("spring", &PatchParams::default(), &finalizers(json!([FINALIZER]))).await;
    held.unwrap();

    let begun = Instant::now();
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene
        .told("feature/a", Phase::Deleting, &["Widget spring", "since", FINALIZER])
        .await;
    // Nobody serves it; the environment says which object that is, for as long as it lasts.
    let blocked = wait::until("a blocked environment", STUCK_AFTER + LONG, || async {
        let status = scene.world.environment("feature/a").await.unwrap().status.unwrap_or_default();
        (status.phase == Some(Phase::Blocked)).then_some(status)
    })
    .await;
    println!("blocked after {:.0} s", begun.elapsed().as_secs_f64());
    assert_eq!(ready_reason(&blocked.conditions), "TerminationBlocked");
    let message = blocked.message.unwrap();
    assert!(message.contains("Widget spring") && message.contains(FINALIZER), "{message}");
    for (version, kind) in [
        ("v1", "ServiceAccount"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ] {
        let found = scene.read(version, kind, &name, "operator").await;
        let found = found.unwrap_or_else(|| panic!("{kind} is gone before what needs it"));
        assert!(found["metadata"]["deletionTimestamp"].is_null(), "{kind}");
    }
    let receipts: Api<ConfigMap> = Api::namespaced(scene.world.client.clone(), scene.world.namespace.name());
    let receipt = receipts.get_opt(&receipt_name(&environment)).await.unwrap();
    assert!(receipt.is_none(), "a receipt says that nothing is left");

    // The controller comes back, with nothing but the token of its account.
    api.patch("spring", &PatchParams::default(), &finalizers(json!([]))).await.unwrap();
    scene.world.wait_gone("feature/a").await;
    assert!(!scene.world.namespace_exists(&name).await);
    assert!(scene.world.receipt(&environment).await.contains("left: []"));
}
