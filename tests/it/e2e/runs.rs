//! Runs of a pipeline: one stage after the other, what a failure leaves alone, what is put back, and what a push during a run does.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;

use graftling::api::environment::{EnvironmentStatus, Phase};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use testbed::wait;

use super::scene::{CONFIG, Scene};
use crate::world::LONG;

const WEB: &str = r#"
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
          env: [{name: REVISION, value: {{quote revision}}}]
          resources: {requests: {cpu: {{values.cpu}}}, limits: {cpu: {{values.cpu}}}}
"#;

/// Configuration, a job, and the application after it.
const PIPELINE: &str = "\
stages:
  - name: data
    apply: all.yaml
  - name: migrate
    needs: [data]
    job:
      image: registry.example/migrate:{{shortRevision}}
      args: [up]
      resources: {requests: {JOB}, limits: {JOB}}
  - name: web
    needs: [migrate]
    apply: web.yaml
    onFailure: rollback
";

/// More than any node has.
const TOO_MUCH: &str = "2000";
/// What a job asks for that runs.
const LITTLE: &str = "cpu: 10m, memory: 16Mi";
/// What no node has: the job's pod stays where it is until the test ends it.
const NOTHING_HAS: &str = "cpu: 10m, memory: 16Mi, example.com/nowhere: 1";

async fn scene(name: &str, job: &str) -> Scene {
    let scene = Scene::with(
        name,
        CONFIG,
        json!({"guardrails": {"quota": {"requests.cpu": "9000", "limits.cpu": "9000"}}}),
        &[],
    )
    .await;
    write(&scene, job, "10m");
    scene
}

/// Writes the bundle: what its job asks for, and how much processor the application wants.
fn write(scene: &Scene, job: &str, cpu: &str) {
    let folder = scene.bundle_folder();
    let pipeline = PIPELINE.replace("JOB", job);
    fs::write(folder.join("values.yaml"), format!("cpu: '{cpu}'\n")).unwrap();
    fs::write(folder.join("templates/web.yaml"), WEB).unwrap();
    fs::write(folder.join("pipeline.yaml"), pipeline).unwrap();
}

fn states(status: &EnvironmentStatus) -> Vec<String> {
    status
        .stages
        .iter()
        .map(|stage| format!("{} {}", stage.name, stage.state))
        .collect()
}

/// The name of the environment of `feature/a`, as soon as there is one.
async fn named(scene: &Scene) -> String {
    wait::until("the Environment", LONG, || async {
        Some(scene.world.environment("feature/a").await?.name_any())
    })
    .await
}

/// The pods of the job of a stage.
async fn pods(scene: &Scene, namespace: &str, job: &str) -> Vec<Pod> {
    let api: Api<Pod> = Api::namespaced(scene.world.client.clone(), namespace);
    let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    api.list(&params).await.unwrap().items
}

