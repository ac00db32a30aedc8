//! Several replicas: one leads, all listen, and the lead passes on whether it is given back or lost.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::{Duration, Instant};

use serde_json::json;
use testbed::{Repository, wait};

use crate::world::{LONG, Options, Server, World, repository_name, without_main};

/// The Lease of a leader that died is good for 15 seconds.
const SUCCESSION: Duration = Duration::from_secs(30);

/// A leader that ends in order gives the Lease back.
const HANDOVER: Duration = Duration::from_secs(10);

pub async fn replica(world: &World, name: &str) -> Server {
    let namespace = format!("--lease-namespace={}", world.namespace.name());
    let lease = format!("--lease-name={}", world.release);
    world.another_server(name, &["--leader-elect", &namespace, &lease]).await
}

pub async fn leads(server: &Server) {
    server
        .running
        .wait_for_line("that it leads", LONG, |line| line.contains("leading"))
        .await
        .unwrap();
}

fn has_said(server: &Server, words: &str) -> bool {
    server.running.lines().iter().any(|line| line.contains(words))
}

/// Pushes a branch and tells `world.server` of it.
async fn push(world: &World, repository: &Repository, branch: &str) -> String {
    let revision = repository.commit(branch, &[("a", "1")]).unwrap();
    tell(world, repository, branch, &revision).await;
    revision
}

async fn tell(world: &World, repository: &Repository, branch: &str, after: &str) {
    let reference = format!("refs/heads/{branch}");
    wait::until("an open endpoint", LONG, || async {
        let answer = world
            .hint("git", &repository_name(repository), &reference, &"1".repeat(40), after)
            .await;
        answer.status == 202
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_h1_the_followers_hints_reach_the_leader_and_a_follower_succeeds_it() {
    let options = Options {
        sweep_interval: "1h",
        absence_confirmation: "1h",
        chart_values: vec!["leaderElection.enabled=true".to_owned()],
        ..Options::default()
    };
    let mut world = World::without_server("replicas", options).await;
    let first = replica(&world, "first").await;
    leads(&first).await;
    let second = replica(&world, "second").await;
    let repository = Repository::create().unwrap();
    world.server = Some(second);
    world.project("shop", &repository, without_main(json!({}))).await;
    world.first_look().await;

    // The follower hears of the push, and the leader acts.
    let a = push(&world, &repository, "feature/a").await;
    world.wait_ready("feature/a", &a).await;
    let b = push(&world, &repository, "feature/b").await;
    world.wait_ready("feature/b", &b).await;
    assert!(has_said(&first, "environment wanted"));
    assert!(!has_said(world.server(), "environment wanted") && !has_said(world.server(), "leading"));

    // The leader dies without a word. What is pushed meanwhile waits for the successor.
    first.running.kill_hard().await.unwrap();
    let died = Instant::now();
    let c = push(&world, &repository, "feature/c").await;
    world.wait_ready("feature/c", &c).await;
    assert!(died.elapsed() < SUCCESSION, "{:?}", died.elapsed());

    // The second ends in order: the third leads at once, and knows what a deletion is about.
    let third = replica(&world, "third").await;
    let second = world.server.replace(third).unwrap();
    assert!(second.running.terminate(LONG).await.unwrap().success());
    let ended = Instant::now();
    leads(world.server()).await;
    assert!(ended.elapsed() < HANDOVER, "{:?}", ended.elapsed());
    repository.delete_branches(&["feature/a"]).unwrap();
    tell(&world, &repository, "feature/a", &"0".repeat(40)).await;
    world.wait_gone("feature/a").await;
    assert_eq!(
        world.alive().await.into_keys().collect::<Vec<_>>(),
        ["shop/feature/b", "shop/feature/c"]
    );
}
