//! Who wants what, and who has it.
#![allow(clippy::unwrap_used, reason = "the test's own names are valid")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::inventory::Stage;
use crate::domain::manifest::Source;

const ENVIRONMENT: &str = "shop-a-aaaaaaaaaa";

fn manifest(version: &str, kind: &str, body: Value) -> Manifest {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let key = ObjectKey {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        namespace: Some(ENVIRONMENT.into()),
        name: "web".into(),
    };
    Manifest {
        key,
        body: Arc::new(body),
        source: Source {
            file: "templates/web.yaml".into(),
            line: 12,
        },
        digest: "d".into(),
    }
}

fn pod_with(spec: Value) -> Value {
    json!({ "spec": { "template": { "spec": spec } } })
}

/// The objects of the cluster, each listed as its kind.
fn standing(objects: &[Value]) -> Standing {
    let mut standing = Standing::default();
    for object in objects {
        let key = ObjectKey::try_from(object).unwrap();
        let all = [INGRESS, SERVICE, POD, VOLUME, VOLUME_CLAIM].into_iter().chain(ROUTES).chain([
            ("storage.k8s.io", "v1", "StorageClass"),
            ("scheduling.k8s.io", "v1", "PriorityClass"),
        ]);
        for kind in all.filter(|kind| kind.2 == key.kind) {
            standing.add(kind, [key.name.clone()], holders_of(key.clone(), object));
        }
    }
    standing
}

fn told(manifest: &Manifest, objects: &[Value]) -> Option<Objection> {
    let manifests = std::slice::from_ref(manifest);
    let wanted = new_claims(manifests, &Inventory::default());
    objection(&conflicts(&ENVIRONMENT.parse().unwrap(), &wanted, &standing(objects)))
}

fn live(version: &str, kind: &str, namespace: &str, environment: Option<&str>, rest: Value) -> Value {
    let mut body = rest;
    body["apiVersion"] = json!(version);
    body["kind"] = json!(kind);
    body["metadata"]["name"] = json!("theirs");
    body["metadata"]["namespace"] = json!(namespace);
    body["metadata"]["labels"] = environment.map_or(json!({}), |environment| json!({ "graftling.dev/environment": environment }));
    body
}

#[test]
fn feature_i6_feature_u2_every_claim_that_somebody_has_is_told_with_both_owners() {
    let ingress = |host: &str| json!({ "spec": { "rules": [{ "host": host }] } });
    let route = |host: &str| json!({ "spec": { "hostnames": [host] } });
    let dns = |host: &str| json!({ "metadata": { "annotations": { "external-dns.alpha.kubernetes.io/hostname": host } } });
    let service = |spec: Value| json!({ "spec": spec });
    let node_port = json!({ "ports": [{ "port": 80, "nodePort": 30080 }] });
    let host_port = |protocol: &str| json!({ "containers": [{ "ports": [{ "hostPort": 7777, "protocol": protocol }] }] });
    let volume = json!({ "spec": { "claimRef": { "namespace": "shop-b", "name": "data" } } });
    let mut held = live("v1", "PersistentVolume", "", None, volume);
    held["metadata"]["name"] = json!("games");
    for (mine, theirs, reason, what, whose) in [
        (
            manifest("networking.k8s.io/v1", "Ingress", ingress("a.example.com")),
            live("networking.k8s.io/v1", "Ingress", "default", None, ingress("A.example.com")),
            "HostTaken",
            "host \"a.example.com\"",
            "Ingress default/theirs, which graftling did not create",
        ),
        (
            manifest("networking.k8s.io/v1", "Ingress", ingress("a.example.com")),
            live(
                "gateway.networking.k8s.io/v1",
                "HTTPRoute",
                "shop-b",
                Some("shop-b"),
                route("a.example.com"),
            ),
            "HostTaken",
            "host \"a.example.com\"",
            "HTTPRoute shop-b/theirs of environment shop-b",
        ),
        (
            manifest("v1", "Service", dns("b.example.com, a.example.com")),
            live("v1", "Service", "default", None, dns("a.example.com")),
            "HostTaken",
            "host \"a.example.com\"",
            "Service default/theirs, which graftling did not create",
        ),
        (
            manifest(
                "gateway.networking.k8s.io/v1",
                "Gateway",
                json!({ "spec": { "listeners": [{ "hostname": "a.example.com" }] } }),
            ),
            live("networking.k8s.io/v1", "Ingress", "default", None, ingress("a.example.com")),
            "HostTaken",
            "host",
            "Ingress default/theirs",
        ),
        (
            manifest("v1", "Service", service(node_port.clone())),
            live("v1", "Service", "shop-b", Some("shop-b"), service(node_port)),
            "PortTaken",
            "node port 30080",
            "Service shop-b/theirs of environment shop-b",
        ),
        (
            manifest("v1", "Service", service(json!({ "loadBalancerIP": "192.0.2.1" }))),
            live("v1", "Service", "default", None, service(json!({ "loadBalancerIP": "192.0.2.1" }))),
            "AddressTaken",
            "address 192.0.2.1",
            "Service default/theirs",
        ),
        (
            manifest("apps/v1", "Deployment", pod_with(host_port("UDP"))),
            live("v1", "Pod", "shop-b", None, json!({ "spec": host_port("UDP") })),
            "PortTaken",
            "host port 7777/UDP",
            "Pod shop-b/theirs",
        ),
        (
            manifest("v1", "PersistentVolumeClaim", json!({ "spec": { "volumeName": "games" } })),
            held,
            "VolumeTaken",
            "PersistentVolume \"games\"",
            "PersistentVolumeClaim shop-b/data",
        ),
        (
            manifest("v1", "PersistentVolumeClaim", json!({ "spec": { "volumeName": "games" } })),
            live(
                "v1",
                "PersistentVolumeClaim",
                "shop-b",
                None,
                json!({ "spec": { "volumeName": "games" } }),
            ),
            "VolumeTaken",
            "PersistentVolume \"games\"",
            "PersistentVolumeClaim shop-b/theirs",
        ),
    ] {
        let objection = told(&mine, &[theirs]).unwrap_or_else(|| panic!("{what} was granted"));
        assert_eq!(objection.reason, reason);
        let beginning = format!("templates/web.yaml:12: {}: {what}", mine.key);
        assert!(objection.message.starts_with(&beginning), "{}", objection.message);
        assert!(objection.message.contains(&format!("is taken by {whose}")), "{}", objection.message);
    }
}

