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
    let live = LiveObjects::new(Client::new(service, "default"), wake);
    for kind in kinds {
        let (state, _) = watch::channel(WatchState::Synced);
        live.lock().kinds.insert((String::new(), (*kind).to_owned()), KindCache::new(state));
    }
    live
}

fn wakes(live: &LiveObjects, kind: &str, event: Event<DynamicObject>) -> bool {
    live.take(&(String::new(), kind.to_owned()), &resource(kind), event).is_some()
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
    let listed: DynamicObject = serde_json::from_value(json!({
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
