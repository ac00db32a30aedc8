//! Each fault does what it says, on both sides of the proxy: what the client sees, and what the real API server was asked.

mod resets;
mod scene;

use std::time::{Duration, Instant};

use scene::Scene;
use serde_json::json;
use testbed::fault_proxy::{Fault, FaultProxy, Gate, Rule, Selector};
use testbed::wait;

const LIMIT: Duration = Duration::from_secs(30);

fn creation(name: &str) -> Rule {
    Rule::on(Selector::writes().verb("create").resource("configmaps").name(name))
}

#[tokio::test]
async fn without_a_rule_everything_passes_and_is_in_the_log() {
    let scene = Scene::start("passes").await;
    assert_eq!(scene.create("a").await.unwrap().status, 201);
    let path = scene.path("/a");
    let answer = scene.ask("GET", &path, None).await.unwrap();
    assert_eq!(answer.body["data"]["key"], "value");
    let merge = ("application/merge-patch+json", json!({ "data": { "key": "other" } }));
    assert_eq!(scene.ask("PATCH", &path, Some(merge)).await.unwrap().status, 200);
    assert_eq!(scene.ask("DELETE", &path, None).await.unwrap().status, 200);
    let exchanges = scene.exchanges();
    let verbs: Vec<&str> = exchanges.iter().map(|exchange| exchange.request.verb.as_str()).collect();
    assert_eq!(verbs, ["create", "get", "patch", "delete"]);
    for exchange in &exchanges {
        assert_eq!(exchange.status, exchange.upstream);
        assert_eq!((exchange.injected, exchange.request.name.as_str()), (None, "a"));
        assert_eq!(exchange.request.namespace, scene.namespace.name());
        assert!(exchange.ended.is_some());
    }
    assert_eq!((scene.proxy.peak_in_flight(), scene.proxy.in_flight()), (1, 0));
}

#[tokio::test]
async fn a_request_dropped_before_is_never_sent_and_one_dropped_after_is_carried_out() {
    let scene = Scene::start("drops").await;
    let before = scene.proxy.add(creation("before"), Fault::DropBefore);
    scene.proxy.add(creation("after"), Fault::DropAfter);
    scene.create("before").await.unwrap_err();
    scene.create("after").await.unwrap_err();
    assert_eq!(scene.names().await, ["after"]);
    assert_eq!(before.count(), 1);
    let outcomes = scene.exchanges();
    let seen: Vec<_> = outcomes
        .iter()
        .map(|exchange| (exchange.injected, exchange.upstream, exchange.status))
        .collect();
    assert_eq!(seen, [(Some("DropBefore"), None, None), (Some("DropAfter"), Some(201), None)]);
    assert_eq!(scene.create("later").await.unwrap().status, 201, "the next connection works");
}

#[tokio::test]
async fn an_answer_in_place_of_the_server_is_a_status_and_only_the_match_that_is_meant_gets_it() {
    let scene = Scene::start("answers").await;
    let any = || Rule::on(Selector::writes().resource("configmaps"));
    scene.proxy.add(any().nth(1), Fault::answer(409));
    scene.proxy.add(any().nth(2), Fault::too_many(Some(7)));
    scene.proxy.add(any().nth(3), Fault::too_many(None));
    scene.proxy.add(any().nth(4), Fault::page(200));
    scene.proxy.add(any().nth(5), Fault::AnswerAfter { status: 504 });
    let conflict = scene.create("a").await.unwrap();
    assert_eq!((conflict.status, conflict.body["reason"].as_str()), (409, Some("Conflict")));
    let throttled = scene.create("a").await.unwrap();
    assert_eq!((throttled.status, throttled.retry_after.as_deref()), (429, Some("7")));
    assert_eq!(throttled.body["details"]["retryAfterSeconds"], 7);
    assert_eq!(scene.create("a").await.unwrap().retry_after, None);
    assert!(scene.create("a").await.unwrap().text.starts_with("<!DOCTYPE html>"));
    assert!(scene.names().await.is_empty());
    let late = scene.create("a").await.unwrap();
    assert_eq!((late.status, late.body["reason"].as_str()), (504, Some("Timeout")));
    assert_eq!(scene.names().await, ["a"], "carried out all the same");
    assert_eq!(scene.create("a").await.unwrap().body["reason"], "AlreadyExists");
}

