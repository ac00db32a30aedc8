//! Kinds of stages on the real control plane: tries, time, outputs, once, steps, resources, and a server that dies in the middle.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;

use graftling::api::environment::run::StageStatus;
use graftling::api::environment::{EnvironmentStatus, Phase};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use testbed::wait;

use super::scene::{CONFIG, Scene};
use super::teardown::define_widgets;
use crate::world::LONG;

/// More than any fake node has, so that a pod waits until the test ends it.
const WAITS: &str = "resources: {requests: {cpu: '2000'}, limits: {cpu: '2000'}}";

/// So little that a pod starts and ends at once.
const RUNS: &str = "resources: {requests: {cpu: 10m}, limits: {cpu: 10m}}";

const QUOTA: &str = r#"{"guardrails": {"quota": {"requests.cpu": "9000", "limits.cpu": "9000"}}}"#;

/// A scene whose bundle has this pipeline.
async fn scene(name: &str, pipeline: &str) -> Scene {
    let scene = Scene::with(name, CONFIG, serde_json::from_str(QUOTA).unwrap(), &[]).await;
    write(&scene, pipeline);
    scene
}

fn write(scene: &Scene, pipeline: &str) {
    fs::write(scene.bundle_folder().join("pipeline.yaml"), pipeline).unwrap();
}

async fn named(scene: &Scene) -> String {
    wait::until("the Environment", LONG, || async {
        Some(scene.world.environment("feature/a").await?.name_any())
    })
    .await
}

/// The pod of a job, once there is one.
async fn pod(scene: &Scene, namespace: &str, job: &str) -> Pod {
    let api: Api<Pod> = Api::namespaced(scene.world.client.clone(), namespace);
    let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    wait::until(format!("a pod of {job}"), LONG, || async {
        api.list(&params).await.unwrap().items.pop()
    })
    .await
}

/// Ends the pod of a job, which no node takes, with what its container said at its end.
async fn end(scene: &Scene, namespace: &str, job: &str, phase: &str, said: &str) {
    let pod = pod(scene, namespace, job).await;
    let container = pod.spec.as_ref().unwrap().containers[0].name.clone();
    let code = i32::from(phase == "Failed");
    let ended = json!({
        "name": container, "image": "x", "imageID": "x", "ready": false, "restartCount": 0,
        "state": { "terminated": { "exitCode": code, "message": said } },
    });
    let api: Api<Pod> = Api::namespaced(scene.world.client.clone(), namespace);
    let status = Patch::Merge(json!({ "status": { "phase": phase, "containerStatuses": [ended] } }));
    api.patch_status(&pod.name_any(), &PatchParams::default(), &status).await.unwrap();
}

fn stage<'a>(status: &'a EnvironmentStatus, name: &str) -> &'a StageStatus {
    let found = status.stages.iter().find(|stage| stage.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {:?}", status.stages))
}

