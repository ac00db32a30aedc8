//! Bundles that want more than an environment: refused by graftling with file and object, and by the API server without graftling.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

mod objects;

use graftling::api::environment::Phase;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use self::objects::{HOSTILE, Hostile};
use super::scene::{CONFIG, Scene};
use crate::world::objects as cluster;

/// The environment's namespace and the deployer that writes into it, as the server does.
async fn deployer(scene: &Scene) -> Client {
    let home = scene.world.namespace.name();
    let mut config = scene.world.server_configuration().await;
    config.auth_info.impersonate = Some(format!("system:serviceaccount:{home}:graftling-deployer"));
    Client::try_from(config).unwrap()
}

/// Where objects like this one are written. Rights are looked at before anything else, so a kind that is not served has an answer, too.
async fn url(body: &Value) -> String {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let (version, kind) = (text("/apiVersion").unwrap(), text("/kind").unwrap());
    let namespace = text("/metadata/namespace");
    if let Some(served_elsewhere) = version.strip_prefix("external-secrets.io/") {
        let plural = format!("{}s", kind.to_lowercase());
        let within = namespace.map_or_else(String::new, |namespace| format!("namespaces/{namespace}/"));
        return format!("/apis/external-secrets.io/{served_elsewhere}/{within}{plural}");
    }
    let admin = testbed::ControlPlane::shared().await.client().await;
    cluster::api(&admin, version, kind, namespace).await.resource_url().to_owned()
}

/// Applies an object as the deployer: the code of the refusal, or 200.
async fn directly(client: &Client, body: &Value) -> u16 {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let url = url(body).await;
    let request = http::Request::patch(format!(
        "{url}/{}?fieldManager=graftling&force=true",
        text("/metadata/name").unwrap()
    ))
    .header("content-type", "application/apply-patch+yaml")
    .body(serde_json::to_vec(body).unwrap())
    .unwrap();
    match client.request_text(request).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn threats_t14_to_t26_hostile_objects_are_refused_with_file_and_object_by_both_fences() {
    let scene = Scene::start("hostile", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let position = scene.position();
    let client = deployer(&scene).await;
    let mut surprises = Vec::new();
    for Hostile { what, yaml, told, answer } in HOSTILE {
        let yaml = yaml.replace("NS", &name);
        scene.template(&format!("{CONFIG}---\n{yaml}\n"));
        scene.push("feature/a");
        let words: Vec<_> = ["templates/all.yaml:"].iter().chain(*told).copied().collect();
        scene.told("feature/a", Phase::Failed, &words).await;
        // With the policy out of the way: what does the API server say to the deployer itself?
        let mut body: Value = serde_saphyr::from_str(&yaml).unwrap();
        if body["subjects"].is_array() {
            body["subjects"][0]["namespace"] = json!(name);
        }
        let answered = directly(&client, &body).await;
        if answered != *answer {
            surprises.push((what, answered));
        }
    }
    assert_eq!(surprises, [], "what the API server answered instead");
    let written = scene.writes_inside(position, &environment);
    // What RBAC cannot refuse was written by this test, under names that the bundle's objects do not have otherwise.
    let by_test = |write: &String| {
        HOSTILE
            .iter()
            .any(|hostile| hostile.answer == 200 && write.ends_with(&hostile.name()))
    };
    let by_server: Vec<_> = written.iter().filter(|write| !write.ends_with(" 403") && !by_test(write)).collect();
    assert_eq!(by_server, Vec::<&String>::new(), "a refused bundle writes nothing");
    scene.template(CONFIG);
    scene.up("feature/a").await;
}

/// Every way that the Pod Security level `baseline` knows.
fn privileged_pods() -> Vec<(&'static str, Value)> {
    let container = |extra: Value| {
        let mut container = json!({ "name": "a", "image": "registry.example/a:1" });
        crate::world::merge(&mut container, extra);
        json!({ "containers": [container] })
    };
    let pod = |extra: Value| {
        let mut spec = container(json!({}));
        crate::world::merge(&mut spec, extra);
        spec
    };
    vec![
        ("privileged", container(json!({ "securityContext": { "privileged": true } }))),
        (
            "capabilities",
            container(json!({ "securityContext": { "capabilities": { "add": ["SYS_ADMIN"] } } })),
        ),
        ("hostPort", container(json!({ "ports": [{ "containerPort": 80, "hostPort": 80 }] }))),
        (
            "procMount",
            pod(json!({ "containers": [{ "name": "a", "image": "a", "securityContext": { "procMount": "Unmasked" } }] })),
        ),
        (
            "unconfined",
            container(json!({ "securityContext": { "seccompProfile": { "type": "Unconfined" } } })),
        ),
        ("hostNetwork", pod(json!({ "hostNetwork": true }))),
        ("hostPID", pod(json!({ "hostPID": true }))),
        ("hostIPC", pod(json!({ "hostIPC": true }))),
        (
            "hostPath",
            pod(json!({ "volumes": [{ "name": "a", "hostPath": { "path": "/" } }] })),
        ),
        (
            "sysctls",
            pod(json!({ "securityContext": { "sysctls": [{ "name": "kernel.msgmax", "value": "1" }] } })),
        ),
        (
            "seLinux",
            pod(json!({ "securityContext": { "seLinuxOptions": { "type": "spc_t" } } })),
        ),
        (
            "appArmor",
            pod(json!({ "securityContext": { "appArmorProfile": { "type": "Unconfined" } } })),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t17_pod_security_refuses_every_privileged_pod_and_the_status_says_so() {
    let scene = Scene::start("privileged", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let client = deployer(&scene).await;
    let as_deployer: Api<DynamicObject> = Api::namespaced_with(
        client,
        &name,
        &kube::discovery::ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&()),
    );
    let harmless = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "fine" }, "spec": { "containers": [{ "name": "a", "image": "a" }] } });
    as_deployer
        .create(&PostParams::default(), &serde_json::from_value(harmless).unwrap())
        .await
        .expect("a plain pod is fine");
    for (what, spec) in privileged_pods() {
        let body = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "bad" }, "spec": spec });
        let refused = as_deployer
            .create(&PostParams::default(), &serde_json::from_value(body).unwrap())
            .await;
        match refused {
            Err(kube::Error::Api(status)) if status.code == 403 && status.message.contains("violates PodSecurity") => {}
            // The API server's own validation comes first: it runs without --allow-privileged, and wants a user namespace for procMount.
            Err(kube::Error::Api(status)) if status.code == 422 && ["privileged", "procMount"].contains(&what) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
    // T19: the deployer's account is elsewhere; a pod cannot run as it.
    let body = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "bad" },
        "spec": { "serviceAccountName": "graftling-deployer", "containers": [{ "name": "a", "image": "a" }] } });
    let refused = as_deployer
        .create(&PostParams::default(), &serde_json::from_value(body).unwrap())
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("serviceaccount \"graftling-deployer\" not found"),
        "{refused}"
    );

    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {hostNetwork: true, containers: [{name: a, image: a}]}\n";
    scene.template(&format!("{CONFIG}{pod}"));
    scene.push("feature/a");
    scene
        .told(
            "feature/a",
            Phase::Failed,
            &["Pod bad", "more rights than the level", "hostNetwork"],
        )
        .await;
    let deployment = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\nspec:\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec: {hostPID: true, containers: [{name: a, image: a}]}\n";
    scene.template(&format!("{CONFIG}{deployment}"));
    scene.push("feature/a");
    scene
        .told(
            "feature/a",
            Phase::Deploying,
            &["Deployment bad", "more rights than the level", "hostPID"],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t17_a_deployer_cannot_loosen_the_namespace() {
    let scene = Scene::start("relabel", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let client = deployer(&scene).await;
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client);
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "privileged" } } }));
    let refused = api
        .patch(&environment.name_any(), &PatchParams::default(), &patch)
        .await
        .unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");
}

