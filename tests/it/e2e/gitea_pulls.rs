//! Pull requests at a real Gitea: which of them get an environment, and what becomes of it.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::Environment;
use graftling::api::environment::{GraceState, Phase};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::gitea_scene::Forge;
use crate::world::Options;

fn by_label() -> Value {
    json!({ "pullRequests": { "policy": "PullRequests", "filters": { "labels": ["preview"], "drafts": "Ignore" } } })
}

fn run_of(environment: &Environment) -> Option<u64> {
    environment.status.as_ref()?.run.as_ref().map(|run| run.number)
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t5_a_label_on_a_pull_request_brings_an_environment_and_its_removal_ends_it_by_one_event_each() {
    let Some(forge) = Forge::start("pull-label", Options::without_sweeps(), by_label()).await else {
        return;
    };
    let world = &forge.world;
    let (preview, other) = (forge.label("preview").await, forge.label("size/S").await);
    let revision = forge.push("feature/a", "a", "1");
    let number = forge.open("feature/a", "A feature").await;
    // Whatever the push and the opening led to was decided before this environment was.
    forge.push("feature/b", "b", "1");
    let beside = forge.open("feature/b", "Beside").await;
    forge.put_label(beside, preview).await;
    world.wait_until("feature/b", "that is there", |_| true).await;
    assert_eq!(forge.uids().await.into_keys().collect::<Vec<_>>(), ["feature/b"]);

    forge.put_label(number, preview).await;
    let first = world.wait_ready("feature/a", &revision).await;
    forge.put_label(number, other).await;
    let bears = |environment: &Environment| environment.spec.pull_request.as_ref().is_some_and(|pull| pull.labels.len() == 2);
    world.wait_until("feature/a", "that bears both labels", bears).await;
    let seen = world
        .wait_until("feature/a", "whose change was looked at", |environment| {
            let status = environment.status.as_ref();
            status.is_some_and(|status| status.observed_generation == environment.metadata.generation && status.phase == Some(Phase::Ready))
        })
        .await;
    assert_eq!(
        (seen.uid(), run_of(&seen)),
        (first.uid(), run_of(&first)),
        "an unrelated label is no new run"
    );

    forge.take_label(number, preview).await;
    world.wait_gone("feature/a").await;
    let receipt = world.receipt(&first).await;
    assert!(receipt.contains("its pull request bears none of the labels"), "{receipt}");
    forge.put_label(number, preview).await;
    let again = world.wait_ready("feature/a", &revision).await;
    assert_ne!(again.uid(), first.uid());
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t6_feature_t2_a_draft_gets_an_environment_once_it_is_ready_and_a_merge_takes_it_away() {
    let mut project = by_label();
    project["pullRequests"]["filters"]["labels"] = json!([]);
    let Some(forge) = Forge::start("pull-draft", Options::without_sweeps(), project).await else {
        return;
    };
    let world = &forge.world;
    let revision = forge.push("feature/a", "a", "1");
    let number = forge.open("feature/a", "WIP: A feature").await;
    forge.push("feature/b", "b", "1");
    forge.open("feature/b", "Beside").await;
    world.wait_until("feature/b", "that is there", |_| true).await;
    assert!(world.environment("feature/a").await.is_none(), "a draft counts as none");
    let ready = json!({ "title": "A feature" });
    forge.ask("PATCH", &format!("/pulls/{number}"), ready).await;
    let environment = world.wait_ready("feature/a", &revision).await;
    forge.merge(number).await;
    world.wait_gone("feature/a").await;
    let receipt = world.receipt(&environment).await;
    assert!(receipt.contains("branch feature/a is gone"), "{receipt}");
    assert_eq!(forge.uids().await.into_keys().collect::<Vec<_>>(), ["feature/b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t4_a_closed_pull_request_lets_its_environment_sleep_until_it_is_reopened_or_pushed_to() {
    let project = json!({ "pullRequests": { "onClose": "Sleep" } });
    let Some(forge) = Forge::start("pull-sleep", Options::default(), project).await else {
        return;
    };
    let world = &forge.world;
    let first = forge.push("feature/a", "a", "1");
    let number = forge.open("feature/a", "A feature").await;
    world.wait_ready("feature/a", &first).await;
    let known = |environment: &Environment| environment.spec.pull_request.is_some();
    let before = world.wait_until("feature/a", "with its pull request", known).await;
    let sleeps = |environment: &Environment| {
        let marked = environment
            .spec
            .grace
            .as_ref()
            .is_some_and(|grace| grace.state == GraceState::Sleeping);
        let status = environment.status.as_ref();
        let message = status.and_then(|status| status.message.clone()).unwrap_or_default();
        marked && message.contains("pull request closed; it sleeps; push the branch, reopen the pull request")
    };

    forge.set_state(number, "closed").await;
    let asleep = world.wait_until("feature/a", "that sleeps", sleeps).await;
    assert_eq!(asleep.status.unwrap().phase, Some(Phase::Resting));
    forge.set_state(number, "open").await;
    let woken = world.wait_ready("feature/a", &first).await;
    assert_eq!((woken.uid(), woken.spec.grace), (before.uid(), None));

    forge.set_state(number, "closed").await;
    world.wait_until("feature/a", "that sleeps again", sleeps).await;
    let second = forge.push("feature/a", "a", "2");
    let pushed = world.wait_ready("feature/a", &second).await;
    assert_eq!((pushed.uid(), pushed.spec.grace), (before.uid(), None));
    forge.repository.delete_branches(&["feature/a"]).unwrap();
    world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f68_a_pull_request_that_is_reopened_during_the_teardown_gets_a_fresh_environment() {
    let project = json!({ "pullRequests": { "policy": "PullRequests", "onClose": "Teardown" } });
    let Some(forge) = Forge::start("pull-reopen", Options::default(), project).await else {
        return;
    };
    let world = &forge.world;
    let revision = forge.push("feature/a", "a", "1");
    let number = forge.open("feature/a", "A feature").await;
    let first = world.wait_ready("feature/a", &revision).await;
    forge.set_state(number, "closed").await;
    world
        .wait_until("feature/a", "that is going", |environment| {
            environment.metadata.deletion_timestamp.is_some() || environment.uid() != first.uid()
        })
        .await;
    forge.set_state(number, "open").await;
    let fresh = world
        .wait_until("feature/a", "that is another and ready", |environment| {
            let status = environment.status.as_ref();
            environment.uid() != first.uid() && status.is_some_and(|status| status.phase == Some(Phase::Ready))
        })
        .await;
    assert_eq!(fresh.spec.revision, revision);
    assert_eq!(forge.uids().await.len(), 1, "one branch has one environment");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t7_a_pull_request_that_changes_no_watched_path_gets_nothing_until_it_does() {
    let project = json!({ "pullRequests": { "policy": "PullRequests", "filters": { "paths": ["web/**"] } } });
    let Some(forge) = Forge::start("pull-paths", Options::default(), project).await else {
        return;
    };
    forge.push("feature/a", "api/a", "1");
    forge.open("feature/a", "A feature").await;
    forge
        .told("that tells why", |status| {
            let skipped = status.skipped.iter().find(|skipped| skipped.branch == "feature/a");
            skipped.is_some_and(|skipped| skipped.reason == "no watched path changed")
        })
        .await;
    assert!(forge.world.environment("feature/a").await.is_none());
    let second = forge.push("feature/a", "web/b", "1");
    forge.world.wait_ready("feature/a", &second).await;
}
