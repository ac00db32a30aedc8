//! Many environments that end at once, and somebody who pushes meanwhile.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Instant;

use graftling::api::environment::Phase;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use testbed::Repository;
use testbed::wait;

use super::scene::{CONFIG, write_bundle};
use crate::world::{LONG, Options, World, without_main};

const MANY: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn f48_a_push_is_ready_while_many_branches_that_were_merged_at_once_are_still_going() {
    let bundles = tempfile::tempdir().unwrap();
    write_bundle(bundles.path().join("app"), CONFIG);
    // Few places, so that those who wait would be seen to wait.
    let options = Options {
        bundles: bundles.path().to_owned(),
        arguments: vec!["--concurrency=2".to_owned()],
        ..Options::default()
    };
    let world = World::with("burst", options).await;
    let repository = Repository::create().unwrap();
    let spec = without_main(json!({ "bundle": { "name": "app" } }));
    world.project("shop", &repository, spec).await;
    let branches: Vec<_> = (0..MANY).map(|number| format!("merged/{number}")).collect();
    let commits: Vec<_> = branches.iter().map(|branch| (branch.as_str(), &[][..])).collect();
    let revisions = repository.push_many(&commits).unwrap();
    for (branch, revision) in branches.iter().zip(&revisions) {
        world.wait_for(branch, Phase::Ready, revision).await;
    }
    let quiet = push(&world, &repository, "quiet").await;

    let names: Vec<&str> = branches.iter().map(String::as_str).collect();
    repository.delete_branches(&names).unwrap();
    let braked = world
        .wait_for_project("shop", "that holds them all", |status| {
            status.brake.as_ref().is_some_and(|brake| brake.count as usize == MANY)
        })
        .await;
    let digest = braked.brake.unwrap().digest;
    world.annotate_project("shop", "graftling.dev/release-brake", &digest).await;
    wait::until("all of them to be going", LONG, || async {
        let all = world.environments().list(&ListParams::default()).await.unwrap().items;
        let going = all.iter().filter(|environment| environment.metadata.deletion_timestamp.is_some());
        (going.count() + 1 >= all.len()).then_some(())
    })
    .await;
    let begin = Instant::now();
    let busy = push(&world, &repository, "busy").await;
    let left = going(&world).await;
    assert!(left > MANY / 2, "the push waited for teardowns: only {left} are left");
    for branch in &branches {
        world.wait_gone(branch).await;
    }
    println!(
        "a push: {quiet:.1} s when it is quiet, {busy:.1} s during {MANY} teardowns ({:.1} x); {left} of them were left then; all gone after {:.1} s",
        busy / quiet,
        begin.elapsed().as_secs_f64()
    );
}

/// Seconds from a push to its environment being ready.
async fn push(world: &World, repository: &Repository, branch: &str) -> f64 {
    let begin = Instant::now();
    let revision = repository.commit(branch, &[]).unwrap();
    world.wait_for(branch, Phase::Ready, &revision).await;
    begin.elapsed().as_secs_f64()
}

async fn going(world: &World) -> usize {
    let all = world.environments().list(&ListParams::default()).await.unwrap().items;
    let names: Vec<_> = all
        .iter()
        .filter(|environment| environment.metadata.deletion_timestamp.is_some())
        .map(ResourceExt::name_any)
        .collect();
    names.len()
}
