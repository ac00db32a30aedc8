//! Branches that come back while their environment is still being torn down.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::Phase;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use testbed::{AuditEvent, Repository, wait};

use super::crash::{deployed, ended};
use crate::world::{LONG, Options, World, receipt_name, repository_name};

/// Deletes a branch and tells the server.
async fn delete(world: &World, repository: &Repository, branch: &str) {
    let before = repository.head(branch).unwrap().unwrap();
    repository.delete_branches(&[branch]).unwrap();
    tell(world, repository, branch, &before, &"0".repeat(40)).await;
}

/// Pushes a commit to a branch and tells the server.
async fn push(world: &World, repository: &Repository, branch: &str, content: &str) -> String {
    let revision = repository.commit(branch, &[("content", content)]).unwrap();
    tell(world, repository, branch, &"0".repeat(40), &revision).await;
    revision
}

async fn tell(world: &World, repository: &Repository, branch: &str, before: &str, after: &str) {
    let reference = format!("refs/heads/{branch}");
    let answer = world.hint("git", &repository_name(repository), &reference, before, after).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
}

async fn endpoint_is_open(world: &World) {
    world
        .wait_for_host("git", "with an endpoint", |status| status.webhook_path.is_some())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f33_f68_feature_x8_a_branch_that_comes_back_at_once_gets_a_fresh_environment() {
    let (world, repository) = World::shop("back", Options::default(), json!({})).await;
    endpoint_is_open(&world).await;
    let first = push(&world, &repository, "feature/a", "1").await;
    let old = world.wait_ready("feature/a", &first).await;
    let name = old.name_any();
    let old_namespace = world.namespace_uid(&name).await.unwrap();

    let position = world.plane.audit().position();
    delete(&world, &repository, "feature/a").await;
    world
        .wait_until("feature/a", "being torn down", |environment| {
            environment.metadata.deletion_timestamp.is_some()
        })
        .await;
    let second = push(&world, &repository, "feature/a", "2").await;
    let new = wait::until("a fresh environment", LONG, || async {
        let environment = world.environment("feature/a").await.ok_or("no Environment".to_owned())?;
        let phase = environment.status.as_ref().and_then(|status| status.phase);
        let fresh = environment.uid() != old.uid() && phase == Some(Phase::Ready);
        if fresh { Ok(environment) } else { Err(format!("{phase:?}")) }
    })
    .await;
    assert_eq!((new.name_any(), new.spec.revision.as_str()), (name.clone(), second.as_str()));
    assert_ne!(world.namespace_uid(&name).await.unwrap(), old_namespace);

    let events = world.writes_since(position);
    let of_namespace = |event: &AuditEvent| event.resource == "namespaces" && event.name == name;
    let deleted = events
        .iter()
        .position(|event| of_namespace(event) && event.verb == "delete")
        .unwrap();
    let created = events
        .iter()
        .rposition(|event| of_namespace(event) && event.verb == "patch")
        .unwrap();
    assert!(deleted < created);
    let between: Vec<_> = events[deleted + 1..created]
        .iter()
        .filter(|event| event.namespace == name)
        .collect();
    assert!(
        between.is_empty(),
        "nothing may be written into a namespace that is ending: {between:#?}"
    );
    let receipt = world.receipt(&old).await;
    assert!(receipt.contains("left: []"), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f34_a_branch_that_goes_and_comes_twenty_times_ends_as_its_last_revision() {
    let (world, repository) = World::shop("flapping", Options::default(), json!({})).await;
    endpoint_is_open(&world).await;
    let mut last = push(&world, &repository, "feature/a", "0").await;
    let first = world.wait_ready("feature/a", &last).await;
    for round in 1..=20 {
        delete(&world, &repository, "feature/a").await;
        last = push(&world, &repository, "feature/a", &round.to_string()).await;
    }
    // Whether a deletion was seen in time or not, nobody may be left behind, and both ends must agree.
    let marker = push(&world, &repository, "marker", "1").await;
    world.wait_ready("marker", &marker).await;
    let environment = world.wait_ready("feature/a", &last).await;
    let settled = wait::until("a settled environment", LONG, || async {
        let now = world.environment("feature/a").await?;
        let ready = now.status.as_ref()?.phase == Some(Phase::Ready);
        (ready && now.metadata.deletion_timestamp.is_none() && now.spec.revision == last).then_some(now)
    })
    .await;
    assert_eq!(settled.name_any(), environment.name_any());
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.client.clone());
    let selector = format!("graftling.dev/project-namespace={}", world.namespace.name());
    let of_world = namespaces.list(&ListParams::default().labels(&selector)).await.unwrap().items;
    assert_eq!(of_world.len(), 2, "one namespace for each branch");
    let namespace = namespaces.get(&settled.name_any()).await.unwrap();
    assert_eq!(namespace.annotations()["graftling.dev/environment-uid"], settled.uid().unwrap());
    assert_eq!(first.name_any(), settled.name_any());
}

/// The branch comes back once its old environment has come so far; the fresh one has nothing of it.
async fn comes_back(world: &World, repository: &Repository, branch: &str, moment: &str) {
    let first = push(world, repository, branch, "1").await;
    let old = world.wait_ready(branch, &first).await;
    let name = old.name_any();
    let position = world.plane.audit().position();
    delete(world, repository, branch).await;
    match moment {
        "Receipt" => {
            wait::until(format!("the receipt of {branch}"), LONG, || async {
                let events = world.writes_since(position);
                let is_receipt = |event: &AuditEvent| event.resource == "configmaps" && event.name == receipt_name(&old);
                events.iter().any(is_receipt).then_some(())
            })
            .await;
        }
        kind => {
            wait::until(format!("the end of the {kind} of {branch}"), LONG, || {
                ended(world, branch, &name, kind)
            })
            .await
        }
    }
    let second = push(world, repository, branch, "2").await;
    let new = wait::until(format!("a fresh environment of {branch}"), LONG, || async {
        let environment = world.environment(branch).await.ok_or("no Environment".to_owned())?;
        let phase = environment.status.as_ref().and_then(|status| status.phase);
        let fresh = environment.uid() != old.uid() && phase == Some(Phase::Ready);
        if fresh { Ok(environment) } else { Err(format!("{phase:?}")) }
    })
    .await;
    assert_eq!((new.name_any(), new.spec.revision.as_str()), (name.clone(), second.as_str()));
    let recorded = |environment: &graftling::api::Environment| -> Vec<String> {
        let status = environment.status.as_ref().unwrap();
        status.inventory.entries().iter().map(|entry| entry.uid.clone().unwrap()).collect()
    };
    let (before, after) = (recorded(&old), recorded(&new));
    assert!(
        after.len() == before.len() && !after.iter().any(|uid| before.contains(uid)),
        "{moment}"
    );
    let events = world.writes_since(position);
    let of_namespace = |event: &&AuditEvent| event.resource == "namespaces" && event.name == name && event.code < 300;
    let at = |verb: &str| {
        events
            .iter()
            .filter(of_namespace)
            .find(|event| event.verb == verb)
            .unwrap()
            .request_received
    };
    let (gone, made) = (at("delete"), at("patch"));
    let between: Vec<_> = events
        .iter()
        .filter(|event| event.namespace == name && event.request_received > gone && event.request_received < made)
        .collect();
    assert!(
        between.is_empty(),
        "nothing may be written into a namespace that is ending: {between:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f33_feature_x8_at_whatever_moment_of_the_teardown_a_branch_comes_back_it_gets_a_fresh_environment() {
    let (world, repository) = World::shop("moments", Options::default(), json!({})).await;
    endpoint_is_open(&world).await;
    for (branch, moment) in [("drained", "Deployment"), ("ending", "Namespace"), ("proven", "Receipt")] {
        comes_back(&world, &repository, branch, moment).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f35_a_deletion_in_the_middle_of_a_creation_leaves_nothing() {
    let (world, repository) = World::shop("midway", Options::default(), json!({})).await;
    endpoint_is_open(&world).await;
    for kind in ["Environment", "Namespace", "RoleBinding", "Deployment"] {
        let branch = kind.to_lowercase();
        push(&world, &repository, &branch, "1").await;
        wait::until(format!("{kind} of {branch}"), LONG, || deployed(&world, &branch, kind)).await;
        let environment = world.environment(&branch).await.unwrap();
        delete(&world, &repository, &branch).await;
        world.wait_gone(&branch).await;
        assert!(!world.namespace_exists(&environment.name_any()).await, "{kind}");
        let receipt = world.receipt(&environment).await;
        assert!(receipt.contains("left: []"), "{kind}: {receipt}");
    }
}
