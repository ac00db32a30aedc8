//! What wakes an environment.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use kube::discovery::ApiResource;
use serde_json::{Value, json};

use super::*;

fn resource(kind: &str) -> Resource {
    let gvk = kube::api::GroupVersionKind::gvk("", "v1", kind);
    Resource {
        api: ApiResource::from_gvk(&gvk),
        namespaced: kind != "Namespace",
    }
}

fn object(kind: &str, version: u64, rest: Value) -> DynamicObject {
    let name = if kind == "Namespace" { "shop-a" } else { "web" };
    let mut metadata = json!({
        "name": name, "uid": "u", "resourceVersion": version.to_string(),
        "labels": { keys::PROJECT_NAMESPACE_LABEL: "team", keys::ENVIRONMENT_LABEL: "shop-a" },
    });
    if kind != "Namespace" {
        metadata["namespace"] = json!("shop-a");
    }
    metadata.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    serde_json::from_value(json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata })).unwrap()
}

fn marked(finalizers: &[&str]) -> Value {
    json!({ "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers })
}

/// The cache with these kinds watched.
fn watching(kinds: &[&str]) -> LiveObjects {
    let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
        Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("no server"))
    });
    let (wake, _) = mpsc::channel(1);
    let live = LiveObjects::new(Client::new(service, "default"), wake, Duration::MAX);
    for kind in kinds {
        let (state, _) = watch::channel(WatchState::Synced);
        let id = (String::new(), (*kind).to_owned());
        live.lock().kinds.insert(id.clone(), KindCache::new(id, state));
    }
    live
}

fn wakes(live: &LiveObjects, kind: &str, event: Event<DynamicObject>) -> bool {
    live.take(&(String::new(), kind.to_owned()), &resource(kind), event).len() == 1
}

#[tokio::test]
async fn the_end_of_an_object_wakes_its_environment_and_what_changes_of_it_until_then_does_not() {
    let live = watching(&["Service"]);
    assert!(wakes(&live, "Service", Event::Apply(object("Service", 1, json!({})))));
    assert!(
        wakes(&live, "Service", Event::Apply(object("Service", 2, marked(&["a", "b"])))),
        "somebody deletes it"
    );
    assert!(
        !wakes(&live, "Service", Event::Apply(object("Service", 3, marked(&["a", "b"])))),
        "it is ending as it was"
    );
    assert!(
        wakes(&live, "Service", Event::Apply(object("Service", 4, marked(&["b"])))),
        "a finalizer is gone"
    );
    assert!(wakes(&live, "Service", Event::Delete(object("Service", 5, marked(&[])))));
}

#[tokio::test]
async fn f18_f19_what_a_new_listing_shows_changed_or_does_not_show_wakes_its_environment_and_nothing_else_does() {
    let live = watching(&["Service"]);
    wakes(&live, "Service", Event::Apply(object("Service", 1, json!({}))));
    wakes(&live, "Service", Event::Init);
    assert!(
        !wakes(&live, "Service", Event::InitApply(object("Service", 1, json!({})))),
        "as it was"
    );
    assert!(!wakes(&live, "Service", Event::InitDone));
    wakes(&live, "Service", Event::Init);
    assert!(
        wakes(&live, "Service", Event::InitApply(object("Service", 2, json!({})))),
        "it changed unseen"
    );
    wakes(&live, "Service", Event::InitDone);
    wakes(&live, "Service", Event::Init);
    let id = (String::new(), "Service".to_owned());
    let woken = live.take(&id, &resource("Service"), Event::InitDone);
    assert_eq!(woken, [("team".to_owned(), "shop-a".to_owned())], "it ended unseen");
}

#[tokio::test]
async fn f20_an_answer_that_the_watch_has_passed_brings_nothing_back() {
    let live = watching(&["Service"]);
    let answer = |version| reduce(&resource("Service"), &object("Service", version, json!({}))).unwrap();
    let known = || live.get(&answer(1).key).map(|known| known.version);
    wakes(&live, "Service", Event::Apply(object("Service", 3, json!({}))));
    live.record(&answer(2));
    assert_eq!(known(), Some(3), "what the watch shows is newer");
    wakes(&live, "Service", Event::Delete(object("Service", 5, json!({}))));
    live.record(&answer(4));
    assert_eq!(known(), None, "it was deleted since");
    live.record(&answer(6));
    assert_eq!(known(), Some(6), "it was made anew since");
}

#[tokio::test]
async fn f20_what_one_answer_denied_another_one_brings_back_until_the_watch_says_that_it_is_gone() {
    let live = watching(&["Service"]);
    let answer = reduce(&resource("Service"), &object("Service", 3, json!({}))).unwrap();
    let is_known = || live.get(&answer.key).is_some();
    wakes(&live, "Service", Event::Apply(object("Service", 3, json!({}))));
    live.forget(&answer.key, &answer.uid);
    assert!(!is_known());
    live.record(&answer);
    assert!(is_known(), "the answer was from the past");
    live.forget(&answer.key, &answer.uid);
    wakes(&live, "Service", Event::Delete(object("Service", 5, json!({}))));
    live.record(&answer);
    assert!(!is_known(), "the watch has said so as well");
}

#[tokio::test]
async fn of_an_ending_namespace_only_the_end_wakes() {
    let live = watching(&["Service", "Namespace"]);
    wakes(&live, "Service", Event::Apply(object("Service", 1, json!({}))));
    assert!(wakes(&live, "Namespace", Event::Apply(object("Namespace", 2, marked(&[])))));
    assert!(!wakes(&live, "Service", Event::Delete(object("Service", 3, json!({})))));
    assert!(wakes(&live, "Namespace", Event::Delete(object("Namespace", 4, marked(&[])))));
}

#[tokio::test]
async fn only_a_watch_that_is_up_is_relied_upon() {
    let live = watching(&["Service", "ConfigMap"]);
    live.settle(&(String::new(), "ConfigMap".to_owned()), WatchState::Forbidden);
    let watched = live.watched_kinds();
    let key = |kind: &str| reduce(&resource(kind), &object(kind, 1, json!({}))).unwrap().key;
    assert!(watched.contains(&key("Service")));
    assert!(!watched.contains(&key("ConfigMap")) && !watched.contains(&key("Secret")));
}

#[test]
fn an_object_of_a_list_is_judged_by_its_kind_although_it_does_not_say_it() {
    let listed: DynamicObject = serde_json::from_value(serde_json::json!({
        "metadata": { "name": "migrate-1-1", "namespace": "n", "uid": "1", "resourceVersion": "7" },
        "status": {},
    }))
    .unwrap();
    assert!(listed.types.is_none());
    let resource = Resource {
        api: ApiResource::erase::<k8s_openapi::api::batch::v1::Job>(&()),
        namespaced: true,
    };
    assert!(!reduce(&resource, &listed).unwrap().readiness.is_ready());
}