async fn ready(scene: &Scene) -> EnvironmentStatus {
    let revision = scene.repository.head("feature/a").unwrap().unwrap();
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await.status.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s1_a_job_is_tried_again_under_another_name_and_hands_on_what_it_wrote() {
    let pipeline = format!(
        "\
stages:
  - {{name: migrate, retries: 1, job: {{image: registry.example/x, outputs: [VERSION], {WAITS}}}}}
  - {{name: web, needs: migrate, apply: all.yaml}}
"
    );
    let scene = scene("retried", &pipeline).await;
    scene.template("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {version: \"v$(outputs.migrate.VERSION)!\"}\n");
    scene.push("feature/a");
    let name = named(&scene).await;
    end(&scene, &name, "migrate-1-1", "Failed", "no route to the database").await;
    end(&scene, &name, "migrate-1-2", "Succeeded", "noise\nVERSION=7\n").await;
    let status = ready(&scene).await;
    let migrate = stage(&status, "migrate");
    assert_eq!((migrate.state.as_str(), migrate.outputs["VERSION"].as_str()), ("Succeeded", "7"));
    let settings = scene.read("v1", "ConfigMap", &name, "settings").await.unwrap();
    assert_eq!(settings["data"]["version"], "v7!");
    assert!(
        scene.read("batch/v1", "Job", &name, "migrate-1-1").await.is_some(),
        "it stays until the next run"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_does_not_write_what_it_declares_has_failed() {
    let pipeline = format!("stages: [{{name: migrate, job: {{image: registry.example/x, outputs: [VERSION], {WAITS}}}}}]");
    let scene = scene("speechless", &pipeline).await;
    scene.push("feature/a");
    let name = named(&scene).await;
    end(&scene, &name, "migrate-1-1", "Succeeded", "VERSON=7\n").await;
    scene
        .told(
            "feature/a",
            Phase::Failed,
            &["stage migrate failed", "did not write its output VERSION"],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s1_a_job_that_takes_too_long_has_failed() {
    let pipeline = format!("stages: [{{name: migrate, timeout: 2s, job: {{image: registry.example/x, {WAITS}}}}}]");
    let scene = scene("slow-job", &pipeline).await;
    scene.push("feature/a");
    let status = scene.told("feature/a", Phase::Failed, &["stage migrate failed"]).await;
    assert_eq!(stage(&status, "migrate").state, "Failed");
    let name = named(&scene).await;
    let job = scene.read("batch/v1", "Job", &name, "migrate-1-1").await.unwrap();
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 2, "Kubernetes ends what runs on");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_d1_a_job_that_runs_once_is_left_out_of_the_next_run() {
    let pipeline = format!(
        "stages: [{{name: seed, job: {{image: registry.example/x, once: true, {RUNS}}}}}, {{name: web, needs: seed, apply: all.yaml}}]"
    );
    let scene = scene("once", &pipeline).await;
    let first = scene.up("feature/a").await;
    assert_eq!(stage(&first.status.unwrap(), "seed").state, "Succeeded");
    let second = scene.up("feature/a").await;
    let status = second.status.unwrap();
    let seed = stage(&status, "seed");
    assert_eq!(seed.state, "Skipped");
    assert!(seed.message.as_ref().unwrap().contains("has run once already"), "{seed:?}");
    assert_eq!(stage(&status, "web").state, "Succeeded");
    let name = named(&scene).await;
    assert!(scene.read("batch/v1", "Job", &name, "seed-2-1").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_while_steps_run_repeats_nothing_and_goes_on() {
    let pipeline = format!(
        "\
stages:
  - name: test
    steps:
      checkout: false
      run:
        - {{name: build, image: registry.example/x, {WAITS}}}
        - {{name: check, image: registry.example/x, {RUNS}}}
  - {{name: web, needs: test, apply: all.yaml}}
"
    );
    let mut scene = scene("steps-restart", &pipeline).await;
    scene.push("feature/a");
    let name = named(&scene).await;
    pod(&scene, &name, "test-1-1").await;
    let uid = scene.uid("batch/v1", "Job", &name, "test-1-1").await;
    scene.world.server.take().unwrap().running.kill_hard().await.unwrap();
    end(&scene, &name, "test-1-1", "Succeeded", "").await;
    scene.world.start_server().await;
    let status = ready(&scene).await;
    assert_eq!(stage(&status, "test").state, "Succeeded");
    assert_eq!(status.run.unwrap().number, 1);
    assert_eq!(scene.uid("batch/v1", "Job", &name, "test-1-1").await, uid);
    assert!(
        scene.read("batch/v1", "Job", &name, "test-1-2").await.is_none(),
        "a finished side effect is not repeated"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_fails_the_stage_and_what_needs_it_does_not_run() {
    let pipeline = format!(
        "stages: [{{name: test, steps: {{checkout: false, run: [{{image: registry.example/x, {WAITS}}}]}}}}, {{name: web, needs: test, apply: all.yaml}}]"
    );
    let scene = scene("steps-fail", &pipeline).await;
    scene.push("feature/a");
    let name = named(&scene).await;
    end(&scene, &name, "test-1-1", "Failed", "").await;
    let status = scene.told("feature/a", Phase::Failed, &["stage test failed", "test-1-1"]).await;
    assert_eq!(stage(&status, "web").state, "Skipped");
    assert!(scene.read("v1", "ConfigMap", &name, "settings").await.is_none());
}

/// A stage that makes a Widget and waits for it, and one after it.
const CLAIM: &str = "\
stages:
  - name: claim
    resource:
      templates: claim.yaml
      ready: {path: status.phase, equals: Bound}
      failed: [{condition: Broken}]
  - {name: web, needs: claim, apply: all.yaml}
";

async fn claim(group: &str) -> Scene {
    define_widgets(group).await;
    let policy = json!({ "policy": { "kinds": [format!("{group}.test.example/Widget")] } });
    let values = format!("rbac.customResources[0].apiGroups={{{group}.test.example}},rbac.customResources[0].resources={{widgets}}");
    let scene = Scene::with(group, CONFIG, policy, &[&values]).await;
    let widget = format!("apiVersion: {group}.test.example/v1\nkind: Widget\nmetadata: {{name: spring}}\nspec: {{size: 3}}\n");
    fs::write(scene.bundle_folder().join("templates/claim.yaml"), widget).unwrap();
    write(&scene, CLAIM);
    scene
}

async fn set_status(scene: &Scene, group: &str, status: Value) {
    let name = named(scene).await;
    let version = format!("{group}.test.example/v1");
    wait::until("the Widget", LONG, || async {
        scene.read(&version, "Widget", &name, "spring").await.map(|_| ())
    })
    .await;
    scene.edit(&version, "Widget", &name, "spring", json!({ "status": status })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_done_when_what_it_waits_for_is_there() {
    let scene = claim("bound").await;
    scene.push("feature/a");
    let told = scene
        .told("feature/a", Phase::Deploying, &["Widget spring", "status.phase = Bound"])
        .await;
    assert_eq!(stage(&told, "claim").state, "Running");
    let name = named(&scene).await;
    assert!(
        scene.read("v1", "ConfigMap", &name, "settings").await.is_none(),
        "nothing of a later stage"
    );
    set_status(&scene, "bound", json!({ "phase": "Bound" })).await;
    assert_eq!(stage(&ready(&scene).await, "claim").state, "Succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_says_that_it_is_broken_has_failed() {
    let scene = claim("broken").await;
    scene.push("feature/a");
    let broken = json!({ "conditions": [{ "type": "Broken", "status": "True", "message": "out of springs" }] });
    set_status(&scene, "broken", broken).await;
    let words = ["stage claim failed", "Widget spring", "out of springs"];
    scene.told("feature/a", Phase::Failed, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_in_a_place_that_policy_watches_over_are_refused_before_anything_is_written() {
    let scene = scene(
        "outputs-place",
        "stages: [{name: a, job: {image: x, outputs: [HOST]}}, {name: b, needs: a, apply: all.yaml}]",
    )
    .await;
    scene.template(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {a: $(outputs.a.HOST)}}\nspec: {selector: {a: b}, ports: [{port: 80}]}\n",
    );
    scene.push("feature/a");
    let words = [
        "templates/all.yaml:1",
        "metadata.annotations.a",
        "outputs of stages may only stand in",
    ];
    scene.told("feature/a", Phase::Failed, &words).await;
    let name = named(&scene).await;
    assert!(scene.read("batch/v1", "Job", &name, "a-1-1").await.is_none());
}

/// A web server that takes as much processor as the environment says, and settings with what a job handed on.
const VERSIONED: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {version: $(outputs.migrate.VERSION)}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  progressDeadlineSeconds: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: registry.example/web:1
          resources: {requests: {cpu: CPU}, limits: {cpu: CPU}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_back_what_the_jobs_of_the_good_run_had_handed_on() {
    let pipeline = format!(
        "\
stages:
  - {{name: migrate, job: {{image: registry.example/x, outputs: [VERSION], {WAITS}}}}}
  - {{name: web, needs: migrate, apply: all.yaml, onFailure: rollback}}
"
    );
    let scene = scene("handed-on", &pipeline).await;
    scene.template(&VERSIONED.replace("CPU", "10m"));
    scene.push("feature/a");
    let name = named(&scene).await;
    end(&scene, &name, "migrate-1-1", "Succeeded", "VERSION=7\n").await;
    ready(&scene).await;
    let version = async || scene.read("v1", "ConfigMap", &name, "settings").await.unwrap()["data"]["version"].clone();
    assert_eq!(version().await, "7");

    // Without a push: a pass between the two would begin a run of its own.
    scene.template(&VERSIONED.replace("CPU", "'2000'"));
    scene.nudge(&scene.world.environment("feature/a").await.unwrap()).await;
    end(&scene, &name, "migrate-2-1", "Succeeded", "VERSION=8\n").await;
    wait::until("the settings of the second run", LONG, || async {
        (version().await == "8").then_some(())
    })
    .await;
    let words = ["stage web failed", "the last good state of its objects is back"];
    scene.told("feature/a", Phase::Failed, &words).await;
    assert_eq!(version().await, "7");
}
