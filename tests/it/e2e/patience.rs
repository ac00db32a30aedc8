//! What waiting costs: requests of a teardown, counted by the API server's own audit log.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use testbed::{AuditEvent, Position};

use super::scene::{CONFIG, Scene, WEB};

/// Everything that the server asked for since `position`, as itself or as a deployer; leases, watches and the Git side aside.
fn requests(scene: &Scene, position: Position) -> Vec<AuditEvent> {
    let user = scene.world.server_user();
    let mut events = scene.world.plane.audit().since(position);
    events.retain(|event| event.user == user && event.resource != "leases" && event.verb != "watch");
    events
}

fn by_verb(events: &[AuditEvent]) -> BTreeMap<&str, usize> {
    let mut verbs = BTreeMap::new();
    for event in events {
        *verbs.entry(event.verb.as_str()).or_default() += 1;
    }
    verbs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teardown_costs_requests_for_what_it_does_and_not_for_how_long_it_waits() {
    let scene = Scene::start("patience", WEB).await;
    let environment = scene.up("feature/a").await;
    let position = scene.position();
    let start = Instant::now();
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
    let events = requests(&scene, position);
    println!(
        "one teardown: {} requests in {:.1} s, {:?}",
        events.len(),
        start.elapsed().as_secs_f64(),
        by_verb(&events)
    );

    scene.template(CONFIG);
    scene.change_project(json!({ "suspend": false })).await;
    let environment = scene.up("feature/b").await;
    let finalizers = |list: serde_json::Value| json!({ "metadata": { "finalizers": list } });
    scene
        .edit(
            "v1",
            "ConfigMap",
            &environment.name_any(),
            "settings",
            finalizers(json!(["slow.example/cleans"])),
        )
        .await;
    scene.delete(&environment).await;
    scene
        .told("feature/b", Phase::Deleting, &["ConfigMap settings", "slow.example/cleans"])
        .await;
    let position = scene.position();
    // The time that is waited is what is measured.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut waiting = requests(&scene, position);
    waiting.retain(|event| event.namespace == environment.name_any());
    println!(
        "ten seconds of waiting for a finalizer: {} requests, {:?}",
        waiting.len(),
        by_verb(&waiting)
    );
    // The pass that told, which may still be on its way, and two looks at what is left.
    assert!(waiting.len() <= 30, "by polling it was 269: {:?}", by_verb(&waiting));
    let start = Instant::now();
    scene
        .edit("v1", "ConfigMap", &environment.name_any(), "settings", finalizers(json!([])))
        .await;
    scene.world.wait_gone("feature/b").await;
    println!("and gone {:.1} s after it was removed", start.elapsed().as_secs_f64());
}