#[test]
fn feature_i6_what_is_ours_free_or_of_another_protocol_is_granted() {
    let ingress = json!({ "spec": { "rules": [{ "host": "a.example.com" }] } });
    let mine = manifest("networking.k8s.io/v1", "Ingress", ingress.clone());
    for theirs in [
        live("networking.k8s.io/v1", "Ingress", ENVIRONMENT, None, ingress),
        live(
            "networking.k8s.io/v1",
            "Ingress",
            "default",
            None,
            json!({ "spec": { "rules": [{ "host": "b.example.com" }, {}] } }),
        ),
        live(
            "networking.k8s.io/v1",
            "Ingress",
            "default",
            None,
            json!({ "spec": { "rules": [{ "host": "*.example.com" }] } }),
        ),
    ] {
        assert_eq!(told(&mine, &[theirs]), None);
    }
    let port = |protocol: &str| json!({ "containers": [{ "ports": [{ "hostPort": 7777, "protocol": protocol }] }] });
    let mine = manifest("apps/v1", "Deployment", pod_with(port("UDP")));
    let ended = |phase: &str| json!({ "spec": port("UDP"), "status": { "phase": phase } });
    for theirs in [json!({ "spec": port("TCP") }), ended("Succeeded"), ended("Failed")] {
        assert_eq!(told(&mine, &[live("v1", "Pod", "default", None, theirs)]), None);
    }
}

#[test]
fn feature_i6_a_class_that_does_not_exist_is_told_with_those_that_do() {
    let mine = manifest("apps/v1", "Deployment", pod_with(json!({ "priorityClassName": "urgent" })));
    let mut class = live("scheduling.k8s.io/v1", "PriorityClass", "", None, json!({ "value": 1 }));
    let objection = told(&mine, &[class.clone()]).unwrap();
    assert_eq!(objection.reason, "ClassUnknown");
    assert_eq!(
        objection.message,
        "templates/web.yaml:12: apps/v1 Deployment web: PriorityClass \"urgent\" does not exist; there are: theirs"
    );
    class["metadata"]["name"] = json!("urgent");
    assert_eq!(told(&mine, &[class]), None);
    assert_eq!(told(&mine, &[]), None, "a kind that cannot be listed stands in nobody's way");
    let none = manifest("v1", "PersistentVolumeClaim", json!({ "spec": { "storageClassName": "" } }));
    assert!(new_claims(&[none], &Inventory::default()).is_empty());
}

#[test]
fn feature_i6_nothing_is_listed_for_what_is_applied_already_or_comes_with_the_bundle() {
    let ingress = manifest(
        "networking.k8s.io/v1",
        "Ingress",
        json!({ "spec": { "rules": [{ "host": "a" }], "ingressClassName": "web" } }),
    );
    let manifests = [ingress.clone(), manifest("networking.k8s.io/v1", "IngressClass", json!({}))];
    let wanted = new_claims(&manifests, &Inventory::default());
    assert_eq!(wanted.len(), 1, "its class comes with it");
    assert_eq!(
        kinds_to_look_at(&wanted).len(),
        5,
        "an Ingress, a Gateway or a route may have the host"
    );

    let mut applied = Inventory::default();
    applied.write_ahead(&ingress.key, Stage::Deploy);
    assert_eq!(new_claims(&manifests, &applied).len(), 1, "the first apply is still to come");
    let entry = crate::domain::inventory::Entry {
        uid: Some("u".into()),
        digest: Some("d".into()),
        ..crate::domain::inventory::Entry::ahead(Stage::Deploy)
    };
    let applied = Inventory::from_entries([(ingress.key.clone(), entry)]);
    assert!(new_claims(&manifests, &applied).is_empty());
}
