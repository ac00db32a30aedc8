//! What really went wrong in a container is told where people look, and what to do about it.

use graftling::api::environment::Phase;
use serde_json::{Value, json};
use testbed::node::image;
use testbed::wait;

use crate::e2e::command::env;
use crate::e2e::scene::Scene;
use crate::world::{LONG, ready_reason};

/// A Deployment `web` of one container, with this more in it.
fn web(container: Value) -> Value {
    let mut all = json!({ "name": "web", "image": image::BUSYBOX });
    crate::world::merge(&mut all, container);
    let spec = json!({
        "selector": { "matchLabels": { "app": "web" } },
        "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "terminationGracePeriodSeconds": 1, "containers": [all] } },
    });
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" }, "spec": spec })
}

/// A check that nothing passes. Without one, Kubernetes takes a container for ready as soon as it runs, if only for a moment.
fn never() -> Value {
    json!({ "exec": { "command": ["false"] }, "periodSeconds": 1 })
}

/// Pushes, and holds what the status and `graftling env why` say.
async fn tells(name: &str, container: Value, reason: &str, words: &[&str], next: &str) {
    template_tells(name, &web(container).to_string(), reason, words, next).await;
}

async fn template_tells(name: &str, template: &str, reason: &str, words: &[&str], next: &str) {
    let Some(scene) = Scene::on_node(name, template, json!({})).await else {
        return;
    };
    scene.push("feature/a");
    let status = scene.told("feature/a", Phase::Deploying, words).await;
    assert_eq!(ready_reason(&status.conditions), reason, "{:?}", status.message);
    // Between two ends of a container there may be no log to be had for a moment.
    wait::until(format!("answer with {words:?} and {next:?}"), LONG, || async {
        let told = env(&scene, &["why", "feature/a"]).await;
        assert_eq!((told.code, told.errors.as_str()), (0, ""));
        let is_told = words.iter().chain([&next]).all(|words| told.output.contains(words));
        if is_told { Ok(()) } else { Err(told.output) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_c6_a_container_that_crashes_again_and_again_is_explained_by_its_last_words() {
    let command = ["sh", "-c", "exec >&2; echo starting; echo cannot reach the database; exit 1"];
    let container = json!({ "command": command, "readinessProbe": never() });
    let words = ["web starts and ends again and again (exit code 1)", "cannot reach the database"];
    tells(
        "crash",
        container,
        "CrashLoop",
        &words,
        "Next: mend the program or its settings and push again",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_c6_a_container_that_needs_more_memory_than_it_may_is_explained_by_its_limit() {
    let container = json!({ "command": ["sh", "-c", "tail -c 200000000 /dev/zero | wc -c; exit 137"], "resources": { "limits": { "memory": "24Mi" } }, "readinessProbe": never() });
    let words = ["web was ended because it used more memory than the 24Mi that it may"];
    tells("memory", container, "OutOfMemory", &words, "resources.limits.memory").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_c6_an_image_that_no_registry_has_is_explained_by_its_name() {
    let words = [image::MISSING, "is not in the registry"];
    tells("missing", json!({ "image": image::MISSING }), "ImageNotFound", &words, "Next: ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_c6_credentials_that_a_registry_does_not_accept_are_explained_by_the_secret_that_holds_them() {
    let mut deployment = web(json!({ "image": image::PRIVATE }));
    deployment["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{ "name": "pull" }]);
    let credentials = json!({ "auths": { "local.test": { "username": "somebody", "password": "wrong" } } }).to_string();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": { "name": "pull" }, "stringData": { ".dockerconfigjson": credentials },
    });
    let words = ["does not let the cluster read its image local.test/private/web:1"];
    let template = format!("{deployment}\n---\n{secret}\n");
    template_tells("private", &template, "PullSecretWrong", &words, "pull secret pull").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_c6_a_check_that_fails_is_explained_by_what_it_got() {
    let container = json!({
        "command": ["httpd", "-f", "-p", "8080", "-h", "/tmp"],
        "readinessProbe": { "httpGet": { "path": "/healthz", "port": 8080 }, "periodSeconds": 1 },
    });
    tells(
        "check",
        container,
        "ProbeFailing",
        &["web runs but does not become ready", "404"],
        "Next: ",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_c6_a_check_of_another_port_than_the_program_has_is_explained() {
    let container = json!({
        "image": image::WEB, "ports": [{ "containerPort": 8080 }],
        "readinessProbe": { "tcpSocket": { "port": 8081 }, "periodSeconds": 1 },
    });
    let words = ["its check asks on port 8081, where nobody listens: it says that it listens on 8080"];
    tells("port", container, "PortMismatch", &words, "Next: correct the port in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_c6_a_command_that_is_not_in_the_image_is_explained() {
    let words = ["web cannot start: the command \"serve-it\" does not exist in its image"];
    tells(
        "command",
        json!({ "command": ["serve-it"] }),
        "CannotStart",
        &words,
        "Next: put the program into the image",
    )
    .await;
}
