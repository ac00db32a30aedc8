//! Retry, skip, rollback, sync and rerun.

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use testbed::wait;

use super::super::command::env;
use super::{BRANCH, PLAIN, late, message_of, scene, stage, write};
use crate::world::LONG;

/// A check that nothing passes until somebody makes a Deployment by hand.
const GATE: &str = "\
stages:
  - name: config
    apply: all.yaml
  - name: gate
    needs: [config]
    check: {condition: {apiVersion: apps/v1, kind: Deployment, name: gate, type: Available}, every: 1s, failures: 1000}
    timeout: 3s
  - name: late
    needs: [gate]
    apply: late.yaml
";

/// A job that runs once.
const ONCE: &str = "\
stages:
  - name: config
    apply: all.yaml
  - name: seed
    needs: [config]
    job: {image: 'registry.example/seed:1', once: true}
";

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_tried_again_and_a_stage_can_be_left_out() {
    let mut scene = scene("retries", GATE).await;
    let revision = scene.push(BRANCH);
    scene.told(BRANCH, Phase::Failed, &["stage gate failed"]).await;
    let environment = scene.world.environment(BRANCH).await.unwrap();
    let unknown = env(&scene, &["retry", BRANCH, "--from", "gat"]).await;
    assert_eq!(unknown.code, 4, "{}", unknown.output);
    assert!(unknown.errors.contains("did you mean \"gate\"?"), "{}", unknown.errors);

    // The request outlives the server that should have acted on it.
    scene.world.server = None;
    let asked = env(&scene, &["retry", BRANCH, "--no-wait"]).await;
    assert_eq!(asked.code, 0, "{}", asked.errors);
    scene.world.start_server().await;
    wait::until("the second try to fail", LONG, || async {
        let status = scene.world.environment(BRANCH).await?.status?;
        let gate = status.stages.iter().find(|stage| stage.name == "gate")?;
        (gate.earlier == 1 && gate.state == "Failed").then_some(())
    })
    .await;
    let status = scene.world.environment(BRANCH).await.unwrap().status.unwrap();
    assert!(status.request_handled.unwrap().accepted);
    assert_eq!(status.run.unwrap().number, 1, "it is the same run");
    assert_eq!(late(&scene, &environment).await, None);

    let skipped = env(&scene, &["skip", BRANCH, "gate"]).await;
    assert_eq!(skipped.code, 0, "{}", skipped.errors);
    assert!(
        skipped.output.contains("goes on without stage gate: admin asked to skip it"),
        "{}",
        skipped.output
    );
    let status = scene.world.wait_for(BRANCH, Phase::Ready, &revision).await.status.unwrap();
    assert_eq!((stage(&status, "gate"), stage(&status, "late")), ("Skipped", "Succeeded"));
    assert!(
        message_of(&status, "gate").contains("skipped by hand"),
        "{}",
        message_of(&status, "gate")
    );
    let nothing = env(&scene, &["retry", BRANCH]).await;
    assert_eq!(nothing.code, 4, "{}", nothing.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_goes_back_to_an_earlier_commit_without_repository_and_bundle() {
    let mut scene = scene("goes-back", PLAIN).await;
    let first = scene.push(BRANCH);
    let environment = scene.world.wait_for(BRANCH, Phase::Ready, &first).await;
    let second = scene.push(BRANCH);
    scene.world.wait_for(BRANCH, Phase::Ready, &second).await;
    let shown = async || {
        late(&scene, &environment).await.unwrap()["data"]["revision"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(shown().await, second);
    let unknown = env(&scene, &["rollback", BRANCH, "--to", "0123456789"]).await;
    assert_eq!(unknown.code, 4, "{}", unknown.output);
    assert!(
        unknown.errors.contains(&first[..12]),
        "it names what is possible: {}",
        unknown.errors
    );

    // What nobody needs for it.
    let gone = scene.repository.path().with_extension("gone");
    std::fs::rename(scene.repository.path(), &gone).unwrap();
    std::fs::rename(scene.bundle_folder(), scene.bundle_folder().with_extension("gone")).unwrap();
    let back = env(&scene, &["rollback", BRANCH, "--to", &first[..10]]).await;
    assert_eq!(back.code, 0, "{}", back.errors);
    wait::until("the earlier commit is shown", LONG, || async {
        let status = scene.world.environment(BRANCH).await?.status?;
        let run = status.run?;
        (run.record == Some(1) && run.state == "Succeeded").then_some(())
    })
    .await;
    assert_eq!(shown().await, first);
    // Nobody looks forward again because the server starts anew.
    let _ = shown;
    scene.world.server = None;
    scene.world.start_server().await;
    scene.nudge(&environment).await;
    let status = scene.world.environment(BRANCH).await.unwrap().status.unwrap();
    assert_eq!(status.run.unwrap().record, Some(1));

    std::fs::rename(&gone, scene.repository.path()).unwrap();
    std::fs::rename(scene.bundle_folder().with_extension("gone"), scene.bundle_folder()).unwrap();
    let third = scene.push(BRANCH);
    scene.world.wait_for(BRANCH, Phase::Ready, &third).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_some_objects_are_put_right() {
    let scene = scene("only", PLAIN).await;
    let environment = scene.up(BRANCH).await;
    let unknown = env(&scene, &["sync", BRANCH, "--only", "ConfigMap/laet"]).await;
    assert_eq!(unknown.code, 4, "{}", unknown.output);
    assert!(unknown.errors.contains("did you mean \"ConfigMap/late\"?"), "{}", unknown.errors);
    let synced = env(&scene, &["sync", BRANCH, "--only", "configmaps/late"]).await;
    assert_eq!(synced.code, 0, "{}", synced.errors);
    assert!(synced.output.contains("only ConfigMap/late is put right"), "{}", synced.output);
    assert!(late(&scene, &environment).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_d1_what_runs_once_runs_again_only_when_somebody_asks_for_it() {
    let scene = scene("once", ONCE).await;
    let environment = scene.up(BRANCH).await;
    let name = environment.name_any();
    assert!(scene.read("batch/v1", "Job", &name, "seed-1-1").await.is_some());
    scene.up(BRANCH).await;
    assert!(scene.read("batch/v1", "Job", &name, "seed-2-1").await.is_none(), "it ran once");
    let again = env(&scene, &["rerun", BRANCH, "--stage", "seed"]).await;
    assert_eq!(again.code, 0, "{}", again.errors);
    wait::until("the job to run again", LONG, || async {
        let job = scene.read("batch/v1", "Job", &name, "seed-2-1").await?;
        (job["status"]["succeeded"] == json!(1)).then_some(())
    })
    .await;
    let status = wait::until("the run to end", LONG, || async {
        let status = scene.world.environment(BRANCH).await?.status?;
        (status.run.as_ref()?.state == "Succeeded" && stage(&status, "seed") == "Succeeded").then_some(status)
    })
    .await;
    assert_eq!(status.run.unwrap().number, 2, "in the same run");
    write(&scene, ONCE);
    scene.up(BRANCH).await;
    assert!(
        scene.read("batch/v1", "Job", &name, "seed-3-1").await.is_none(),
        "and not again by itself"
    );
}
