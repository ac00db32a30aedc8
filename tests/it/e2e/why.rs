//! Why something is not ready: told in plain words where people look, without a request while everything is well.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Duration;

use graftling::api::environment::{EnvironmentStatus, Phase};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use testbed::{AuditEvent, Position, wait};

use super::command::env;
use super::scene::{CONFIG, Scene, WEB};
use crate::world::{LONG, objects, ready_reason};

/// What a diagnosis reads and a deployment does not.
fn looks(scene: &Scene, position: Position) -> Vec<AuditEvent> {
    let user = scene.world.server_user();
    let mut events = scene.world.plane.audit().since(position);
    let of_diagnosis = |event: &AuditEvent| {
        matches!(
            event.resource.as_str(),
            "pods" | "events" | "replicasets" | "persistentvolumeclaims"
        )
    };
    events.retain(|event| event.user == user && event.verb == "list" && !event.namespace.is_empty() && of_diagnosis(event));
    events
}

/// The bundle's Deployment with more in the spec of its pods.
fn with(spec: &str) -> String {
    WEB.replace(
        "      serviceAccountName: web\n",
        &format!("      serviceAccountName: web\n      {spec}\n"),
    )
}

fn reason(status: &EnvironmentStatus) -> &str {
    ready_reason(&status.conditions)
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_c6_what_no_machine_takes_is_told_and_nothing_is_read_while_all_is_well() {
    let scene = Scene::start("nowhere", WEB).await;
    let position = scene.position();
    scene.up("feature/a").await;
    assert_eq!(looks(&scene, position).len(), 0, "a healthy deployment asks nothing more");

    scene.template(&with("nodeSelector: {disk: ssd}"));
    scene.push("feature/a");
    let words = [
        "no machine of the cluster is of the kind that web asks for (disk=ssd)",
        "nodeSelector",
        "Deployment web",
    ];
    let status = scene.told("feature/a", Phase::Deploying, &words).await;
    assert_eq!(reason(&status), "Unschedulable");
    let stage = status.stages.iter().find(|stage| stage.name == "deploy").unwrap();
    assert!(stage.message.as_ref().unwrap().contains(words[0]), "{stage:?}");

    let told = env(&scene, &["why", "feature/a"]).await;
    assert_eq!((told.code, told.errors.as_str()), (0, ""));
    assert!(
        told.output.contains(words[0]) && told.output.contains("\nNext: correct nodeSelector"),
        "{}",
        told.output
    );
    let json = env(&scene, &["why", "feature/a", "-o", "json"]).await;
    let json: Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(
        (&json["reason"], &json["object"]),
        (&json!("Unschedulable"), &json!("Deployment web"))
    );
    let wide = env(&scene, &["why", "feature/a", "-o", "wide"]).await;
    assert!(
        wide.output.contains("node(s) didn't match Pod's node affinity/selector"),
        "{}",
        wide.output
    );
    assert_eq!(env(&scene, &["why", "feature/none"]).await.code, 3);

    scene.template(WEB);
    scene.up("feature/a").await;
    let told = env(&scene, &["why", "feature/a"]).await;
    assert!(told.output.starts_with("it is ready: https://"), "{}", told.output);
}

/// Plays the kubelet for the first pod of the namespace that nobody schedules.
async fn kubelet_says(scene: &Scene, namespace: &str, status: Value) {
    let api = objects::api(&scene.world.client, "v1", "Pod", Some(namespace)).await;
    let pod = wait::until("a pod", LONG, || async {
        let pods = api.list(&ListParams::default().labels("app=web")).await.unwrap();
        pods.items.into_iter().find(|pod| pod.data["spec"]["schedulerName"] == "nobody")
    })
    .await;
    let patch = Patch::Merge(json!({ "status": status }));
    api.patch_status(&pod.name_any(), &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_c6_an_image_that_is_not_there_is_told_and_looked_for_seldom() {
    let scene = Scene::start("noimage", &with("schedulerName: nobody")).await;
    scene.push("feature/a");
    let environment = scene.told("feature/a", Phase::Deploying, &["Deployment web"]).await;
    let namespace = environment.namespace.unwrap().name;
    let container = json!({
        "name": "web", "image": "registry.example/web:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "waiting": { "reason": "ErrImagePull", "message": "failed to resolve reference: registry.example/web:1: not found" } },
    });
    kubelet_says(&scene, &namespace, json!({ "phase": "Pending", "containerStatuses": [container] })).await;
    let words = [
        "web cannot start: its image registry.example/web:1 is not in the registry",
        "it starts by itself",
    ];
    let status = scene.told("feature/a", Phase::Deploying, &words).await;
    assert_eq!(reason(&status), "ImageNotFound");

    let position = scene.position();
    // The time that is waited is what is measured.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let looks = looks(&scene, position);
    assert!(looks.len() <= 2 * 4, "two looks in twelve seconds at most: {looks:?}");
    // An Event may come late: it is written after the status that it tells of.
    let news: Vec<_> = scene
        .writes(position)
        .into_iter()
        .filter(|write| write.resource != "events")
        .collect();
    assert!(news.is_empty(), "the same trouble is no news: {news:#?}");
    scene.template(WEB);
    scene.up("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f27_pods_that_a_quota_refuses_are_told_with_what_is_asked_and_left_and_come_when_it_is_raised() {
    let quota = |pods: &str| json!({ "guardrails": { "quota": { "pods": pods } } });
    let scene = Scene::with("nopods", WEB, quota("0"), &[]).await;
    let revision = scene.push("feature/a");
    let words = [
        "web cannot start: the environment's quota has no room",
        "asks for 1 pods",
        "0 of 0 is left",
        "spec.guardrails.quota",
    ];
    let status = scene.told("feature/a", Phase::Deploying, &words).await;
    assert_eq!(reason(&status), "QuotaExceeded");
    scene.change_project(quota("5")).await;
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f28_a_webhook_that_is_down_is_waited_for_and_is_nobodys_mistake() {
    let scene = Scene::start("webhook-down", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let operations = ["CREATE", "UPDATE"];
    let configuration = scene.webhook_is_down(&environment, "check.down.example.com", &operations).await;
    scene.template(&CONFIG.replace("hello", "hi"));
    scene.push("feature/a");
    let words = ["ConfigMap settings", "check.down.example.com", "does not answer"];
    let status = scene.told("feature/a", Phase::Deploying, &words).await;
    assert_eq!(reason(&status), "WebhookUnavailable");
    let position = scene.position();
    // The time that is waited is what is measured.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let tries = scene.writes_inside(position, &environment);
    assert!((1..=6).contains(&tries.len()), "with growing pauses: {tries:?}");
    scene.webhook_is_gone(&configuration).await;
    let status = scene.told("feature/a", Phase::Ready, &[]).await;
    assert!(status.history.iter().all(|run| run.result != "Failed"), "{:?}", status.history);
    assert_eq!(
        scene.read("v1", "ConfigMap", &name, "settings").await.unwrap()["data"]["greeting"],
        "hi"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f29_who_changes_an_object_back_each_time_gets_no_war_and_is_named() {
    let scene = Scene::start("meddler", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let api = objects::api(&scene.world.client, "v1", "ConfigMap", Some(&name)).await;
    let position = scene.position();
    let meddler = tokio::spawn(async move {
        let params = PatchParams {
            field_manager: Some("meddler".to_owned()),
            ..PatchParams::default()
        };
        loop {
            let theirs = Patch::Merge(json!({ "data": { "greeting": "theirs" } }));
            let _ = api.patch("settings", &params, &theirs).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let words = [
        "ConfigMap settings (data.greeting)",
        "3 times by now",
        "meddler",
        "take these fields out of the bundle",
    ];
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    assert_eq!(reason(&status), "DriftLoop");
    assert_eq!(scene.writes_inside(position, &environment).len(), 3);
    let position = scene.position();
    // The time that is waited is what is measured.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.writes_inside(position, &environment), [""; 0]);
    meddler.abort();

    // Another manifest is another wish, and written at once.
    scene.template(&CONFIG.replace("hello", "hi"));
    scene.up("feature/a").await;
    assert_eq!(
        scene.read("v1", "ConfigMap", &name, "settings").await.unwrap()["data"]["greeting"],
        "hi"
    );
}

/// A policy of the cluster that changes the value of Secret `keys` in one namespace with each write.
async fn mutate_secrets(scene: &Scene, namespace: &str, name: &str) {
    let version = "admissionregistration.k8s.io/v1";
    let policy = json!({ "spec": {
        "failurePolicy": "Fail", "reinvocationPolicy": "Never",
        "matchConstraints": {
            "namespaceSelector": { "matchLabels": { "graftling.dev/environment": namespace } },
            "resourceRules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"] }],
        },
        "matchConditions": [{ "name": "keys", "expression": "object.metadata.name == 'keys'" }],
        "mutations": [{ "patchType": "JSONPatch", "jsonPatch": {
            "expression": "[JSONPatch{op: 'replace', path: '/data/key', value: 'dGhlaXJz'}]",
        } }],
    }});
    scene.world.create(version, "MutatingAdmissionPolicy", None, name, policy).await;
    let binding = json!({ "spec": { "policyName": name } });
    scene
        .world
        .create(version, "MutatingAdmissionPolicyBinding", None, name, binding)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f29_a_webhook_that_changes_our_secret_each_time_gets_no_war_and_heals_when_it_goes() {
    let scene = Scene::start("mutator", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let policy = format!("{}-mutates", scene.world.namespace.name());
    mutate_secrets(&scene, &name, &policy).await;
    wait::until("a Secret that the policy changes", LONG, || async {
        let touch = json!({ "metadata": { "annotations": { "example.com/touched": format!("{:?}", scene.position()) } } });
        scene.edit("v1", "Secret", &name, "keys", touch).await;
        let secret = scene.read("v1", "Secret", &name, "keys").await?;
        (secret["data"]["key"] == "dGhlaXJz").then_some(())
    })
    .await;
    let position = scene.position();
    scene.nudge(&environment).await;
    let status = scene.told("feature/a", Phase::Failed, &["Secret keys (data.key)", "webhook"]).await;
    assert_eq!(reason(&status), "DriftLoop");
    assert!(!status.message.unwrap().contains("not-in-any-log"));
    assert_eq!(scene.writes_inside(position, &environment), ["patch secrets keys"; 3]);

    let version = "admissionregistration.k8s.io/v1";
    scene.remove(version, "MutatingAdmissionPolicyBinding", "", &policy).await;
    scene.remove(version, "MutatingAdmissionPolicy", "", &policy).await;
    scene.told("feature/a", Phase::Ready, &[]).await;
    let secret = scene.read("v1", "Secret", &name, "keys").await.unwrap();
    assert_eq!(secret["data"]["key"], "bm90LWluLWFueS1sb2c=");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s6_a_bundle_says_itself_when_an_object_of_a_kind_is_ready() {
    let scene = Scene::start("health", CONFIG).await;
    let rule = "health:\n  - kind: ConfigMap\n    ready: {path: data.state, equals: done}\n    failed: {path: data.state, in: [broken]}\n    \
                message: data.why\n";
    let head = scene.bundle_folder().join("bundle.yaml");
    std::fs::write(&head, format!("name: app\nversion: 0.1.0\n{rule}")).unwrap();
    let revision = scene.push("feature/a");
    let status = scene
        .told("feature/a", Phase::Deploying, &["ConfigMap settings", "rule for its health"])
        .await;
    let namespace = status.namespace.unwrap().name;
    let state = |state: &str| json!({ "data": { "state": state, "why": "no room left" } });
    scene.edit("v1", "ConfigMap", &namespace, "settings", state("broken")).await;
    scene
        .told("feature/a", Phase::Failed, &["ConfigMap settings", "no room left"])
        .await;
    scene.edit("v1", "ConfigMap", &namespace, "settings", state("done")).await;
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
}