#[tokio::test]
async fn a_request_stands_at_a_gate_before_or_after_it_is_carried_out() {
    let scene = Scene::start("gates").await;
    let (before, after) = (Gate::new(), Gate::new());
    scene.proxy.add(creation("before"), Fault::HoldBefore(before.clone()));
    scene.proxy.add(creation("after"), Fault::HoldAfter(after.clone()));
    let together = async {
        let (held_before, held_after) = tokio::join!(scene.create("before"), scene.create("after"));
        (held_before.unwrap().status, held_after.unwrap().status)
    };
    let look = async {
        before.reached().await;
        after.reached().await;
        assert_eq!(scene.names().await, ["after"]);
        assert_eq!(scene.proxy.in_flight(), 2);
        before.release();
        after.release();
    };
    let (answers, ()) = tokio::join!(together, look);
    assert_eq!(answers, (201, 201));
    assert_eq!(scene.names().await, ["after", "before"]);
}

#[tokio::test]
async fn a_held_request_whose_client_is_gone_is_never_sent() {
    let scene = Scene::start("gone").await;
    let gate = Gate::new();
    scene.proxy.add(creation("a"), Fault::HoldBefore(gate.clone()));
    let asking = async { tokio::select!(answer = scene.create("a") => panic!("{answer:?}"), () = gate.reached() => {}) };
    asking.await;
    wait::until("the proxy to see that the client is gone", LIMIT, || async { gate.standing() == 0 }).await;
    gate.release();
    let next = Gate::new();
    scene.proxy.clear();
    scene.proxy.add(creation("b"), Fault::HoldBefore(next.clone()));
    let (answer, ()) = tokio::join!(scene.create("b"), async {
        next.reached().await;
        next.abandon();
    });
    answer.unwrap_err();
    assert!(scene.names().await.is_empty());
}

#[tokio::test]
async fn a_body_that_is_cut_or_stalls_has_so_many_bytes() {
    let scene = Scene::start("bodies").await;
    scene.create("a").await.unwrap();
    let gets = || Rule::on(Selector::any().verb("get").name("a"));
    scene.proxy.add(gets().nth(1), Fault::CutBody { after: 10 });
    let pause = Duration::from_millis(700);
    scene.proxy.add(gets().nth(2), Fault::StallBody { after: 10, pause });
    let path = scene.path("/a");
    let mut cut = scene.open(&path).await;
    assert_eq!(cut.status(), 200);
    assert_eq!(cut.chunk().await.unwrap().unwrap().len(), 10);
    cut.chunk().await.unwrap_err();
    let started = Instant::now();
    let whole = scene.ask("GET", &path, None).await.unwrap();
    assert_eq!(whole.body["metadata"]["name"], "a");
    assert!(started.elapsed() >= pause, "{:?}", started.elapsed());
    scene.proxy.add(gets(), Fault::Delay(pause));
    let started = Instant::now();
    assert_eq!(scene.ask("GET", &path, None).await.unwrap().status, 200);
    assert!(started.elapsed() >= pause, "{:?}", started.elapsed());
}

