//! What a cluster has only once: whoever has it is named with whoever wants it, and the latter waits without a write.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::{EnvironmentStatus, Phase};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::scene::{CONFIG, Scene};
use crate::world::ready_reason;

const INGRESS: &str = r#"
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - host: {{environment.host}}
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"#;

fn ingress_for(host: &str) -> Value {
    let backend = json!({ "service": { "name": "web", "port": { "number": 80 } } });
    let path = json!({ "path": "/", "pathType": "Prefix", "backend": backend });
    json!({ "spec": { "rules": [{ "host": host, "http": { "paths": [path] } }] } })
}

fn reason(status: &EnvironmentStatus) -> &str {
    ready_reason(&status.conditions)
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_i6_feature_u2_a_host_that_somebody_serves_is_told_with_both_owners_and_heals() {
    let scene = Scene::start("hosts", CONFIG).await;
    let (mine, other) = (scene.up("feature/a").await, scene.up("feature/b").await.name_any());
    let home = scene.world.namespace.name().to_owned();
    let name = mine.name_any();
    let host = format!("{name}.preview.example.com");
    let version = "networking.k8s.io/v1";
    scene
        .world
        .create(version, "Ingress", Some(&home), "theirs", ingress_for(&host))
        .await;
    scene.template(&format!("{CONFIG}{INGRESS}"));
    scene.push("feature/a");
    let words = [
        "templates/all.yaml:",
        "Ingress web",
        &format!("host {host:?} is taken by Ingress {home}/theirs, which graftling did not create"),
    ];
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    assert_eq!(reason(&status), "HostTaken");
    assert_eq!(scene.read(version, "Ingress", &name, "web").await, None);

    // Somebody moves it into the namespace of another environment.
    scene
        .world
        .create(version, "Ingress", Some(&other), "theirs", ingress_for(&host))
        .await;
    scene.remove(version, "Ingress", &home, "theirs").await;
    scene.nudge(&mine).await;
    let words = [format!("is taken by Ingress {other}/theirs of environment {other}")];
    scene.told("feature/a", Phase::Failed, &[words[0].as_str()]).await;
    scene.remove(version, "Ingress", &other, "theirs").await;
    scene.nudge(&mine).await;
    scene.up("feature/a").await;
    assert!(scene.read(version, "Ingress", &name, "web").await.is_some());
}

const SERVICE: &str = r#"
---
apiVersion: v1
kind: Service
metadata: {name: game}
spec:
  type: NodePort
  selector: {app: game}
  ports: [{name: game, port: 7777, nodePort: 31847, protocol: UDP}]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn feature_i6_a_node_port_of_another_environment_is_told_with_both_owners_and_heals_when_it_goes() {
    let policy = json!({ "policy": { "claims": { "nodePorts": "Allow" } } });
    let scene = Scene::with("ports", &format!("{CONFIG}{SERVICE}"), policy, &[]).await;
    let one = scene.up("feature/one").await.name_any();
    let revision = scene.push("feature/two");
    let words = [
        "templates/all.yaml:",
        "Service game",
        &format!("node port 31847 is taken by Service {one}/game of environment {one}"),
    ];
    let status = scene.told("feature/two", Phase::Failed, &words).await;
    assert_eq!(reason(&status), "PortTaken");
    let two = scene.world.environment("feature/two").await.unwrap();
    assert!(!scene.world.namespace_exists(&two.name_any()).await, "nothing is written");
    scene.repository.delete_branches(&["feature/one"]).unwrap();
    scene.world.wait_gone("feature/one").await;
    scene.world.wait_for("feature/two", Phase::Ready, &revision).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_i6_ports_of_nodes_are_refused_until_the_project_allows_them() {
    let scene = Scene::start("noports", &format!("{CONFIG}{SERVICE}")).await;
    scene.push("feature/a");
    scene
        .told("feature/a", Phase::Failed, &["Service game", "policy.claims.nodePorts"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_i6_a_class_that_does_not_exist_is_told_with_those_that_do() {
    let claim = r#"
---
apiVersion: v1
kind: Pod
metadata: {name: job}
spec: {priorityClassName: no-such-class, containers: [{name: a, image: "registry.example/a:1"}]}
"#;
    let scene = Scene::start("classes", &format!("{CONFIG}{claim}")).await;
    scene.push("feature/a");
    let words = [
        "Pod job",
        "PriorityClass \"no-such-class\" does not exist; there are:",
        "system-cluster-critical",
    ];
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    assert_eq!(reason(&status), "ClassUnknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_i6_settings_that_could_not_work_are_refused_with_the_project() {
    let scene = Scene::start("settings", CONFIG).await;
    let api = scene.world.projects();
    for (spec, wanted) in [
        (
            json!({ "policy": { "clusterKinds": ["a.example/Thing"] } }),
            "policy.clusterKinds needs policy.clusterScoped",
        ),
        (
            json!({ "policy": { "claims": { "hostPorts": "Allow" } } }),
            "policy.claims.hostPorts needs guardrails.podSecurity: privileged",
        ),
        (json!({ "policy": { "clusterScoped": "Adopt" } }), "Unsupported value"),
        (
            json!({ "policy": { "clusterScoped": "Share", "clusterKinds": ["Thing"] } }),
            "clusterKinds",
        ),
    ] {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let error = api.patch("shop", &PatchParams::default(), &patch).await.unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
