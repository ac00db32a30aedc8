//! What an environment costs the API server, counted by its own audit log.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeSet;
use std::time::Duration;

use graftling::api::environment::Phase;
use serde_json::json;
use testbed::contest::processes::parse_memory;
use testbed::{AuditEvent, Position, Repository, wait};

use crate::world::{LONG, Options, World, repository_name};

/// Everything that the server asked for since `position`, as itself or as a deployer; leases aside.
fn requests(world: &World, position: Position) -> Vec<AuditEvent> {
    let user = world.server_user();
    let events = world.plane.audit().since(position);
    events
        .into_iter()
        .filter(|event| event.user == user && event.resource != "leases")
        .collect()
}

fn writes(events: &[AuditEvent]) -> Vec<String> {
    let write = |event: &&AuditEvent| event.is_write() && event.resource != "events";
    let name = |event: &AuditEvent| match event.subresource.as_str() {
        "" => format!("{} {}", event.verb, event.resource),
        subresource => format!("{} {}/{subresource}", event.verb, event.resource),
    };
    let mut names: Vec<_> = events.iter().filter(write).map(name).collect();
    names.sort();
    names
}

/// How many statuses of Environments were written, and within how many whole seconds.
fn statuses(events: &[AuditEvent]) -> (i64, i64) {
    let statuses = events
        .iter()
        .filter(|event| event.resource == "environments" && event.subresource == "status");
    let times: BTreeSet<_> = statuses.map(|event| event.request_received).collect();
    let between = times
        .first()
        .zip(times.last())
        .map(|(first, last)| last.duration_since(*first).as_secs());
    (times.len() as i64, between.unwrap_or_default())
}

fn patient() -> Options {
    Options {
        sweep_interval: "1h",
        absence_confirmation: "1h",
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_object_costs_one_write_and_a_repeated_delivery_none() {
    let world = World::with("figures", patient()).await;
    let repository = Repository::create().unwrap();
    repository.commit("main", &[("a", "1")]).unwrap();
    world
        .project("shop", &repository, json!({ "branches": { "include": ["feature/*"] } }))
        .await;
    wait::until("the first sweep", LONG, || async {
        world
            .projects()
            .get("shop")
            .await
            .unwrap()
            .status
            .is_some_and(|status| status.repository_id.is_some())
    })
    .await;

    let name = repository_name(&repository);
    let position = world.plane.audit().position();
    let first = repository.commit("feature/login", &[("a", "2")]).unwrap();
    let zero = testbed::webhook::github::NO_REVISION;
    assert_eq!(world.hint("git", &name, "refs/heads/feature/login", zero, &first).await.status, 202);
    world.wait_for("feature/login", Phase::Ready, &first).await;
    let created = requests(&world, position);
    println!("one new environment: {} requests, writes {:?}", created.len(), writes(&created));
    // The Environment, its namespace, five guardrails, the record of the run and four objects, each once.
    let of_objects = writes(&created).iter().filter(|write| !write.ends_with("/status")).count();
    assert_eq!(of_objects, 1 + 1 + 5 + 1 + 4, "{:?}", writes(&created));
    // One status ahead of the first object and one with the end; of what lies between, each second tells once.
    let (statuses, seconds) = statuses(&created);
    assert!((2..=2 + seconds).contains(&statuses), "{statuses} statuses in {seconds} s");

    let position = world.plane.audit().position();
    for _ in 0..10 {
        assert_eq!(world.hint("git", &name, "refs/heads/feature/login", zero, &first).await.status, 202);
    }
    let second = repository.commit("feature/other", &[("a", "3")]).unwrap();
    world.hint("git", &name, "refs/heads/feature/other", zero, &second).await;
    world.wait_for("feature/other", Phase::Ready, &second).await;
    let repeated: Vec<_> = requests(&world, position)
        .into_iter()
        .filter(|event| event.name.contains("feature-login") || event.namespace.contains("feature-login"))
        .collect();
    assert_eq!(writes(&repeated), Vec::<String>::new());

    let position = world.plane.audit().position();
    let third = repository.commit("feature/login", &[("a", "4")]).unwrap();
    world.hint("git", &name, "refs/heads/feature/login", &first, &third).await;
    world.wait_for("feature/login", Phase::Ready, &third).await;
    let changed = requests(&world, position);
    println!("one changed object: {} requests, writes {:?}", changed.len(), writes(&changed));
    let objects: Vec<_> = writes(&changed).into_iter().filter(|write| !write.ends_with("/status")).collect();
    assert_eq!(objects, ["patch deployments", "patch environments", "patch secrets"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_quiet_environments_cost_at_most_a_request_a_second() {
    let world = World::with("fifty", patient()).await;
    let repository = Repository::create().unwrap();
    let before = resident_kib(&world);
    let branches: Vec<String> = (0..50).map(|number| format!("feature/{number}")).collect();
    let files = [("a", "1")];
    let pushes: Vec<_> = branches.iter().map(|branch| (branch.as_str(), &files[..])).collect();
    let revisions = repository.push_many(&pushes).unwrap();
    world
        .project("shop", &repository, json!({ "branches": { "include": ["feature/*"] } }))
        .await;
    for (branch, revision) in branches.iter().zip(&revisions) {
        world.wait_for(branch, Phase::Ready, revision).await;
    }
    // Quiet begins when the last thing that a pod's start causes is over.
    wait::until("quiet", LONG, || async {
        let position = world.plane.audit().position();
        tokio::time::sleep(Duration::from_secs(2)).await;
        requests(&world, position).is_empty()
    })
    .await;
    let seconds = 20;
    let position = world.plane.audit().position();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let idle = requests(&world, position);
    let after = resident_kib(&world);
    println!(
        "50 quiet environments: {} requests in {seconds} s; resident {before} KiB before, {after} KiB with them",
        idle.len()
    );
    assert!(idle.len() <= seconds as usize, "{:?}", writes(&idle));
    assert_eq!(writes(&idle), Vec::<String>::new());
}

pub(super) fn resident_kib(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.server().running.pid())).unwrap_or_default();
    parse_memory(&status, "VmRSS").unwrap_or_default()
}
