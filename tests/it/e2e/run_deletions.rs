//! A branch that is deleted in the middle of its run, whatever stage that has come to.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;

use graftling::api::Environment;
use serde_json::json;

use super::scene::{CONFIG, Scene};

/// Each kind of stage that lasts, for the branch that has its name. Nothing but time ends any of them: a job is let end first.
const PIPELINE: &str = "\
stages:
  - name: settings
    apply: all.yaml
  - {name: job, needs: settings, timeout: 20s, when: {branches: [at/job]}, job: {image: registry.example/x, WAITS}}
  - {name: steps, needs: settings, timeout: 20s, when: {branches: [at/steps]}, steps: [{name: one, image: registry.example/x, WAITS}]}
  - {name: check, needs: settings, when: {branches: [at/check]}, check: {condition: {apiVersion: v1, kind: Service, name: web, type: Ready}, every: 1s, failures: 100}}
  - {name: approve, needs: settings, when: {branches: [at/approve]}, approve: {message: please}}
  - {name: apply, needs: settings, when: {branches: [at/apply]}, apply: web.yaml}
  - {name: retries, needs: settings, retries: 10, when: {branches: [at/retries]}, job: {image: registry.example/x, WAITS}, timeout: 1s}
";

/// More than any node has.
const WAITS: &str = "resources: {requests: {cpu: '2000'}, limits: {cpu: '2000'}}";

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: registry.example/web, WAITS}]
";

#[tokio::test(flavor = "multi_thread")]
async fn f35_a_branch_deleted_at_any_stage_of_its_run_leaves_nothing() {
    let quota = json!({"guardrails": {"quota": {"requests.cpu": "9000", "limits.cpu": "9000"}}});
    let scene = Scene::with("run-deletions", CONFIG, quota, &[]).await;
    let folder = scene.bundle_folder();
    fs::write(folder.join("pipeline.yaml"), PIPELINE.replace("WAITS", WAITS)).unwrap();
    fs::write(folder.join("templates/web.yaml"), WEB.replace("WAITS", WAITS)).unwrap();
    let stages = ["job", "steps", "check", "approve", "apply", "retries"];
    for stage in stages {
        scene.push(&format!("at/{stage}"));
    }
    // Never so many at once that the brake holds them.
    for group in stages.chunks(3) {
        let mut environments = Vec::new();
        for stage in group {
            let branch = format!("at/{stage}");
            let is_there = |environment: &Environment| is_at(environment, stage);
            environments.push(scene.world.wait_until(&branch, "it is at its stage", is_there).await);
            scene.repository.delete_branches(&[&branch]).unwrap();
        }
        for environment in &environments {
            is_gone(&scene, environment).await;
        }
    }
}

/// The stage runs; one with retries does so not for the first time.
fn is_at(environment: &Environment, name: &str) -> bool {
    let stages = environment.status.iter().flat_map(|status| &status.stages);
    let own = stages.into_iter().find(|known| known.name == name);
    own.is_some_and(|known| match name {
        "retries" => known.tries > 1,
        _ => known.state == "Running",
    })
}

async fn is_gone(scene: &Scene, environment: &Environment) {
    let branch = &environment.spec.branch;
    scene.world.wait_gone(branch).await;
    let receipt = scene.world.receipt(environment).await;
    assert!(receipt.contains("left: []"), "{branch}: {receipt}");
    let namespace = &environment.status.as_ref().unwrap().namespace.as_ref().unwrap().name;
    assert!(!scene.world.namespace_exists(namespace).await, "{branch}");
}
