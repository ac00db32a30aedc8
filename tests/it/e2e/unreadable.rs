//! A status that cannot be read, as the definition lets anything be an inventory.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::scene::{CONFIG, Scene};
use crate::world::objects;

async fn store(scene: &Scene, name: &str, inventory: &Value) {
    let namespace = scene.world.namespace.name();
    let api = objects::api(&scene.world.client, "graftling.dev/v1alpha1", "Environment", Some(namespace)).await;
    let patch = Patch::Merge(json!({ "status": { "inventory": inventory } }));
    api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f85_an_inventory_that_cannot_be_read_is_told_of_and_left_alone_and_holds_up_nobody() {
    let scene = Scene::start("unreadable", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let good = serde_json::to_value(environment.status.unwrap()).unwrap()["inventory"].clone();
    store(&scene, &name, &json!({ "lost": true })).await;
    scene.world.wait_for_event("Unreadable").await;
    let position = scene.position();
    scene.push("feature/a");
    scene.up("feature/b").await;
    let of_it = |event: &testbed::AuditEvent| event.namespace == name && event.verb.starts_with("delete");
    assert!(!scene.writes(position).iter().any(of_it));

    store(&scene, &name, &good).await;
    let revision = scene.push("feature/a");
    scene.world.wait_ready("feature/a", &revision).await;
}
