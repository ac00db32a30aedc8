//! Stages that ask the outside: webhooks, checks, statuses of commits and images, and what waiting for them costs.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

pub mod receiver;

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};
use testbed::github::FakeGithub;
use testbed::{Repository, wait};

use self::receiver::{Receiver, Request};
use super::scene::{CONFIG, Scene, write_bundle};
use crate::world::objects;
use crate::world::{LONG, Options, World};

const LATER: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: later}
data: {revision: "{{revision}}"}
"#;

/// A Project `shop` whose bundle has this pipeline, and a template for its last stage.
async fn scene(name: &str, pipeline: &str, project: Value, receiver: &Receiver) -> Scene {
    let arguments = [format!("--outbound-hosts={}", receiver.address)];
    let scene = Scene::with_arguments(name, CONFIG, project, &arguments).await;
    write(&scene, pipeline);
    scene
}

fn write(scene: &Scene, pipeline: &str) {
    let folder = scene.bundle_folder();
    fs::write(folder.join("templates/later.yaml"), LATER).unwrap();
    fs::write(folder.join("pipeline.yaml"), pipeline).unwrap();
}

/// Webhooks to loopback, and to nobody else.
fn allowing() -> Value {
    json!({"policy": {"webhooks": ["127.0.0.1"], "registries": ["127.0.0.1"]}})
}

/// Makes the Secret that webhooks are signed with.
async fn signing_secret(scene: &Scene, labels: Value) {
    let home = scene.world.namespace.name();
    let body = json!({"metadata": {"labels": labels}, "stringData": {"key": "s1gning-s3cret"}});
    objects::apply(&scene.world.client, "v1", "Secret", Some(home), "signing", body).await;
}

async fn until<T>(what: &str, condition: impl Fn() -> Option<T>) -> T {
    wait::until(what, LONG, || async { condition() }).await
}

fn is_signed(request: &Request) -> bool {
    let header = |name: &str| request.headers[name].as_str();
    let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), request.body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s1gning-s3cret");
    hmac::verify(&key, signed.as_bytes(), &STANDARD.decode(signature).unwrap()).is_ok()
}

fn keys(calls: &[Request]) -> Vec<String> {
    let mut keys: Vec<String> = calls.iter().map(|call| call.headers["idempotency-key"].clone()).collect();
    keys.dedup();
    keys
}

const WEBHOOK: &str = "\
stages:
  - name: settings
    apply: all.yaml
  - name: notify
    needs: [settings]
    timeout: 5m
    webhook:
      url: http://RECEIVER/hooks?token=t0ken
      body: {branch: '{{branch}}'}
      secret: {name: signing, key: key}
      waitFor: {path: job.state, equals: done, failed: error, statusUrl: job.url, every: 1s}
  - name: later
    needs: [notify]
    apply: later.yaml
";

