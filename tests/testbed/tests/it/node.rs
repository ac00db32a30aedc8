//! A real node: what pods do on it, and what is left of it.

mod lifetime;
mod pods;
mod trouble;

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, Namespace, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use testbed::node::image;
use testbed::{ControlPlane, TestNamespace, wait};

const LIMIT: Duration = Duration::from_secs(60);

/// A namespace on the control plane with a node.
struct Place {
    namespace: TestNamespace,
    pods: Api<Pod>,
}

/// Nothing where no node can run; then the test is skipped, and has said so.
async fn place(name: &str) -> Option<Place> {
    let control_plane = ControlPlane::with_node().await?;
    let namespace = control_plane.namespace(name).await;
    let pods = Api::namespaced(control_plane.client().await, namespace.name());
    Some(Place { namespace, pods })
}

impl Place {
    /// Allows only what the strictest of the Pod Security Standards allows.
    async fn restrict(&self) {
        let namespaces: Api<Namespace> = Api::all(self.pods.clone().into_client());
        let labels = json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
        let patch = Patch::Merge(labels);
        namespaces
            .patch(self.namespace.name(), &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Creates a pod `main` with one container that runs `script`; `rest` goes over the container.
    async fn run(&self, script: &str, rest: Value) {
        let mut container = json!({ "name": "main", "image": image::BUSYBOX, "command": ["sh", "-c", script] });
        for (name, value) in rest.as_object().unwrap() {
            container[name] = value.clone();
        }
        self.create(json!({ "restartPolicy": "Never", "containers": [container] })).await;
    }

    async fn create(&self, mut spec: Value) {
        if spec.get("terminationGracePeriodSeconds").is_none() {
            spec["terminationGracePeriodSeconds"] = json!(1);
        }
        let pod = json!({ "metadata": { "name": "main" }, "spec": spec });
        self.pods
            .create(&PostParams::default(), &serde_json::from_value(pod).unwrap())
            .await
            .unwrap();
    }

    async fn in_phase(&self, phase: &str) -> Pod {
        let reached = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(phase);
        wait::for_object(&self.pods, "main", format!("pod {phase}"), LIMIT, reached).await
    }

    async fn log(&self) -> String {
        self.pods.logs("main", &Default::default()).await.unwrap()
    }

    /// Waits until the only container is waiting for `reason`, and returns what is said about it.
    async fn waiting(&self, reason: &str) -> String {
        let message = |pod: &Pod| {
            let waiting = state(pod)?.waiting?;
            (waiting.reason.as_deref() == Some(reason)).then(|| waiting.message.unwrap_or_default())
        };
        let pod = wait::for_object(&self.pods, "main", reason, LIMIT, |pod| message(pod).is_some()).await;
        message(&pod).unwrap()
    }
}

fn state(pod: &Pod) -> Option<ContainerState> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()?.state.clone()
}

fn exit_code(pod: &Pod) -> Option<i32> {
    Some(state(pod)?.terminated?.exit_code)
}
