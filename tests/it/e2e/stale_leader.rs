//! A leader that is stopped in the middle of a pass, and wakes up when another has led for a while.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeSet;
use std::fmt::Write;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use testbed::{Position, Repository, wait};

use super::replicas::{leads, replica};
use super::scene::write_bundle;
use crate::world::{LONG, Options, World, without_main};

/// So many that a pass over them can be stopped in its middle.
const OBJECTS: usize = 400;

/// So many are written when it is.
const ENOUGH: usize = 20;

const PREFIX: &str = "settings-";

fn settings(count: usize) -> String {
    let mut template = String::new();
    for number in 0..count {
        writeln!(
            template,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {PREFIX}{number}}}\ndata: {{a: b}}"
        )
        .unwrap();
    }
    template
}

/// What the replicas tried to write of the bundle's objects since `position`.
fn written(world: &World, position: Position) -> BTreeSet<String> {
    let events = world.writes_since(position).into_iter();
    let of_bundle = events.filter(|event| event.resource == "configmaps" && event.name.starts_with(PREFIX));
    of_bundle.map(|event| format!("{} {}", event.verb, event.name)).collect()
}

async fn live(world: &World, namespace: &str) -> Vec<String> {
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), namespace);
    let all = api.list(&ListParams::default()).await.unwrap().items;
    let names = all.iter().map(ResourceExt::name_any);
    names.filter(|name| name.starts_with(PREFIX)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_a_leader_that_was_stopped_in_the_middle_of_a_pass_wakes_up_and_writes_nothing() {
    let bundles = tempfile::tempdir().unwrap();
    let bundle = bundles.path().join("app");
    write_bundle(bundle.clone(), &settings(OBJECTS));
    let options = Options {
        bundles: bundles.path().to_owned(),
        chart_values: vec!["leaderElection.enabled=true".to_owned()],
        ..Options::default()
    };
    let world = World::without_server("stale-leader", options).await;
    let first = replica(&world, "first").await;
    leads(&first).await;
    let repository = Repository::create().unwrap();
    let before = world.plane.audit().position();
    world
        .project("shop", &repository, without_main(json!({ "bundle": { "name": "app" } })))
        .await;
    repository.commit("feature/a", &[("a", "1")]).unwrap();
    wait::until("a pass in its middle", LONG, || async { written(&world, before).len() >= ENOUGH }).await;
    first.running.pause();

    // The successor deploys something newer, of which most objects are no part, to its end.
    write_bundle(bundle, &settings(1));
    let newer = repository.commit("feature/a", &[("a", "2")]).unwrap();
    let second = replica(&world, "second").await;
    leads(&second).await;
    let environment = world.wait_ready("feature/a", &newer).await;
    assert!(written(&world, before).len() < OBJECTS, "the pass was over before it was stopped");
    let namespace = environment.name_any();
    assert_eq!(live(&world, &namespace).await, ["settings-0"]);

    let woken = world.plane.audit().position();
    first.running.resume();
    let ended = first.running.wait(LONG).await.unwrap();
    assert!(!ended.success(), "{ended}");
    assert_eq!(written(&world, woken), BTreeSet::new());
    assert_eq!(live(&world, &namespace).await, ["settings-0"]);
}
