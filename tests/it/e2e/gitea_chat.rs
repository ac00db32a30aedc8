//! Orders by comments on a pull request, at a real Gitea.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::Environment;
use graftling::api::environment::Phase;
use graftling::api::project::EndedReason;
use kube::ResourceExt;
use serde_json::{Value, json};
use testbed::gitea::OWNER;

use super::gitea_scene::Forge;
use crate::world::Options;

const BRANCH: &str = "feature/a";

async fn say(forge: &Forge, token: &str, number: u64, body: &str) -> Value {
    let path = format!("/repos/{OWNER}/shop/issues/{number}/comments");
    forge.gitea.ask_as(token, "POST", &path, json!({ "body": body })).await
}

/// An environment of a branch with a pull request, whose number comes first.
async fn pulled(forge: &Forge) -> (u64, Environment, String) {
    let revision = forge.push(BRANCH, "a", "1");
    let number = forge.open(BRANCH, "A feature").await;
    forge.world.wait_ready(BRANCH, &revision).await;
    let known = |environment: &Environment| environment.spec.pull_request.is_some();
    let environment = forge.world.wait_until(BRANCH, "with its pull request", known).await;
    (number, environment, revision)
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t11_a_writer_takes_an_environment_down_and_up_and_a_stranger_does_nothing() {
    let Some(forge) = Forge::start("chat-down", Options::without_sweeps(), json!({})).await else {
        return;
    };
    let (world, owner) = (&forge.world, forge.gitea.token());
    let eve = forge.gitea.person("eve").unwrap();
    let (number, first, revision) = pulled(&forge).await;
    say(&forge, &eve, number, "/preview down").await;
    // Ours are no orders, whoever they seem to be from.
    say(&forge, owner, number, "/preview down\n<!-- graftling:answer:1 -->").await;
    // What comes after is acted on, so the others were read by then.
    say(&forge, owner, number, "/preview pin").await;
    let pinned = world
        .wait_until(BRANCH, "that is pinned", |environment| environment.spec.pinned)
        .await;
    assert_eq!((pinned.uid(), pinned.metadata.deletion_timestamp), (first.uid(), None));

    let down = say(&forge, owner, number, "/preview down").await;
    world.wait_gone(BRANCH).await;
    let receipt = world.receipt(&first).await;
    let comment = format!(
        "{OWNER} asked for it with /preview down in comment {} of pull request {number}",
        down["id"]
    );
    assert!(receipt.contains(&comment), "{receipt}");
    let told = forge.told("that remembers", |status| !status.ended.is_empty()).await;
    assert_eq!(told.ended[0].reason, EndedReason::Requested);
    // A repeated delivery of the push brings nothing back, and neither does another comment.
    say(&forge, owner, number, "/preview status").await;
    say(&forge, owner, number, "/preview up").await;
    let second = world.wait_ready(BRANCH, &revision).await;
    assert_ne!(second.uid(), first.uid());

    say(&forge, owner, number, "/preview down").await;
    world.wait_gone(BRANCH).await;
    let pushed = forge.push(BRANCH, "a", "2");
    world.wait_ready(BRANCH, &pushed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t11_feature_l2_restart_extend_and_pin_change_what_they_name_once() {
    let project = json!({ "lifecycle": { "ttl": "12h" } });
    let Some(forge) = Forge::start("chat-life", Options::without_sweeps(), project).await else {
        return;
    };
    let (world, owner) = (&forge.world, forge.gitea.token());
    let (number, before, revision) = pulled(&forge).await;
    let expires = |environment: &Environment| environment.status.as_ref()?.expires_at.as_ref().map(|time| time.0);
    let first = expires(&before).unwrap();

    say(&forge, owner, number, "/preview extend 2d").await;
    let later = first + jiff::SignedDuration::from_hours(47);
    let extended = world
        .wait_until(BRANCH, "that expires two days later", |environment| {
            expires(environment).is_some_and(|time| time > later)
        })
        .await;
    assert_eq!(extended.uid(), before.uid());

    let restart = say(&forge, owner, number, "/preview restart").await;
    let id = format!("comment-{}", restart["id"]);
    let handled = world
        .wait_until(BRANCH, "that answered the restart", |environment| {
            let handled = environment.status.as_ref().and_then(|status| status.request_handled.as_ref());
            handled.is_some_and(|handled| handled.id == id)
        })
        .await;
    let told = handled.status.as_ref().unwrap().request_handled.clone().unwrap();
    assert!(
        told.accepted && told.message.contains(&format!("{OWNER} (pull request comment)")),
        "{told:?}"
    );
    world.wait_for(BRANCH, Phase::Ready, &revision).await;

    say(&forge, owner, number, "/preview pin").await;
    world
        .wait_until(BRANCH, "that expires no more", |environment| {
            environment.spec.pinned && expires(environment).is_none()
        })
        .await;
    say(&forge, owner, number, "/preview unpin").await;
    world
        .wait_until(BRANCH, "that expires again", |environment| {
            !environment.spec.pinned && expires(environment).is_some()
        })
        .await;
    let comments = world.projects().get("shop").await.unwrap();
    let heard = comments.annotations()["graftling.dev/comments"].split(' ').count();
    assert_eq!(heard, 4, "each comment is recorded once");
}
