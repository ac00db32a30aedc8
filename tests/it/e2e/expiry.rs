//! Environments that end while their branch is there: by their age, and with their pull request.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::Environment;
use graftling::api::project::{EndedReason, ProjectStatus};
use graftling::cluster::environments::{Retired, retire};
use graftling::domain::removal::{Cause, Reason};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use testbed::github::{FakeGithub, OpenPullRequest};
use testbed::{Repository, wait};

use super::scene::{CONFIG, Scene};
use crate::world::{LONG, World, without_main};

/// Waits until two further listings of the repository were told: whatever a sweep does with a branch, it has done by then.
async fn two_sweeps(world: &World) {
    let position = world.plane.audit().position();
    wait::until("two readings of the clock", LONG, || async {
        let events = world.plane.audit().since(position);
        let readings = events
            .iter()
            .filter(|event| event.uri == "/version" && event.user == world.server_user());
        readings.count() >= 2
    })
    .await;
}

async fn status(world: &World, what: &str, holds: impl Fn(&ProjectStatus) -> bool) -> ProjectStatus {
    world.wait_for_project("shop", what, holds).await
}

fn skipped(status: &ProjectStatus, branch: &str) -> Option<String> {
    let skipped = status.skipped.iter().find(|skipped| skipped.branch == branch);
    skipped.map(|skipped| skipped.reason.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_l1_what_nobody_used_for_its_ttl_goes_does_not_come_back_by_itself_and_does_with_a_push() {
    let mut scene = Scene::with("ttl", CONFIG, json!({ "lifecycle": { "ttl": "12h" } }), &[]).await;
    let idle = scene.up("idle").await;
    let used = scene.up("used").await;
    let told = idle.status.clone().unwrap();
    let hours = told
        .expires_at
        .unwrap()
        .0
        .duration_since(idle.creation_timestamp().unwrap().0)
        .as_hours();
    assert_eq!(hours, 12);
    assert!(told.message.unwrap().contains("expires at"), "the message tells the deadline");
    // Somebody wants to keep the other one for longer.
    let extended: Timestamp = Timestamp::now() + jiff::SignedDuration::from_hours(1000);
    let patch = json!({ "metadata": { "annotations": { "graftling.dev/extended-at": extended.to_string() } } });
    let api = scene.world.environments();
    api.patch(&used.name_any(), &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    scene
        .world
        .wait_until("used", "that expires later", |environment| {
            let expires = environment.status.as_ref().and_then(|status| status.expires_at.clone());
            expires.is_some_and(|expires| expires.0 > extended)
        })
        .await;

    scene.change_project(json!({ "lifecycle": { "ttl": "1s" } })).await;
    scene.world.wait_gone("idle").await;
    let receipt: Value = serde_saphyr::from_str(&scene.world.receipt(&idle).await).unwrap();
    let because = receipt["because"].as_str().unwrap();
    assert!(
        because.starts_with("nothing happened to branch idle for") && because.ends_with("is 1s"),
        "{because}"
    );
    assert_eq!(receipt["left"], json!([]));
    let reason = "its environment has expired; push to bring it back";
    let tells = |status: &ProjectStatus| skipped(status, "idle").is_some_and(|told| told == reason);
    let remembered = status(&scene.world, "that tells what expired", tells).await;
    assert_eq!(remembered.ended.len(), 1);
    assert_eq!(
        (remembered.ended[0].revision.as_str(), remembered.ended[0].reason),
        (idle.spec.revision.as_str(), EndedReason::Expired)
    );

    // Neither a hint that repeats an old push, nor another server brings it back.
    scene.hint("idle").await;
    scene.world.server = None;
    scene.world.start_server().await;
    two_sweeps(&scene.world).await;
    assert!(scene.world.environment("idle").await.is_none());
    assert_eq!(scene.world.environment("used").await.unwrap().uid(), used.uid());

    scene.change_project(json!({ "lifecycle": { "ttl": "12h" } })).await;
    let back = scene.up("idle").await;
    assert_ne!(back.uid(), idle.uid());
    status(&scene.world, "that has forgotten", |status| {
        status.ended.is_empty() && skipped(status, "idle").is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f50_an_environment_that_was_refreshed_after_it_was_read_is_not_deleted() {
    let scene = Scene::start("overtaken", CONFIG).await;
    let read = scene.up("feature/a").await;
    let moved = scene.up("feature/a").await;
    assert_eq!(moved.uid(), read.uid());
    let reason = Reason::new(Cause::Expired, "nothing happened");
    let client = scene.world.client.clone();
    let overtaken = retire(client.clone(), &read, &reason, Timestamp::now()).await.unwrap();
    assert_eq!(overtaken, Retired::Overtaken);
    let now = scene.world.environment("feature/a").await.unwrap();
    assert_eq!((now.metadata.deletion_timestamp.as_ref(), now.uid()), (None, read.uid()));
    assert!(!now.annotations().contains_key("graftling.dev/removal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ttl_that_would_end_many_at_once_is_held_until_somebody_releases_it() {
    let scene = Scene::start("mass", CONFIG).await;
    let branches = ["a", "b", "c", "d"];
    for branch in branches {
        scene.push(branch);
    }
    for branch in branches {
        let revision = scene.repository.head(branch).unwrap().unwrap();
        scene.world.wait_ready(branch, &revision).await;
    }
    // One that became ready a moment ago would expire a moment later than the others.
    wait::until("all of them to be idle for a while", LONG, || async {
        let all = scene.world.environments().list(&Default::default()).await.unwrap().items;
        let runs = all.iter().filter_map(|environment| environment.status.as_ref()?.history.first());
        let idle = runs.filter(|run| Timestamp::now().duration_since(run.at.0).as_secs() > 2);
        idle.count() == branches.len()
    })
    .await;
    scene.change_project(json!({ "lifecycle": { "ttl": "1s" } })).await;
    let braked = status(&scene.world, "that is braked", |status| {
        status.brake.as_ref().is_some_and(|brake| brake.count == 4)
    })
    .await;
    assert_eq!((scene.world.alive().await.len(), braked.ended.len()), (4, 0));
    let digest = braked.brake.unwrap().digest;
    scene.world.annotate_project("shop", "graftling.dev/release-brake", &digest).await;
    for branch in branches {
        scene.world.wait_gone(branch).await;
    }
    let ended = status(&scene.world, "that remembers four", |status| status.ended.len() == 4).await;
    assert!(ended.brake.is_none());
}

/// A Project at a stand-in for GitHub that ends environments with their pull requests.
async fn on_close(name: &str) -> (World, FakeGithub, Repository) {
    let world = World::start(name).await;
    let (fake, repository) = (FakeGithub::start().await.unwrap(), Repository::create().unwrap());
    fake.add_repository("acme", "shop", 7, &repository.path(), "main");
    world.github_host("hub", &fake).await;
    let spec = without_main(json!({ "pullRequests": { "onClose": "Teardown" } }));
    world.project_at("hub", "shop", "acme/shop", spec).await;
    (world, fake, repository)
}

fn open(fake: &FakeGithub, numbers: &[(u64, &str)]) {
    let pulls = numbers.iter().map(|(number, head)| OpenPullRequest {
        number: *number,
        head: (*head).to_owned(),
        head_repository: Some(7),
        head_owner: "acme".to_owned(),
        labels: Vec::new(),
    });
    fake.set_pull_requests(7, pulls.collect());
}

async fn with_pull_request(world: &World, branch: &str, revision: &str, number: i64) -> Environment {
    world.wait_ready(branch, revision).await;
    let names = |environment: &Environment| environment.spec.pull_request.as_ref().is_some_and(|pull| pull.number == number);
    world.wait_until(branch, "with its pull request", names).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pull_request_ends_its_environment_and_reopening_or_a_push_brings_it_back() {
    let (world, fake, repository) = on_close("closed").await;
    open(&fake, &[(7, "feature/a")]);
    let pushed = repository
        .push_many(&[("feature/a", &[("a", "1")]), ("feature/b", &[("b", "1")])])
        .unwrap();
    let first = with_pull_request(&world, "feature/a", &pushed[0], 7).await;
    let other = world.wait_ready("feature/b", &pushed[1]).await;

    open(&fake, &[]);
    world.wait_gone("feature/a").await;
    let receipt = world.receipt(&first).await;
    assert!(receipt.contains("pull request 7 of branch feature/a is open no more"), "{receipt}");
    let tells = |status: &ProjectStatus| skipped(status, "feature/a").is_some_and(|told| told.contains("pull request was closed"));
    let told = status(&world, "that tells why", tells).await;
    assert_eq!(told.ended[0].reason, EndedReason::PullRequestClosed);

    open(&fake, &[(7, "feature/a")]);
    let reopened = with_pull_request(&world, "feature/a", &pushed[0], 7).await;
    assert_ne!(reopened.uid(), first.uid());

    open(&fake, &[]);
    world.wait_gone("feature/a").await;
    let moved = repository.commit("feature/a", &[("a", "2")]).unwrap();
    let back = world.wait_ready("feature/a", &moved).await;
    // It has no pull request, so none can be closed.
    assert_eq!(back.spec.pull_request, None);
    let still = world.environment("feature/b").await.unwrap();
    assert_eq!(still.uid(), other.uid(), "what never had a pull request is not concerned");
}

#[tokio::test(flavor = "multi_thread")]
async fn f67_merged_and_deleted_in_either_order_is_one_teardown() {
    let (world, fake, repository) = on_close("merged").await;
    let branches = ["merged/first", "deleted/first"];
    open(&fake, &[(7, branches[0]), (8, branches[1])]);
    let pushed = repository
        .push_many(&[(branches[0], &[("a", "1")]), (branches[1], &[("b", "1")])])
        .unwrap();
    let merged = with_pull_request(&world, branches[0], &pushed[0], 7).await;
    let deleted = with_pull_request(&world, branches[1], &pushed[1], 8).await;
    let position = world.plane.audit().position();
    open(&fake, &[(8, branches[1])]);
    repository.delete_branches(&[branches[1]]).unwrap();
    for (branch, environment) in [(branches[0], &merged), (branches[1], &deleted)] {
        world
            .wait_until(branch, "that is going", |environment| {
                environment.metadata.deletion_timestamp.is_some()
            })
            .await;
        assert_eq!(world.environment(branch).await.unwrap().uid(), environment.uid());
    }
    open(&fake, &[]);
    repository.delete_branches(&[branches[0]]).unwrap();
    for branch in branches {
        world.wait_gone(branch).await;
    }
    status(&world, "that remembers nothing", |status| status.ended.is_empty()).await;
    let receipts: Vec<_> = [&merged, &deleted].into_iter().collect();
    assert!(world.receipt(receipts[0]).await.contains("pull request 7 of branch merged/first"));
    assert!(world.receipt(receipts[1]).await.contains("branch deleted/first is gone"));
    for environment in receipts {
        let of = |event: &&testbed::AuditEvent| {
            event.verb == "delete" && event.resource == "environments" && event.name == environment.name_any()
        };
        let deletions = world.writes_since(position);
        assert_eq!(deletions.iter().filter(of).count(), 1, "{deletions:#?}");
    }
    let api: Api<Environment> = world.environments();
    assert!(api.list(&Default::default()).await.unwrap().items.is_empty());
}