#[tokio::test]
async fn gets_lists_and_watches_are_answered_from_an_older_version() {
    let scene = Scene::start("stale").await;
    scene.create("a").await.unwrap();
    let created = scene.create("b").await.unwrap();
    let version = created.body["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    scene.ask("DELETE", &scene.path("/a"), None).await.unwrap();
    scene.create("c").await.unwrap();
    let maps = || Selector::reads().resource("configmaps").namespace(scene.namespace.name());
    scene.proxy.add(Rule::on(maps()), Fault::Stale { version: version.clone() });
    let old = scene.ask("GET", &scene.path("/a"), None).await.unwrap();
    assert_eq!((old.status, old.body["kind"].as_str()), (200, Some("ConfigMap")));
    assert_eq!(old.body["apiVersion"], "v1");
    assert_eq!(scene.ask("GET", &scene.path("/c"), None).await.unwrap().status, 404);
    let list = scene.ask("GET", &scene.path("?limit=500"), None).await.unwrap();
    let names: Vec<_> = list.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["metadata"]["name"])
        .collect();
    assert!(names.contains(&&json!("a")) && !names.contains(&&json!("c")), "{names:?}");
    let mut watch = scene.watch("").await;
    assert_eq!(watch.next().await, ("DELETED".to_owned(), "a".to_owned()));
    assert_eq!(watch.next().await, ("ADDED".to_owned(), "c".to_owned()));
    assert_eq!(scene.names().await, ["b", "c"], "nobody else is lied to");
}

#[tokio::test]
async fn single_events_of_a_watch_are_swallowed_and_it_ends_when_it_is_to_end() {
    let scene = Scene::start("events").await;
    let map = |name: &str| Selector::any().resource("configmaps").name(name);
    let swallowed = scene.proxy.add(Rule::on(map("a").event("ADDED")).nth(1), Fault::SwallowEvent);
    let mut watch = scene.watch("").await;
    for name in ["a", "b"] {
        scene.create(name).await.unwrap();
    }
    assert_eq!(watch.next().await, ("ADDED".to_owned(), "b".to_owned()));
    scene.ask("DELETE", &scene.path("/a"), None).await.unwrap();
    assert_eq!(watch.next().await, ("DELETED".to_owned(), "a".to_owned()));
    assert_eq!(swallowed.count(), 1);
    assert_eq!(scene.proxy.in_flight(), 0, "watches do not count");

    let watches = Selector::any().verb("watch");
    scene
        .proxy
        .add(Rule::on(watches.clone()).nth(1), Fault::CutWatchAfter(Duration::from_millis(300)));
    let mut short = scene.watch("").await;
    assert_eq!(short.end().await, Ok(()));
    scene.proxy.add(Rule::on(watches).nth(2), Fault::expired());
    let mut open = scene.watch("").await;
    scene.proxy.end_watches(&Selector::any().resource("secrets"));
    scene.create("c").await.unwrap();
    assert_eq!(open.next().await, ("ADDED".to_owned(), "c".to_owned()), "others go on");
    scene.proxy.end_watches(&Selector::any().resource("configmaps"));
    assert_eq!(open.end().await, Ok(()));
    let mut expired = scene.watch("").await;
    assert_eq!(expired.line().await["object"]["code"], 410);
}

#[tokio::test]
async fn a_server_that_is_away_is_away_behind_the_proxy_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let proxy = FaultProxy::before_http(&format!("http://{address}/group/")).await.unwrap();
    assert!(proxy.url().ends_with("/group"), "{}", proxy.url());
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
    client.get(format!("{}/a?page=2", proxy.url())).send().await.unwrap_err();
    let exchange = proxy.exchanges().remove(0);
    assert_eq!(
        (exchange.request.path.as_str(), exchange.request.query.as_str()),
        ("/group/a", "page=2")
    );
    assert!(exchange.error.is_some() && exchange.status.is_none());
    proxy.add(Rule::on(Selector::any().path("page=3")), Fault::answer(502));
    let answer = client.get(format!("{}/a?page=3", proxy.url())).send().await.unwrap();
    assert_eq!(answer.status(), 502);
    assert!(answer.text().await.unwrap().contains("message"));
}

#[tokio::test]
async fn upgrades_are_refused() {
    let scene = Scene::start("upgrade").await;
    let answer = scene.upgrade(&scene.path("/a")).await;
    assert_eq!(answer.status, 501);
    assert!(answer.text.contains("no upgrade"), "{}", answer.text);
}
