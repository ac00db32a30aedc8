//! A branch that is deleted in the middle of its run, whatever stage that has come to.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;

use serde_json::json;

use super::scene::{CONFIG, Scene};

/// Each kind of stage that lasts, for the branch that has its name. Nothing ends any of them.
const PIPELINE: &str = "\
stages:
  - name: settings
    apply: all.yaml
  - {name: job, needs: settings, when: {branches: [at/job]}, job: {image: registry.example/x, WAITS}}
  - {name: steps, needs: settings, when: {branches: [at/steps]}, steps: [{name: one, image: registry.example/x, WAITS}]}
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
    let branches = stages.map(|stage| format!("at/{stage}"));
    for branch in &branches {
        scene.push(branch);
    }
    let mut environments = Vec::new();
    for (stage, branch) in stages.iter().zip(&branches) {
        let is_at = |environment: &graftling::api::Environment| {
            let stages = environment.status.iter().flat_map(|status| &status.stages);
            let own = stages.into_iter().find(|known| known.name == *stage);
            own.is_some_and(|known| match *stage {
                "retries" => known.tries > 1,
                _ => known.state == "Running",
            })
        };
        environments.push(scene.world.wait_until(branch, "it is at its stage", is_at).await);
    }
    let branches: Vec<&str> = branches.iter().map(String::as_str).collect();
    scene.repository.delete_branches(&branches).unwrap();
    for (branch, environment) in branches.iter().zip(&environments) {
        scene.world.wait_gone(branch).await;
        let receipt = scene.world.receipt(environment).await;
        assert!(receipt.contains("left: []"), "{branch}: {receipt}");
        let namespace = &environment.status.as_ref().unwrap().namespace.as_ref().unwrap().name;
        assert!(!scene.world.namespace_exists(namespace).await, "{branch}");
    }
}