/// Ends the pod of a job that no node takes.
async fn end(scene: &Scene, namespace: &str, job: &str, phase: &str) {
    let pod = wait::until(format!("a pod of {job}"), LONG, || async {
        pods(scene, namespace, job).await.pop()
    })
    .await;
    let api: Api<Pod> = Api::namespaced(scene.world.client.clone(), namespace);
    let status = Patch::Merge(json!({"status": {"phase": phase}}));
    api.patch_status(&pod.name_any(), &PatchParams::default(), &status).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s1_feature_s2_stages_run_one_after_the_other_and_a_job_between_them() {
    let scene = scene("stages", LITTLE).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let status = environment.status.unwrap();
    let wanted = [
        "namespace Ready",
        "guardrails Ready",
        "data Succeeded",
        "migrate Succeeded",
        "web Succeeded",
    ];
    assert_eq!(states(&status), wanted);
    let run = status.run.unwrap();
    assert_eq!(
        (run.number, run.state.as_str(), run.because.as_str()),
        (1, "Succeeded", "the environment is new")
    );
    let job = scene.read("batch/v1", "Job", &name, "migrate-1-1").await.unwrap();
    let web = scene.read("apps/v1", "Deployment", &name, "web").await.unwrap();
    let ended = job["status"]["completionTime"].as_str().unwrap();
    assert!(ended <= web["metadata"]["creationTimestamp"].as_str().unwrap(), "{job} {web}");
    assert!(
        scene.read("v1", "Secret", &name, "graftling-run-1").await.is_some(),
        "the run is recorded"
    );

    let environment = scene.up("feature/a").await;
    assert_eq!(environment.status.unwrap().run.unwrap().number, 2);
    wait::until("the job of the run before is pruned", LONG, || async {
        scene.read("batch/v1", "Job", &name, "migrate-1-1").await.is_none().then_some(())
    })
    .await;
    assert!(scene.read("batch/v1", "Job", &name, "migrate-2-1").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s1_a_job_that_fails_stops_the_run_and_leaves_later_stages_alone() {
    let scene = scene("job-fails", NOTHING_HAS).await;
    scene.push("feature/a");
    let name = named(&scene).await;
    end(&scene, &name, "migrate-1-1", "Failed").await;
    let status = scene
        .told("feature/a", Phase::Failed, &["stage migrate failed", "migrate-1-1"])
        .await;
    assert_eq!(states(&status)[2..], ["data Succeeded", "migrate Failed", "web Skipped"]);
    assert_eq!(status.stages.last().unwrap().failed_need.as_deref(), Some("migrate"));
    assert!(
        scene.read("apps/v1", "Deployment", &name, "web").await.is_none(),
        "nothing of a later stage"
    );

    write(&scene, LITTLE, "10m");
    scene.up("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_update_under_rollback_puts_back_what_the_last_good_run_had() {
    let scene = scene("rollback", LITTLE).await;
    scene.up("feature/a").await;
    let name = named(&scene).await;
    let good = scene.repository.head("feature/a").unwrap().unwrap();
    write(&scene, LITTLE, TOO_MUCH);
    scene.push("feature/a");
    let words = ["stage web failed", "Deployment web", "the last good state of its objects is back"];
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    assert_eq!(status.run.as_ref().unwrap().state, "RolledBack");
    let shown = status.revision.as_ref().unwrap();
    assert_eq!(shown.applied.as_deref(), Some(good.as_str()), "the revision that is there again");
    let web = scene.read("apps/v1", "Deployment", &name, "web").await.unwrap();
    let container = &web["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        (&container["env"][0]["value"], &container["resources"]["requests"]["cpu"]),
        (&json!(good), &json!("10m"))
    );
    assert_eq!(web["status"]["availableReplicas"], 1, "what served before serves on");

    write(&scene, LITTLE, "20m");
    scene.up("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s5_fifty_pushes_during_a_job_give_exactly_one_more_run_for_the_newest() {
    let scene = scene("coalesce", NOTHING_HAS).await;
    scene.push("feature/a");
    let name = named(&scene).await;
    wait::until("the job is under way", LONG, || async {
        pods(&scene, &name, "migrate-1-1").await.pop()
    })
    .await;
    let job = scene.uid("batch/v1", "Job", &name, "migrate-1-1").await;
    write(&scene, LITTLE, "10m");
    let mut newest = String::new();
    for _ in 0..50 {
        newest = scene.push("feature/a");
        scene.hint("feature/a").await;
    }
    wait::until("the newest commit is wished", LONG, || async {
        let environment = scene.world.environment("feature/a").await?;
        (environment.spec.revision == newest).then_some(())
    })
    .await;
    assert_eq!(
        scene.uid("batch/v1", "Job", &name, "migrate-1-1").await,
        job,
        "a job in flight is never killed"
    );
    end(&scene, &name, "migrate-1-1", "Succeeded").await;
    let environment = scene.world.wait_for("feature/a", Phase::Ready, &newest).await;
    let status = environment.status.unwrap();
    assert_eq!(status.run.unwrap().number, 2, "{:?}", status.history);
    let runs: Vec<_> = status.history.iter().map(|entry| (entry.run, entry.result.as_str())).collect();
    assert_eq!(runs[0], (Some(2), "Ready"));
    assert_eq!(runs.len(), 2, "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_for_some_files_runs_only_if_one_of_them_has_changed_since_what_was_applied() {
    let scene = scene("changes", LITTLE).await;
    let pipeline = PIPELINE
        .replace("JOB", LITTLE)
        .replace("    job:", "    when: { changes: ['migrations/**'] }\n    job:");
    fs::write(scene.bundle_folder().join("pipeline.yaml"), pipeline).unwrap();
    let migrated = |environment: &graftling::api::Environment| {
        let stages = &environment.status.as_ref().unwrap().stages;
        let migrate = stages.iter().find(|stage| stage.name == "migrate").unwrap();
        (migrate.state.clone(), migrate.message.clone().unwrap_or_default())
    };
    let push = async |files: &[(&str, &str)]| {
        let revision = scene.repository.commit("feature/a", files).unwrap();
        migrated(&scene.world.wait_for("feature/a", Phase::Ready, &revision).await)
    };
    assert_eq!(
        push(&[("migrations/1.sql", "a")]).await.0,
        "Succeeded",
        "nothing was applied before"
    );
    let (state, message) = push(&[("src/main.rs", "b")]).await;
    assert_eq!(
        (state.as_str(), message.as_str()),
        ("Skipped", "no file has changed that matches migrations/**")
    );
    assert_eq!(push(&[("migrations/2.sql", "c"), ("README.md", "d")]).await.0, "Succeeded");
}
