//! Replicas that do not agree on what time it is.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeMap;
use std::time::Instant;

use graftling::api::Environment;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};
use serde_json::json;
use testbed::clock::WallClock;
use testbed::wait;

use super::{Replica, SUCCESSION, Stage, several_sweeps};
use crate::world::{LONG, World, repository_name};

const FIVE_MINUTES: i64 = 5 * 60;
const DAY: i64 = 24 * 60 * 60;

async fn transitions(world: &World) -> i32 {
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), world.namespace.name());
    let spec = leases.get(&world.release).await.unwrap().spec.unwrap();
    spec.lease_transitions.unwrap()
}

/// Tells both replicas of a branch, as a host with two hooks would.
async fn tell(stage: &mut Stage, replicas: [&mut Option<Replica>; 2], branch: &str, after: &str) {
    for replica in replicas {
        let Replica { server, proxy } = replica.take().unwrap();
        stage.world.server = Some(server);
        let name = repository_name(&stage.repository);
        let reference = format!("refs/heads/{branch}");
        wait::until("an open endpoint", LONG, || async {
            let answer = stage.world.hint("git", &name, &reference, &"1".repeat(40), after).await;
            answer.status == 202
        })
        .await;
        let server = stage.world.server.take().unwrap();
        *replica = Some(Replica { server, proxy });
    }
}

/// How often each object was deleted with success, in the namespaces of these environments and of the Environments themselves.
fn deletions(replicas: [&Replica; 2], environments: &[Environment]) -> BTreeMap<String, usize> {
    let of_environments = |namespace: &str, name: &str| environments.iter().any(|one| [namespace, name].contains(&one.name_any().as_str()));
    let mut counts = BTreeMap::new();
    for exchange in replicas.iter().flat_map(|replica| replica.writes_since(0)) {
        let request = &exchange.request;
        let is_done = exchange.upstream.is_some_and(|code| code < 300);
        if request.verb == "delete" && is_done && of_environments(&request.namespace, &request.name) {
            *counts
                .entry(format!("{}/{}/{}", request.resource, request.namespace, request.name))
                .or_default() += 1;
        }
    }
    counts
}

/// Two replicas from the beginning, of which the follower's clock is off: one leads all along, and when it dies the other does.
async fn no_fight(name: &str, off: i64) {
    let mut stage = Stage::set(name).await;
    let clock = WallClock::off_by(off).unwrap();
    let mut first = Some(stage.leader("first", None).await);
    let mut second = Some(stage.replica("second", Some(&clock)).await);
    stage.project(json!({})).await;
    let mut environments = Vec::new();
    for branch in ["a", "b"] {
        let revision = stage.push(branch, "1");
        tell(&mut stage, [&mut second, &mut first], branch, &revision).await;
        environments.push(stage.world.wait_ready(branch, &revision).await);
    }
    stage.repository.delete_branches(&["a"]).unwrap();
    tell(&mut stage, [&mut first, &mut second], "a", &"0".repeat(40)).await;
    stage.world.wait_gone("a").await;

    let (Some(first), Some(second)) = (first, second) else {
        unreachable!()
    };
    assert_eq!(transitions(&stage.world).await, 1, "nobody took the Lease away");
    assert!(first.server.running.exited().is_none() && !second.has_led());
    let by_follower: Vec<_> = second
        .writes_since(0)
        .into_iter()
        .filter(|write| write.request.resource != "projects")
        .collect();
    assert!(
        by_follower.is_empty(),
        "S6: a follower passes hints on and writes nothing else: {by_follower:#?}"
    );
    first.server.running.kill_hard().await.unwrap();
    let died = Instant::now();
    stage.repository.delete_branches(&["b"]).unwrap();
    stage.world.wait_gone("b").await;
    assert!(second.has_led() && died.elapsed() < SUCCESSION, "{:?}", died.elapsed());
    let deleted = deletions([&first, &second], &environments);
    assert!(
        deleted.len() > 2 && deleted.values().all(|count| *count == 1),
        "no double deletion: {deleted:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f08_two_replicas_whose_clocks_differ_by_five_minutes_do_not_fight_over_the_lead() {
    futures::join!(no_fight("clock-ahead", FIVE_MINUTES), no_fight("clock-behind", -FIVE_MINUTES));
}

/// The jumps of a leader's clock, each of a day or more from the one before.
const JUMPS: [i64; 3] = [DAY, -DAY, DAY];

#[tokio::test(flavor = "multi_thread")]
async fn f84_a_leader_whose_clock_jumps_by_days_ends_nothing_early_and_keeps_the_lead_for_as_long_as_it_lives() {
    let mut stage = Stage::set("clock-jumps").await;
    let clock = WallClock::right().unwrap();
    let first = stage.leader("first", Some(&clock)).await;
    let second = stage.replica("second", None).await;
    let Replica { server, proxy: _proxy } = first;
    stage.world.server = Some(server);
    stage
        .project(json!({ "lifecycle": { "ttl": "1h", "graceAfterDelete": "1h" } }))
        .await;
    for branch in ["a", "b", "rests"] {
        let revision = stage.push(branch, "0");
        stage.world.wait_ready(branch, &revision).await;
    }
    stage.repository.delete_branches(&["rests"]).unwrap();
    let is_resting = |environment: &Environment| environment.spec.grace.is_some();
    stage.world.wait_until("rests", "at rest", is_resting).await;
    let alive = stage.world.alive().await;

    for (number, jump) in JUMPS.into_iter().enumerate() {
        clock.jump_to(jump).unwrap();
        several_sweeps(&stage.world).await;
        let revision = stage.push("a", &format!("after {number}"));
        stage.world.wait_ready("a", &revision).await;
        assert_eq!(stage.world.alive().await, alive, "nothing expired and no rest is over, at {jump}");
        assert_eq!(transitions(&stage.world).await, 1, "the Lease was renewed all along, at {jump}");
    }
    let woken = stage.world.environment("b").await.unwrap();
    assert!(woken.spec.grace.is_none() && woken.metadata.deletion_timestamp.is_none());

    // The Lease says that it was renewed tomorrow. That keeps nobody from taking it when its holder is gone.
    let server = stage.world.server.take().unwrap();
    server.running.kill_hard().await.unwrap();
    let died = Instant::now();
    let revision = stage.push("b", "by the second");
    stage.world.wait_ready("b", &revision).await;
    assert!(second.has_led() && died.elapsed() < SUCCESSION, "{:?}", died.elapsed());
    assert_eq!(stage.world.alive().await, alive);
    let status = stage.world.environment("b").await.unwrap().status.unwrap();
    let newest = status
        .conditions
        .iter()
        .map(|condition| condition.last_transition_time.0)
        .max()
        .unwrap();
    let apart = newest.duration_since(Timestamp::now()).abs();
    assert!(
        apart < SignedDuration::from_hours(25),
        "times are those of the clocks, and no further off: {newest}"
    );
}
