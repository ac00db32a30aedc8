//! What runs in an environment is asked to end, has its time, and keeps its identity until it is gone.

use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;
use testbed::AuditEvent;
use testbed::node::image;

use crate::e2e::scene::Scene;
use crate::world::World;

/// A server that takes a second for its hook and one more to end, as the account that its last request would need.
fn slow() -> String {
    format!(
        r#"
apiVersion: v1
kind: ServiceAccount
metadata: {{name: slow}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: slow}}
spec:
  selector: {{matchLabels: {{app: slow}}}}
  template:
    metadata: {{labels: {{app: slow}}}}
    spec:
      serviceAccountName: slow
      terminationGracePeriodSeconds: 30
      containers:
        - name: slow
          image: "{}"
          command: [sh, -c, "trap 'echo asked; sleep 1; echo done; exit 0' TERM; echo up; while :; do sleep 0.1; done"]
          lifecycle: {{preStop: {{exec: {{command: [sh, -c, "echo hook >/proc/1/fd/1; sleep 1; echo hook-over >/proc/1/fd/1"]}}}}}}
          readinessProbe: {{exec: {{command: ["true"]}}, periodSeconds: 1}}
"#,
        image::BUSYBOX
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_has_its_hook_and_its_grace_and_its_account_outlives_it() {
    let Some(scene) = Scene::on_node("slow", &slow(), json!({})).await else {
        return;
    };
    let environment = scene.up("feature/slow").await;
    let namespace = environment.name_any();
    let pod = scene.world.ready_pod(&namespace, "app=slow").await;
    let log = tokio::spawn(World::whole_log(scene.world.pods(&namespace), pod.name_any()));
    let position = scene.position();

    scene.repository.delete_branches(&["feature/slow"]).unwrap();
    scene.world.wait_gone("feature/slow").await;

    let log = log.await.unwrap();
    let (times, words): (Vec<&str>, Vec<&str>) = log.iter().map(|line| line.split_once(' ').unwrap()).unzip();
    assert_eq!(words, ["up", "hook", "hook-over", "asked", "done"]);
    let ended: Timestamp = times.last().unwrap().parse().unwrap();
    let events = scene.world.plane.audit().since(position);
    let deleted = |resource: &str, name: &str| -> Timestamp {
        let is_it = |event: &&AuditEvent| {
            event.namespace == namespace && event.verb == "delete" && event.resource == resource && event.name == name && event.code < 300
        };
        let last = events.iter().filter(is_it).map(|event| event.request_received).max();
        last.unwrap_or_else(|| panic!("nobody deleted {resource} {name}"))
    };
    // The kubelet's own request is the last one about a pod: everything of it is gone by then.
    let pod_gone = deleted("pods", &pod.name_any());
    let account_gone = deleted("serviceaccounts", "slow");
    assert!(ended < pod_gone, "the pod was gone at {pod_gone}, and its log ends at {ended}");
    assert!(
        pod_gone < account_gone,
        "the account went at {account_gone}, and the pod at {pod_gone}"
    );
    let namespace_gone = deleted("namespaces", &namespace);
    assert!(account_gone <= namespace_gone, "{account_gone} {namespace_gone}");
}
