//! Those outside whom a Project names are told of its environments: once, in order, and also after they or the server were away.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};
use testbed::wait;
use tokio::net::TcpListener;

use super::errands::receiver::{Receiver, Request};
use super::scene::{CONFIG, Scene};
use crate::world::{LONG, objects};

const SECRET: &[u8] = b"s1gning-s3cret";

fn project(notifications: Value) -> Value {
    json!({"policy": {"webhooks": ["127.0.0.1"]}, "notifications": notifications})
}

async fn secret(scene: &Scene, name: &str, value: &str, labels: Value) {
    let home = scene.world.namespace.name();
    let body = json!({"metadata": {"labels": labels}, "stringData": {"secret": value}});
    objects::apply(&scene.world.client, "v1", "Secret", Some(home), name, body).await;
}

fn marked() -> Value {
    json!({"graftling.dev/for-stages": "true"})
}

fn outbound(receivers: &[std::net::SocketAddr]) -> Vec<String> {
    receivers.iter().map(|address| format!("--outbound-hosts={address}")).collect()
}

fn id(request: &Request) -> String {
    request.headers["webhook-id"].clone()
}

/// What CloudEvents and CDEvents require of a body, and the kind of event.
fn kind(request: &Request) -> String {
    assert_eq!(request.headers["content-type"], "application/cloudevents+json");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(
        (&body["specversion"], body["id"].as_str()),
        (&json!("1.0"), Some(id(request).as_str()))
    );
    assert!(body["source"].as_str().unwrap().starts_with("/apis/graftling.dev/"), "{body}");
    assert_eq!(body["data"]["context"]["id"], body["id"]);
    let kind = body["type"].as_str().unwrap().strip_prefix("dev.cdevents.").unwrap();
    kind.strip_suffix(".0.3.0").unwrap().to_owned()
}

fn is_signed(request: &Request) -> bool {
    let header = |name: &str| request.headers[name].as_str();
    let signature = STANDARD.decode(header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), request.body);
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes(), &signature).is_ok()
}

/// The requests, each event once: what was told is told again when it cannot be known that it was.
fn once(requests: Vec<Request>) -> Vec<Request> {
    let mut seen = BTreeSet::new();
    requests.into_iter().filter(|request| seen.insert(id(request))).collect()
}