/// What Git allows in the name of a branch is more than what YAML, a shell or a template would like.
#[tokio::test(flavor = "multi_thread")]
async fn threat_t27_a_branch_named_like_code_is_text_in_every_object() {
    const TELLS: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  annotations: {branch: {{branch}}, quoted: {{quote branch}}}
data:
  plain: {{branch}}
  folded: >-
    on {{branch}}
  {{dnsLabel branch}}: key
";
    let scene = Scene::start("evil-names", TELLS).await;
    for branch in [
        "true",
        "012",
        "x\"-{{branch}}",
        "a'#b",
        "-feature/{}[]",
        "ä/🎉&!%@`|>",
        "a;$(reboot)",
    ] {
        // A branch may not begin with a dash in Git's own commands; below a folder, any part may.
        let branch = branch.strip_prefix('-').map_or(branch.to_owned(), |rest| format!("x/-{rest}"));
        let Ok(revision) = scene.repository.commit(&branch, &[]) else {
            continue; // Not every sign is allowed in a ref; what Git refuses cannot arrive.
        };
        let environment = scene.world.wait_for(&branch, Phase::Ready, &revision).await;
        let settings = scene
            .read("v1", "ConfigMap", &environment.name_any(), "settings")
            .await
            .unwrap_or_else(|| panic!("{branch}"));
        assert_eq!(settings["data"]["plain"], branch, "{branch}");
        assert_eq!(settings["data"]["folded"], format!("on {branch}"), "{branch}");
        assert_eq!(settings["metadata"]["annotations"]["branch"], branch, "{branch}");
        assert_eq!(settings["metadata"]["annotations"]["quoted"], branch, "{branch}");
        assert_eq!(settings["data"].as_object().map(serde_json::Map::len), Some(3), "{branch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t28_a_branch_that_burns_time_fails_alone_and_the_others_go_on() {
    let rounds = "{{#each @root.values.list}}".repeat(3);
    let ends = "{{/each}}".repeat(3);
    let nothing = "{{#if @root.values.nothing}}{{/if}}".repeat(500);
    let template = format!("{CONFIG}{{{{#if (hasPrefix \"burn/\" branch)}}}}{rounds}{nothing}{ends}{{{{/if}}}}\n");
    let values = json!({ "values": { "list": vec![1; 300], "nothing": false } });
    let scene = Scene::with("burns", &template, values, &[]).await;
    scene.push("burn/a");
    scene.push("burn/b");
    for branch in ["feature/a", "feature/b"] {
        scene.up(branch).await;
    }
    for branch in ["burn/a", "burn/b"] {
        scene.told(branch, Phase::Failed, &["does it have large loops?"]).await;
    }
    scene.up("feature/a").await;
}
