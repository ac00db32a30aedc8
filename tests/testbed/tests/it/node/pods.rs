//! Pods that do what they are asked to.

use std::collections::BTreeMap;

use kube::api::DeleteParams;
use serde_json::json;
use testbed::node::{self, image};
use testbed::{ControlPlane, wait};

use super::{LIMIT, exit_code, place};

#[tokio::test]
async fn a_pod_runs_on_the_real_node_and_the_api_server_has_its_log() {
    let Some(place) = place("log").await else { return };
    place.run("echo one; echo two >&2", json!({})).await;
    let pod = place.in_phase("Succeeded").await;
    assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some(node::NAME));
    // The runtime reads output and errors beside each other.
    let log = place.log().await;
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "two"]);
}

#[tokio::test]
async fn the_exit_code_of_a_container_and_its_last_words_are_in_the_status() {
    let Some(place) = place("exit").await else { return };
    place.run("echo because >/dev/termination-log; exit 3", json!({})).await;
    let pod = place.in_phase("Failed").await;
    assert_eq!(exit_code(&pod), Some(3));
    let terminated = super::state(&pod).unwrap().terminated.unwrap();
    assert_eq!(terminated.message.as_deref().map(str::trim), Some("because"));
}

#[tokio::test]
async fn containers_of_a_pod_run_one_after_the_other_and_share_what_they_mount_and_nothing_else() {
    let Some(place) = place("volume").await else { return };
    let container = |name: &str, script: &str| json!({ "name": name, "image": image::BUSYBOX, "command": ["sh", "-ec", script], "volumeMounts": [{ "name": "shared", "mountPath": "/shared" }] });
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [{ "name": "shared", "emptyDir": {} }],
        "initContainers": [container("first", "echo kept >/shared/file; echo lost >/file")],
        "containers": [container("second", "cat /shared/file; [ ! -e /file ]; echo alone")],
    });
    place.create(spec).await;
    place.in_phase("Succeeded").await;
    assert_eq!(place.log().await, "kept\nalone\n");
}

#[tokio::test]
async fn a_pod_under_restricted_pod_security_is_confined_by_the_kernel() {
    let Some(place) = place("restricted").await else { return };
    place.restrict().await;
    let script = "id -u; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; echo x >/file || echo read-only; ls /sys/class/net";
    let spec = json!({
        "restartPolicy": "Never",
        "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [{
            "name": "main", "image": image::BUSYBOX, "command": ["sh", "-c", script],
            "securityContext": { "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } },
        }],
    });
    place.create(spec).await;
    place.in_phase("Succeeded").await;
    let log = place.log().await;
    for line in [
        "65532",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "read-only",
        "lo",
    ] {
        assert!(log.lines().any(|said| said == line), "{line:?} is not in {log}");
    }
}

#[tokio::test]
async fn the_web_image_serves_its_page_at_the_address_of_its_pod_and_its_probes_pass() {
    let Some(place) = place("web").await else { return };
    let spec = json!({ "containers": [{
        "name": "main", "image": image::WEB, "env": [{ "name": "BRANCH", "value": "feature/login" }, { "name": "REVISION", "value": "abc" }],
        "readinessProbe": { "httpGet": { "path": "/healthz", "port": 8080 }, "periodSeconds": 1 },
        "livenessProbe": { "exec": { "command": ["test", "-f", "/tmp/www/index.html"] }, "periodSeconds": 1 },
    }] });
    place.create(spec).await;
    let ready = |pod: &k8s_openapi::api::core::v1::Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    };
    let pod = wait::for_object(&place.pods, "main", "ready pod", LIMIT, ready).await;
    let address = pod.status.unwrap().pod_ip.unwrap();
    let page = node::get(&format!("http://{address}:8080/")).await.unwrap();
    assert_eq!(page.trim(), "<!doctype html><title>feature/login at abc</title>");
}

#[tokio::test]
async fn a_pod_that_is_not_ready_stays_so_until_its_probe_passes() {
    let Some(place) = place("probe").await else { return };
    // It listens on its own loopback alone, where a probe of a cluster would not reach it either.
    place
        .run(
            "httpd -f -p 127.0.0.1:8080",
            json!({ "readinessProbe": { "tcpSocket": { "port": 8080 }, "periodSeconds": 1 } }),
        )
        .await;
    let client = place.pods.clone().into_client();
    let events: kube::Api<k8s_openapi::api::core::v1::Event> = kube::Api::namespaced(client, place.namespace.name());
    let refused = || async {
        let all = events.list(&Default::default()).await.map_err(|error| error.to_string())?;
        let mut messages = all.items.into_iter().filter_map(|event| event.message);
        let found = messages.find(|message| message.contains("Readiness probe failed") && message.contains("connection refused"));
        found.ok_or_else(|| "no such Event".to_owned())
    };
    wait::until("Event about the probe", LIMIT, refused).await;
}

#[tokio::test]
async fn a_pod_gets_its_time_to_end_after_its_hook() {
    let Some(place) = place("grace").await else { return };
    let script = "trap 'echo asked; sleep 1; echo done; exit 0' TERM; echo up; while :; do sleep 0.1; done";
    let hook = "echo hook >/proc/1/fd/1; sleep 1; echo hook-over >/proc/1/fd/1";
    let spec = json!({
        "terminationGracePeriodSeconds": 30,
        "containers": [{
            "name": "main", "image": image::BUSYBOX, "command": ["sh", "-c", script],
            "lifecycle": { "preStop": { "exec": { "command": ["sh", "-c", hook] } } },
        }],
    });
    place.create(spec).await;
    place.in_phase("Running").await;
    wait::until("first word", LIMIT, || async { place.log().await == "up\n" }).await;
    let pods = place.pods.clone();
    let following = tokio::spawn(async move {
        use futures::{AsyncBufReadExt, TryStreamExt};
        let params = kube::api::LogParams {
            follow: true,
            ..Default::default()
        };
        let lines = pods.log_stream("main", &params).await.unwrap().lines();
        lines.try_collect::<Vec<String>>().await.unwrap()
    });
    place.pods.delete("main", &DeleteParams::default()).await.unwrap();
    let mut told = following.await.unwrap();
    // A kubelet that follows a log asks after the container now and then, and puts the answer behind the
    // log's lines when the container was removed meanwhile; the container did not say that.
    told.retain(|line| !line.starts_with("rpc error: code = NotFound"));
    assert_eq!(told, ["up", "hook", "hook-over", "asked", "done"]);
    let gone = || async { place.pods.get_opt("main").await.unwrap().is_none() };
    wait::until("end of the pod", LIMIT, gone).await;
}

#[tokio::test]
async fn a_pod_can_still_choose_the_fake_node() {
    let Some(place) = place("fake").await else { return };
    let selector = BTreeMap::from([("kubernetes.io/hostname", "fake-0")]);
    let spec = json!({ "nodeName": "fake-0", "nodeSelector": selector, "containers": [{ "name": "main", "image": image::MISSING }] });
    place.create(spec).await;
    place.in_phase("Running").await;
    let nodes: kube::Api<k8s_openapi::api::core::v1::Node> = kube::Api::all(ControlPlane::with_node().await.unwrap().client().await);
    let real = nodes.get(node::NAME).await.unwrap().status.unwrap().node_info.unwrap();
    assert!(real.container_runtime_version.starts_with("containerd://2."), "{real:?}");
}
