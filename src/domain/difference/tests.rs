//! Live objects beside manifests.
#![allow(clippy::unwrap_used, reason = "the test's own objects are valid")]

use serde_json::json;

use super::*;
use crate::domain::inventory::{Inventory, Stage};
use crate::domain::manifest::{Manifest, Source};
use crate::domain::plan::Fence;
use crate::domain::plan::Step;

const APPLIER: Applier<'static> = Applier {
    field_manager: "graftling",
    environment: "shop-a",
};

fn live_deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "7",
            "labels": { "app": "web", "theirs": "x" },
            "annotations": { "deployment.kubernetes.io/revision": "3" },
            "managedFields": [
                { "manager": "graftling", "operation": "Apply", "fieldsV1": {
                    "f:metadata": { "f:labels": { "f:app": {} } },
                    "f:spec": {
                        "f:replicas": {},
                        "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"web\"}": {
                            ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                            "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } },
                        } } } },
                        "f:finalizersLike": { "v:\"a\"": {} },
                    },
                } },
                { "manager": "graftling", "operation": "Apply", "subresource": "status", "fieldsV1": { "f:status": {} } },
                { "manager": "kubectl", "operation": "Update", "fieldsV1": { "f:spec": { "f:paused": {} } } },
            ],
        },
        "spec": {
            "replicas": 1, "paused": true, "progressDeadlineSeconds": 600,
            "template": { "spec": { "containers": [
                { "name": "sidecar", "image": "injected" },
                { "name": "web", "image": "web:1", "args": ["a", "b"], "imagePullPolicy": "Always", "ports": [
                    { "containerPort": 80, "protocol": "TCP" }, { "containerPort": 81, "protocol": "TCP" } ] },
            ] } },
            "finalizersLike": ["b", "a"],
        },
        "status": { "replicas": 1 },
    })
}

#[test]
fn of_a_live_object_only_what_was_applied_is_compared() {
    assert_eq!(
        owned(&live_deployment(), "graftling"),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "shop", "labels": { "app": "web" } },
            "spec": {
                "replicas": 1,
                "template": { "spec": { "containers": [
                    { "name": "web", "image": "web:1", "args": ["a", "b"], "ports": [{ "containerPort": 80 }] },
                ] } },
                "finalizersLike": ["a"],
            },
        })
    );
    assert_eq!(
        owned(&live_deployment(), "nobody"),
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop" } })
    );
}

fn key(body: &Value) -> ObjectKey {
    ObjectKey::try_from(body).unwrap()
}

/// A plan that applies these bodies over live objects.
fn plan(bodies: &[Value]) -> Plan {
    let apply = |body: &Value| Apply {
        manifest: Manifest::new(
            key(body),
            body.clone(),
            Source {
                file: "templates/a.yaml".into(),
                line: 1,
            },
        ),
        stage: Stage::Deploy,
        fence: Fence::MustNotExist,
        force: false,
        because: Because::Changed,
    };
    Plan {
        write_ahead: Inventory::default(),
        steps: vec![Step::Apply(bodies.iter().map(apply).collect())],
        waiting: Vec::new(),
        obstacles: Vec::new(),
        stale: 0,
        withheld: 0,
        retained: Vec::new(),
    }
}

fn live(objects: Vec<Value>) -> Live {
    objects.into_iter().map(|object| (key(&object), object)).collect()
}

fn config_map(name: &str, value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "shop" }, "data": { "a": value } })
}

fn applied(mut object: Value, fields: Value) -> Value {
    object["metadata"]["managedFields"] = json!([{ "manager": "graftling", "operation": "Apply", "fieldsV1": fields }]);
    object
}

#[test]
fn what_comes_changes_and_goes_is_shown_and_what_stays_is_not() {
    let data = json!({ "f:data": { "f:a": {} } });
    let there = live(vec![
        applied(config_map("changed", "1"), data.clone()),
        applied(config_map("same", "1"), data.clone()),
        applied(config_map("stale", "1"), data),
    ]);
    let wanted = plan(&[config_map("new", "1"), config_map("changed", "2"), config_map("same", "1")]);
    let stale = [key(&config_map("stale", "1")), key(&config_map("gone", "1"))];
    let found = differences(&wanted, &stale, &there, APPLIER);
    let told: Vec<_> = found
        .iter()
        .map(|difference| (difference.key.name.as_str(), difference.change))
        .collect();
    assert_eq!(
        told,
        [("new", Change::Create), ("changed", Change::Update), ("stale", Change::Delete)]
    );
    insta::assert_snapshot!(found[1].hunks, @r#"
    @@ -1,6 +1,6 @@
     apiVersion: v1
     data:
    -  a: "1"
    +  a: "2"
     kind: ConfigMap
     metadata:
       name: changed
    "#);
}

#[test]
fn feature_s8_no_value_of_a_secret_is_shown_but_which_one_differs() {
    let secret = |fields: Value| {
        let mut body = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "keys", "namespace": "shop" } });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let old = secret(json!({ "data": { "same": "c2FtZQ==", "other": "b2xk", "gone": "Z29uZQ==" } }));
    let there = live(vec![applied(
        old,
        json!({ "f:data": { "f:same": {}, "f:gone": {} }, "f:stringData": { "f:other": {} } }),
    )]);
    let new = secret(json!({ "stringData": { "same": "same", "other": "very-new" }, "data": { "added": "YWRkZWQ=" } }));
    let found = differences(&plan(std::slice::from_ref(&new)), &[], &there, APPLIER);
    insta::assert_snapshot!(found[0].hunks, @r#"
    @@ -1,7 +1,7 @@
     apiVersion: v1
     data:
    -  gone: "***"
    -  other: "*** (before)"
    +  added: "***"
    +  other: "*** (after)"
       same: "***"
     kind: Secret
     metadata:
    "#);
    let created = differences(&plan(&[new]), &[], &Live::new(), APPLIER);
    for value in ["very-new", "YWRkZWQ", "dmVyeS1uZXc", "same\""] {
        assert!(!created[0].hunks.contains(value), "{value}: {}", created[0].hunks);
    }
}

