//! Settings that go while many environments live: all are kept, each says why nothing happens to it, and each can be torn down.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeMap;

use graftling::api::ProjectStatus;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use super::scene::{CONFIG, Scene};
use crate::world::{Options, World, repository_name, without_main};

const BRANCHES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Deletes one and waits for its end; the others must be what they were.
async fn one_goes(scene: &Scene, branch: &str, alive: &mut BTreeMap<String, String>) {
    let environment = scene.world.environment(branch).await.unwrap();
    let name = environment.name_any();
    scene.world.environments().delete(&name, &DeleteParams::default()).await.unwrap();
    scene.world.wait_gone(branch).await;
    let receipt = scene.world.receipt(&environment).await;
    assert!(
        receipt.contains("left: []") && receipt.contains("because: the Environment object was deleted"),
        "{receipt}"
    );
    assert!(!scene.world.namespace_exists(&name).await);
    alive.remove(&format!("shop/{branch}"));
    assert_eq!(scene.world.alive().await, *alive, "after {branch}");
}

async fn all_tell(scene: &Scene, alive: &BTreeMap<String, String>, words: &str) {
    for place in alive.keys() {
        let branch = place.trim_start_matches("shop/");
        let tells = |environment: &graftling::api::Environment| {
            let message = environment.status.as_ref().and_then(|status| status.message.clone());
            message.is_some_and(|message| message.contains(words))
        };
        scene.world.wait_until(branch, &format!("that tells {words:?}"), tells).await;
    }
}

fn misses_its_git_host(status: &ProjectStatus) -> bool {
    let message = status.message.as_deref();
    message.is_some_and(|told| told.contains("GitHost git does not exist"))
}

#[tokio::test(flavor = "multi_thread")]
async fn f83_a_project_says_at_once_that_its_git_host_is_gone() {
    let (world, _repository) = World::shop("hostless", Options::without_sweeps(), json!({})).await;
    world.wait_synced("shop").await;
    world.git_hosts().delete("git", &DeleteParams::default()).await.unwrap();
    world.wait_for_project("shop", "that misses its GitHost", misses_its_git_host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f83_settings_that_become_invalid_or_go_leave_every_environment_as_it_is_and_removable() {
    let scene = Scene::start("unsettled", CONFIG).await;
    for branch in BRANCHES {
        scene.push(branch);
    }
    for branch in BRANCHES {
        let revision = scene.repository.head(branch).unwrap().unwrap();
        scene.world.wait_ready(branch, &revision).await;
    }
    let mut alive = scene.world.alive().await;
    assert_eq!(alive.len(), BRANCHES.len());

    // The GitHost goes: nobody can say any more which branches exist, so none is missing.
    scene.world.git_hosts().delete("git", &DeleteParams::default()).await.unwrap();
    scene
        .world
        .wait_for_project("shop", "that misses its GitHost", misses_its_git_host)
        .await;
    scene.repository.delete_branches(&["a", "b"]).unwrap();
    one_goes(&scene, "a", &mut alive).await;

    // The Project becomes invalid.
    scene.change_project(json!({ "branches": { "include": ["feature/["] } })).await;
    let invalid = |status: &ProjectStatus| status.message.as_deref().is_some_and(|told| told.contains("spec.branches.include"));
    scene.world.wait_for_project("shop", "that is invalid", invalid).await;
    all_tell(&scene, &alive, "spec.branches.include").await;
    one_goes(&scene, "c", &mut alive).await;

    // The Project goes.
    scene.world.projects().delete("shop", &DeleteParams::default()).await.unwrap();
    all_tell(&scene, &alive, "Project shop does not exist").await;
    one_goes(&scene, "d", &mut alive).await;

    // Both come back as they were: what lives is taken over, and what is gone meanwhile is found out.
    let repository = repository_name(&scene.repository);
    scene.world.git_host("git", &scene.repository).await;
    let spec = without_main(json!({ "bundle": { "name": "app" }, "branches": { "exclude": ["main", "c", "d"] } }));
    scene.world.project_at("git", "shop", &repository, spec).await;
    scene.world.wait_gone("b").await;
    alive.remove("shop/b");
    all_tell(&scene, &alive, "everything is applied and ready").await;
    assert_eq!(scene.world.alive().await, alive);
}
