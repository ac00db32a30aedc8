//! Teardown stages: from the record, before anything is removed, and in nobody's way but by default that of their own failure.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;

use graftling::api::Environment;
use graftling::api::environment::Phase;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use testbed::wait;

use super::command;
use super::scene::{CONFIG, Scene};
use crate::world::LONG;

/// A job that no node takes, so that the test says how it ends.
const EXPORT: &str = "image: registry.example/export:1, resources: {requests: {cpu: '2000'}, limits: {cpu: '2000'}}";

async fn scene(name: &str, pipeline: &str) -> Scene {
    let quota = json!({"guardrails": {"quota": {"requests.cpu": "9000", "limits.cpu": "9000"}}});
    let scene = Scene::with(name, CONFIG, quota, &[]).await;
    fs::write(scene.bundle_folder().join("pipeline.yaml"), pipeline).unwrap();
    scene
}

fn teardown(rest: &str) -> String {
    format!("stages:\n  - {{name: data, apply: all.yaml}}\nteardown:\n  - {{name: export, job: {{{EXPORT}}}{rest}}}\n")
}

/// Ends the pod of a job.
async fn end(scene: &Scene, namespace: &str, job: &str, phase: &str) {
    let api: Api<Pod> = Api::namespaced(scene.world.client.clone(), namespace);
    let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    let pod = wait::until(format!("a pod of {job}"), LONG, || async {
        api.list(&params).await.unwrap().items.pop()
    })
    .await;
    let status = Patch::Merge(json!({"status": {"phase": phase}}));
    api.patch_status(&pod.name_any(), &PatchParams::default(), &status).await.unwrap();
}

/// The UID of a job, as soon as it is there.
async fn job(scene: &Scene, namespace: &str, name: &str) -> String {
    wait::until(format!("Job {name}"), LONG, || async {
        let job = scene.read("batch/v1", "Job", namespace, name).await?;
        Some(job["metadata"]["uid"].as_str()?.to_owned())
    })
    .await
}

async fn is_there(scene: &Scene, environment: &Environment) -> bool {
    let name = environment.name_any();
    let settings = scene.read("v1", "ConfigMap", &name, "settings").await;
    settings.is_some_and(|settings| settings["metadata"]["deletionTimestamp"].is_null())
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s3_teardown_stages_run_before_anything_goes_although_bundle_project_and_server_are_gone() {
    let mut scene = scene("farewell", &teardown("")).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene.suspend_project().await;
    fs::remove_dir_all(scene.bundle_folder()).unwrap();
    let shop = scene.world.projects();
    shop.delete("shop", &DeleteParams::default()).await.unwrap();
    wait::until("the Project to be gone", LONG, || async {
        shop.get_opt("shop").await.unwrap().is_none().then_some(())
    })
    .await;

    scene.world.environments().delete(&name, &DeleteParams::default()).await.unwrap();
    let status = scene.told("feature/a", Phase::Deleting, &["teardown stage export"]).await;
    assert_eq!(
        status.run.as_ref().unwrap().record,
        Some(1),
        "from the record of the run that deployed it"
    );
    let job = job(&scene, &name, "export-2-1").await;
    assert!(is_there(&scene, &environment).await, "everything exists while the stage runs");

    scene.world.server.take().unwrap().running.kill_hard().await.unwrap();
    end(&scene, &name, "export-2-1", "Succeeded").await;
    assert_eq!(scene.uid("batch/v1", "Job", &name, "export-2-1").await, job);
    scene.world.start_server().await;
    scene.world.wait_gone("feature/a").await;
    assert!(scene.read("v1", "Namespace", "", &name).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s3_a_failed_teardown_stage_blocks_with_an_event_until_it_is_left_out() {
    let scene = scene("farewell-block", &teardown("")).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene.delete(&environment).await;
    end(&scene, &name, "export-2-1", "Failed").await;
    let words = ["teardown stage export failed", "graftling env skip BRANCH export"];
    scene.told("feature/a", Phase::Blocked, &words).await;
    scene.world.wait_for_event("TeardownStageFailed").await;
    assert!(is_there(&scene, &environment).await, "nothing is removed");
    let skipped = command::env(&scene, &["skip", "feature/a", "export"]).await;
    assert_eq!(skipped.code, 0, "{} {}", skipped.output, skipped.errors);
    scene.world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s3_a_failed_teardown_stage_under_continue_does_not_hold_the_removal_up() {
    let scene = scene("farewell-continue", &teardown(", onFailure: continue")).await;
    let environment = scene.up("feature/a").await;
    let dry_run = command::env(&scene, &["delete", "feature/a", "--dry-run"]).await;
    let said = "First, while everything exists, the stages:\n  export\n";
    assert!(dry_run.output.contains(said), "{} {}", dry_run.output, dry_run.errors);
    scene.delete(&environment).await;
    end(&scene, &environment.name_any(), "export-2-1", "Failed").await;
    scene.world.wait_gone("feature/a").await;
    let receipts: Api<ConfigMap> = Api::namespaced(scene.world.client.clone(), scene.world.namespace.name());
    let kept = receipts
        .list(&ListParams::default().labels("graftling.dev/receipt"))
        .await
        .unwrap()
        .items;
    let text = kept[0].data.as_ref().unwrap()["receipt.yaml"].clone();
    assert!(text.contains("teardownStages:") && text.contains("export Failed: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s5_a_deletion_lets_the_job_in_flight_end_and_begins_no_other_stage() {
    let pipeline = format!(
        "stages:\n  - {{name: migrate, job: {{{EXPORT}}}}}\n  - {{name: data, needs: [migrate], apply: all.yaml}}\n\
         teardown:\n  - {{name: export, job: {{{EXPORT}}}}}\n"
    );
    let scene = scene("farewell-flight", &pipeline).await;
    scene.push("feature/a");
    let status = scene.told("feature/a", Phase::Deploying, &["stage migrate"]).await;
    let name = status.namespace.unwrap().name;
    let job = job(&scene, &name, "migrate-1-1").await;
    let environment = scene.world.environment("feature/a").await.unwrap();
    scene.delete(&environment).await;
    scene
        .told("feature/a", Phase::Deleting, &["stage migrate goes on to its end"])
        .await;
    assert_eq!(scene.uid("batch/v1", "Job", &name, "migrate-1-1").await, job, "it is not killed");
    end(&scene, &name, "migrate-1-1", "Succeeded").await;
    // Nothing was ever good, so the stage runs, and its failure holds nothing up.
    end(&scene, &name, "export-2-1", "Failed").await;
    scene.world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f33_teardown_stages_are_left_out_where_the_namespace_is_ending_already() {
    let scene = scene("farewell-ending", &teardown("")).await;
    let environment = scene.up("feature/a").await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(scene.world.client.clone());
    scene.suspend_project().await;
    namespaces.delete(&environment.name_any(), &DeleteParams::default()).await.unwrap();
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
}