#[tokio::test(flavor = "multi_thread")]
async fn feature_s1_f26_a_call_is_signed_delivered_again_and_waited_for_under_one_key_over_a_restart() {
    let state = Arc::new(Mutex::new(("running", 0)));
    let shared = state.clone();
    let receiver = Receiver::start(move |request| {
        let (job, calls) = &mut *shared.lock().unwrap();
        *calls += usize::from(request.method == "POST");
        match (request.method.as_str(), *calls) {
            ("POST", 1) => (503, "starting".to_owned()),
            ("POST", _) => (202, r#"{"job": {"state": "queued", "url": "/jobs/1"}}"#.to_owned()),
            _ => (200, format!("{{\"job\": {{\"state\": \"{job}\"}}}}")),
        }
    })
    .await;
    let pipeline = WEBHOOK.replace("RECEIVER", &receiver.address.to_string());
    let mut scene = scene("webhook", &pipeline, allowing(), &receiver).await;
    signing_secret(&scene, json!({"graftling.dev/for-stages": "true"})).await;
    let revision = scene.push("feature/a");
    until("the other side is asked how it goes on", || receiver.by("GET").pop()).await;
    let environment = scene.world.environment("feature/a").await.unwrap();
    let later = scene.read("v1", "ConfigMap", &environment.name_any(), "later").await;
    assert!(later.is_none(), "the stage after it waits");

    let calls = receiver.by("POST").len();
    scene.world.server.take().unwrap().running.kill_hard().await.unwrap();
    scene.world.start_server().await;
    until("the call is made again", || (receiver.by("POST").len() > calls).then_some(())).await;
    state.lock().unwrap().0 = "done";
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;

    let calls = receiver.by("POST");
    assert_eq!(keys(&calls).len(), 1, "{calls:?}");
    assert!(calls.iter().all(is_signed), "{calls:?}");
    assert!(calls.iter().all(|call| call.body == r#"{"branch":"feature/a"}"#), "{calls:?}");
    assert!(receiver.by("GET").iter().all(|asked| asked.path == "/jobs/1"));
    let status = json!(scene.world.environment("feature/a").await.unwrap().status).to_string();
    let log = fs::read_to_string(scene.world.server().running.log_file()).unwrap();
    for secret in ["s1gning-s3cret", "t0ken"] {
        assert!(!status.contains(secret) && !log.contains(secret), "{secret} is shown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t31_a_call_needs_the_word_of_the_project_and_a_secret_that_is_meant_for_it() {
    let receiver = Receiver::start(|_| (200, r#"{"job": {"state": "done"}}"#.to_owned())).await;
    let pipeline = WEBHOOK.replace("RECEIVER", &receiver.address.to_string());
    let scene = scene("allowed", &pipeline, json!({}), &receiver).await;
    signing_secret(&scene, json!({})).await;
    scene.push("feature/a");
    scene.told("feature/a", Phase::Failed, &["notify", "spec.policy.webhooks"]).await;
    scene.change_project(allowing()).await;
    scene.push("feature/a");
    scene
        .told("feature/a", Phase::Failed, &["notify", "graftling.dev/for-stages"])
        .await;
    assert!(receiver.requests().is_empty());
    signing_secret(&scene, json!({"graftling.dev/for-stages": "true"})).await;
    scene.up("feature/a").await;
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f27_a_call_whose_end_does_not_come_is_tried_again_under_another_key_and_then_fails() {
    let receiver = Receiver::start(|_| (202, r#"{"job": {"state": "running", "url": "/jobs/1"}}"#.to_owned())).await;
    let pipeline = WEBHOOK
        .replace("RECEIVER", &receiver.address.to_string())
        .replace("timeout: 5m", "timeout: 3s\n    retries: 1");
    let scene = scene("timeout", &pipeline, allowing(), &receiver).await;
    signing_secret(&scene, json!({"graftling.dev/for-stages": "true"})).await;
    scene.push("feature/a");
    let status = scene.told("feature/a", Phase::Failed, &["notify", "not done after 3s"]).await;
    assert_eq!(keys(&receiver.by("POST")).len(), 2, "{:?}", receiver.by("POST"));
    let later = status.stages.iter().find(|stage| stage.name == "later").unwrap();
    assert_eq!(later.state.as_str(), "Skipped");
}

const WEB: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: PORT}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "registry.example/web:1"}]
"#;

const CHECK: &str = "\
stages:
  - name: web
    apply: all.yaml
  - name: smoke
    needs: [web]
    check:
      http: {service: web, port: http, path: '/health?branch={{slug}}', contains: well, within: 2s}
      every: 1s
      successes: 2
      failures: 100
  - name: later
    needs: [smoke]
    apply: later.yaml
";

/// Gives the pods of an environment an address on loopback, as their node would.
async fn move_pods(scene: &Scene, namespace: &str) {
    let pods = objects::api(&scene.world.client, "v1", "Pod", Some(namespace)).await;
    let found = wait::until("the pods of web are ready", LONG, || async {
        let pods = pods.list(&kube::api::ListParams::default().labels("app=web")).await.unwrap().items;
        let is_ready = |pod: &kube::api::DynamicObject| pod.data["status"]["podIP"].is_string();
        (!pods.is_empty() && pods.iter().all(is_ready)).then_some(pods)
    })
    .await;
    for pod in found {
        let status = json!({"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}});
        let patch = kube::api::Patch::Merge(status);
        pods.patch_status(&pod.name_any(), &kube::api::PatchParams::default(), &patch)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s1_a_check_asks_the_pods_behind_a_service_and_later_stages_wait_for_it() {
    let health = Arc::new(Mutex::new((500, "ill")));
    let shared = health.clone();
    let receiver = Receiver::start(move |_| {
        let (status, body) = *shared.lock().unwrap();
        (status, body.to_owned())
    })
    .await;
    let scene = scene("check", CHECK, json!({}), &receiver).await;
    scene.template(&WEB.replace("PORT", &receiver.address.port().to_string()));
    let revision = scene.push("feature/a");
    let name = until_named(&scene).await;
    move_pods(&scene, &name).await;
    scene
        .told("feature/a", Phase::Deploying, &["smoke", "HTTP 500, and 2xx is needed: ill"])
        .await;
    *health.lock().unwrap() = (200, "quite ill");
    scene.told("feature/a", Phase::Deploying, &["does not contain \"well\""]).await;
    assert!(scene.read("v1", "ConfigMap", &name, "later").await.is_none());
    *health.lock().unwrap() = (200, "all is well");
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    let asked = receiver.requests();
    assert!(
        asked.iter().all(|request| request.path.starts_with("/health?branch=feature-a")),
        "{asked:?}"
    );
    assert_eq!(asked[0].headers["host"], format!("web.{name}.svc"));

    *health.lock().unwrap() = (503, "down");
    write(&scene, &CHECK.replace("failures: 100", "failures: 2"));
    let before = scene.read("v1", "ConfigMap", &name, "later").await.unwrap();
    scene.push("feature/a");
    scene
        .told("feature/a", Phase::Failed, &["smoke", "HTTP 503", "2 times in a row"])
        .await;
    let after = scene.read("v1", "ConfigMap", &name, "later").await.unwrap();
    assert_eq!(before["data"], after["data"], "what comes later is left as it was");
}

async fn until_named(scene: &Scene) -> String {
    wait::until("the Environment", LONG, || async {
        Some(scene.world.environment("feature/a").await?.name_any())
    })
    .await
}

const STATUS: &str = "\
stages:
  - name: built
    wait:
      commitStatus: {context: ci/build}
      every: 1s
  - name: settings
    needs: [built]
    apply: all.yaml
";

#[tokio::test(flavor = "multi_thread")]
async fn feature_t14_nothing_is_deployed_before_the_commit_has_its_status_and_the_old_revision_stays() {
    let bundles = tempfile::tempdir().unwrap();
    write_bundle(bundles.path().join("app"), LATER);
    fs::write(bundles.path().join("app/pipeline.yaml"), STATUS).unwrap();
    let options = Options {
        bundles: bundles.path().to_owned(),
        ..Options::default()
    };
    let world = World::with("status", options).await;
    let repository = Repository::create().unwrap();
    let github = FakeGithub::start().await.unwrap();
    github.add_repository("acme", "shop", 7, &repository.path(), "main");
    world.github_host("hub", &github).await;
    let spec = json!({"bundle": {"name": "app"}, "branches": {"exclude": ["main"]}});
    world.project_at("hub", "shop", "acme/shop", spec).await;

    let first = repository.commit("feature/a", &[]).unwrap();
    let told = |words: &'static str| {
        world.wait_until("feature/a", words, move |environment| {
            let message = environment.status.as_ref().and_then(|status| status.message.clone());
            message.is_some_and(|message| message.contains(words))
        })
    };
    let environment = told("the commit has no status \"ci/build\" yet").await;
    let name = environment.name_any();
    let settings = || async {
        let api = objects::api(&world.client, "v1", "ConfigMap", Some(&name)).await;
        let object = api.get_opt("later").await.unwrap()?;
        Some(object.data["data"]["revision"].as_str().unwrap().to_owned())
    };
    assert_eq!(settings().await, None);
    github.set_status(7, &first, "ci/build", "pending");
    told("is pending").await;
    github.set_status(7, &first, "ci/build", "success");
    world.wait_ready("feature/a", &first).await;
    assert_eq!(settings().await.as_deref(), Some(first.as_str()));

    let second = repository.commit("feature/a", &[]).unwrap();
    github.set_status(7, &second, "ci/build", "failure");
    world
        .wait_until("feature/a", "that failed", |environment| {
            let status = environment.status.clone().unwrap_or_default();
            status.phase == Some(Phase::Failed) && status.message.unwrap_or_default().contains("is failure")
        })
        .await;
    assert_eq!(settings().await.as_deref(), Some(first.as_str()), "the old revision stays");
}

const IMAGE: &str = "\
stages:
  - name: built
    wait:
      image: RECEIVER/acme/shop:{{shortRevision}}
      every: 30m
  - name: settings
    needs: [built]
    apply: all.yaml
";

#[tokio::test(flavor = "multi_thread")]
async fn feature_s5_fifty_environments_that_wait_cost_no_request() {
    const WAITING: usize = 50;
    let registry = Receiver::start(|_| (404, String::new())).await;
    let pipeline = IMAGE.replace("RECEIVER", &registry.address.to_string());
    let scene = scene("waiting", &pipeline, allowing(), &registry).await;
    for number in 0..WAITING {
        scene.push(&format!("feature/{number}"));
    }
    wait::until("all wait for their image", LONG, || async {
        let all = scene.world.environments().list(&kube::api::ListParams::default()).await.unwrap();
        let waits = all.items.iter().filter(|environment| {
            let message = environment.status.as_ref().and_then(|status| status.message.as_deref());
            message.is_some_and(|message| message.contains("is not there yet"))
        });
        let count = waits.count();
        if count == WAITING {
            Ok(())
        } else {
            Err(format!("{count} of {WAITING}"))
        }
    })
    .await;
    let asked = registry.by("HEAD").len();
    assert_eq!(asked, WAITING);
    // The passes that told of the answers may still be ending.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let position = scene.position();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let user = scene.world.server_user();
    let mut requests = scene.world.plane.audit().since(position);
    let is_about_one = |namespace: &str, resource: &str| resource == "environments" || namespace.starts_with("shop-");
    requests.retain(|event| event.user == user && event.verb != "watch" && is_about_one(&event.namespace, &event.resource));
    assert!(requests.is_empty(), "{requests:#?}");
    assert_eq!(registry.by("HEAD").len(), asked);
    assert!(scene.world.metric("graftling_errands_in_flight").await.abs() < f64::EPSILON);
}