/// A class that the environments `owners` hold together, with the content that `wanted` is the digest of.
fn shared_class(owners: &[&str], value: u32) -> Value {
    let annotation = |owner: &str| format!("owner.graftling.dev/{owner}");
    let annotations: serde_json::Map<_, _> = owners.iter().map(|owner| (annotation(owner), json!("old"))).collect();
    let entries: Vec<_> = owners
        .iter()
        .map(|owner| {
            let own = format!("f:{}", annotation(owner));
            json!({ "manager": format!("graftling:{owner}"), "operation": "Apply",
                "fieldsV1": { "f:metadata": { "f:annotations": { own: {} } }, "f:value": {} } })
        })
        .collect();
    json!({ "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": value, "preemptionPolicy": "Never",
        "metadata": { "name": "urgent", "annotations": annotations, "managedFields": entries } })
}

fn wanted_class(value: u32, wanted: &str) -> Value {
    json!({ "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": value,
        "metadata": { "name": "urgent", "annotations": { "owner.graftling.dev/shop-a": wanted } } })
}

#[test]
fn feature_i5_a_shared_object_is_compared_with_what_its_owners_hold() {
    let hunks = |object: Value, wanted: Value, because: Because| {
        let mut plan = plan(&[wanted]);
        let Some(Step::Apply(applies)) = plan.steps.first_mut() else {
            unreachable!()
        };
        applies[0].because = because;
        let mut found = differences(&plan, &[], &live(vec![object]), APPLIER);
        found.pop().map(|difference| (difference.change, difference.hunks))
    };
    let both = || shared_class(&["shop-a", "shop-b"], 1);
    assert_eq!(hunks(both(), wanted_class(1, "old"), Because::Unrecorded), None);
    let (change, joined) = hunks(shared_class(&["shop-b"], 1), wanted_class(1, "old"), Because::Shared).unwrap();
    assert_eq!(change, Change::Update);
    insta::assert_snapshot!(joined, @"
    @@ -1,5 +1,7 @@
     apiVersion: scheduling.k8s.io/v1
     kind: PriorityClass
     metadata:
    +  annotations:
    +    owner.graftling.dev/shop-a: old
       name: urgent
     value: 1
    ");
    let (_, agreed) = hunks(both(), wanted_class(2, "new"), Because::Agreed).unwrap();
    insta::assert_snapshot!(agreed, @"
    @@ -2,6 +2,6 @@
     kind: PriorityClass
     metadata:
       annotations:
    -    owner.graftling.dev/shop-a: old
    +    owner.graftling.dev/shop-a: new
       name: urgent
    -value: 1
    +value: 2
    ");
    let (_, wished) = hunks(both(), wanted_class(2, "new"), Because::Wished).unwrap();
    insta::assert_snapshot!(wished, @"
    @@ -2,6 +2,6 @@
     kind: PriorityClass
     metadata:
       annotations:
    -    owner.graftling.dev/shop-a: old
    +    owner.graftling.dev/shop-a: new
       name: urgent
     value: 1
    ");
}

#[test]
fn feature_i5_a_shared_object_that_is_let_go_of_stays_for_its_other_owners() {
    let gone = |owners: &[&str]| {
        let object = shared_class(owners, 1);
        let mut found = differences(&plan(&[]), &[key(&object)], &live(vec![object]), APPLIER);
        found.pop().map(|difference| (difference.change, difference.hunks)).unwrap()
    };
    assert_eq!(gone(&["shop-a"]).0, Change::Delete);
    let (change, released) = gone(&["shop-a", "shop-b"]);
    assert_eq!(change, Change::Update);
    insta::assert_snapshot!(released, @"
    @@ -1,7 +1,5 @@
     apiVersion: scheduling.k8s.io/v1
     kind: PriorityClass
     metadata:
    -  annotations:
    -    owner.graftling.dev/shop-a: old
       name: urgent
     value: 1
    ");
}
