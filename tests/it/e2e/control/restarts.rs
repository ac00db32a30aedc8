//! What people said while the server was down, and what they said before it.

use graftling::api::environment::Phase;
use kube::ResourceExt;
use testbed::wait;

use super::super::command::env;
use super::{BRANCH, PLAIN, asked, asking, env_as, late, scene, stage};
use crate::world::LONG;

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_that_was_written_while_no_server_ran_counts_and_the_run_is_watched_to_its_end() {
    let mut scene = scene("down", &asking("{}")).await;
    let revision = scene.push(BRANCH);
    let environment = asked(&scene, 1).await;
    scene.world.server.take().unwrap().running.kill_hard().await.unwrap();
    let rejected = env_as(&scene, "carol", &[], &["reject", BRANCH, "release", "--no-wait"]).await;
    assert_eq!(rejected.code, 0, "{}", rejected.errors);
    scene.world.start_server().await;
    let watched = env(&scene, &["watch", BRANCH]).await;
    assert_eq!(watched.code, 1, "{} {}", watched.output, watched.errors);
    let failed = format!("{} stage release: Failed rejected by carol", environment.name_any());
    assert!(watched.output.lines().any(|line| line.starts_with(&failed)), "{}", watched.output);
    assert!(!watched.output.contains('\u{1b}'), "no terminal, no drawing: {:?}", watched.output);
    assert_eq!(late(&scene, &environment).await, None);

    let retried = env(&scene, &["retry", BRANCH]).await;
    assert_eq!(retried.code, 0, "{}", retried.errors);
    asked(&scene, 2).await;
    let (watched, approved) = tokio::join!(env(&scene, &["watch", BRANCH]), env_as(&scene, "alice", &[], &["approve", BRANCH]));
    assert_eq!((approved.code, watched.code), (0, 0), "{} {}", approved.errors, watched.errors);
    assert!(
        watched.output.contains("stage late: Succeeded") && watched.output.contains("Ready"),
        "{}",
        watched.output
    );
    let status = scene.world.wait_for(BRANCH, Phase::Ready, &revision).await.status.unwrap();
    assert_eq!((stage(&status, "release"), stage(&status, "late")), ("Succeeded", "Succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_the_server_and_what_was_pushed_meanwhile_comes_on_resume() {
    let mut scene = scene("still-paused", PLAIN).await;
    let environment = scene.up(BRANCH).await;
    let before = late(&scene, &environment).await.unwrap()["data"]["revision"].clone();
    assert_eq!(env(&scene, &["pause", BRANCH]).await.code, 0);
    scene.world.server.take().unwrap().running.kill_hard().await.unwrap();
    let revision = scene.push(BRANCH);
    scene.world.start_server().await;
    wait::until("the push to be known", LONG, || async {
        let environment = scene.world.environment(BRANCH).await.unwrap();
        (environment.spec.revision == revision).then_some(())
    })
    .await;
    scene.nudge(&environment).await;
    scene.told(BRANCH, Phase::Ready, &["nothing is applied"]).await;
    assert_eq!(late(&scene, &environment).await.unwrap()["data"]["revision"], before);
    let resumed = env(&scene, &["resume", BRANCH]).await;
    assert_eq!(resumed.code, 0, "{}", resumed.errors);
    scene.world.wait_for(BRANCH, Phase::Ready, &revision).await;
    assert_eq!(late(&scene, &environment).await.unwrap()["data"]["revision"], revision.as_str());
}