async fn wait_for(receiver: &Receiver, last: &str) -> Vec<Request> {
    wait::until(&format!("an event {last}"), LONG, || async {
        let kinds: Vec<String> = receiver.requests().iter().map(kind).collect();
        if kinds.iter().any(|kind| kind == last) {
            Ok(())
        } else {
            Err(format!("{kinds:?}"))
        }
    })
    .await;
    once(receiver.requests())
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_f5_feature_e4_the_life_of_an_environment_is_told_in_order_whoever_else_hangs() {
    let receiver = Receiver::start(|_| (202, String::new())).await;
    let chat = Receiver::start(|_| (200, "ok".to_owned())).await;
    // Takes connections and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deaf = (deaf.local_addr().unwrap(), deaf);
    let notifications = json!([
        {"name": "deaf", "url": format!("http://{}/", deaf.0)},
        {"name": "ci", "url": format!("http://{}/events", receiver.address), "secretRef": {"name": "signing"}},
        {"name": "chat", "urlFrom": {"name": "chat"}, "format": "Slack", "events": ["service.deployed", "environment.deleted"]},
    ]);
    let arguments = outbound(&[receiver.address, chat.address, deaf.0]);
    let scene = Scene::with_arguments("events", CONFIG, project(notifications), &arguments).await;
    secret(&scene, "signing", "s1gning-s3cret", marked()).await;
    secret(&scene, "chat", &format!("http://{}/services/T0/B0/t0ken", chat.address), marked()).await;

    let environment = scene.up("feature/a").await;
    wait_for(&receiver, "service.deployed").await;
    scene.up("feature/a").await;
    wait_for(&receiver, "environment.modified").await;
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    let told = wait_for(&receiver, "environment.deleted").await;
    let kinds: Vec<String> = told.iter().map(kind).collect();
    let runs = ["pipelinerun.started", "pipelinerun.finished", "service.deployed"];
    let wanted = [
        &["environment.created"],
        &runs[..],
        &runs[..],
        &["environment.modified", "service.removed", "environment.deleted"],
    ];
    assert_eq!(kinds, wanted.concat());
    assert!(told.iter().all(is_signed));
    let uid = environment.uid().unwrap();
    assert!(told.iter().all(|request| id(request).starts_with(&uid)), "{told:?}");

    let lines = wait::until("the last line in the chat", LONG, || async {
        let requests = once(chat.requests());
        let lines: Vec<Value> = requests
            .iter()
            .map(|request| serde_json::from_str(&request.body).unwrap())
            .collect();
        let is_over = lines.iter().any(|line| line["text"].as_str().unwrap().contains("is gone"));
        is_over.then_some(lines).ok_or_else(|| format!("{requests:?}"))
    })
    .await;
    assert_eq!(lines.len(), 3, "only what was subscribed to: {lines:?}");
    assert_eq!(chat.requests()[0].path, "/services/T0/B0/t0ken");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_e4_nothing_is_lost_while_the_receiver_and_then_the_server_were_away() {
    let (is_up, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (up, tried) = (is_up.clone(), seen.clone());
    let receiver = Receiver::start(move |_| {
        tried.store(true, Ordering::SeqCst);
        (if up.load(Ordering::SeqCst) { 200 } else { 503 }, String::new())
    })
    .await;
    let notifications = json!([{"name": "ci", "url": format!("http://{}/", receiver.address), "secretRef": {"name": "signing"}}]);
    let mut scene = Scene::with_arguments("events-away", CONFIG, project(notifications), &outbound(&[receiver.address])).await;
    secret(&scene, "signing", "s1gning-s3cret", marked()).await;
    scene.up("feature/a").await;
    scene.up("feature/b").await;
    wait::until("a try", LONG, || async { seen.load(Ordering::SeqCst).then_some(()) }).await;
    let refused: BTreeSet<String> = receiver.requests().iter().map(id).collect();
    scene.repository.delete_branches(&["feature/b"]).unwrap();
    scene.world.wait_gone("feature/b").await;
    scene.world.server.take().unwrap().running.kill_hard().await.unwrap();

    is_up.store(true, Ordering::SeqCst);
    scene.world.start_server().await;
    let told = wait_for(&receiver, "environment.deleted").await;
    let ids: BTreeSet<String> = told.iter().map(id).collect();
    assert!(refused.is_subset(&ids), "{refused:?} {ids:?}");
    let count = |wanted: &str| told.iter().filter(|request| kind(request) == wanted).count();
    wait::until("the other environment to be told", LONG, || async {
        (receiver
            .requests()
            .iter()
            .filter(|request| kind(request) == "service.deployed")
            .count()
            >= 2)
            .then_some(())
    })
    .await;
    assert_eq!((count("environment.deleted"), count("service.removed")), (1, 1));
    let told = once(receiver.requests());
    for wanted in [
        "environment.created",
        "pipelinerun.started",
        "pipelinerun.finished",
        "service.deployed",
    ] {
        let count = told.iter().filter(|request| kind(request) == wanted).count();
        assert_eq!(count, 2, "{wanted}: the one that is there and the one that is gone");
    }
    assert!(told.iter().all(is_signed));
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_e4_a_secret_that_is_not_for_this_signs_nothing_and_a_later_push_is_told_once_it_is() {
    let receiver = Receiver::start(|_| (200, String::new())).await;
    let notifications = json!([{"name": "ci", "url": format!("http://{}/", receiver.address), "secretRef": {"name": "signing"}}]);
    let scene = Scene::with_arguments("events-secret", CONFIG, project(notifications), &outbound(&[receiver.address])).await;
    secret(&scene, "signing", "s1gning-s3cret", json!({})).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    wait::until("a mark of the receiver", LONG, || async {
        let environment = scene.world.environment("feature/a").await.unwrap();
        environment.annotations().contains_key("graftling.dev/told-events-0").then_some(())
    })
    .await;
    assert!(receiver.requests().is_empty(), "nothing goes out unsigned");
    secret(&scene, "signing", "s1gning-s3cret", marked()).await;
    let revision = scene.push("feature/a");
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    let told = wait_for(&receiver, "environment.created").await;
    assert!(told.iter().all(is_signed) && told[0].body.contains(&name));
}
