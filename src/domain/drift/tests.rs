use serde_json::json;

use super::*;
use crate::domain::inventory::Stage;
use crate::domain::observed::Marks;

const MARKS: Marks<'static> = Marks {
    field_manager: "graftling",
    environment_label: "graftling.dev/environment",
    environment_uid_annotation: "graftling.dev/environment-uid",
};

fn key(kind: &str, name: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        version: "v1".into(),
        kind: kind.into(),
        namespace: Some("shop-a".into()),
        name: name.into(),
    }
}

fn manifest() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "namespace": "shop-a", "labels": { "app.kubernetes.io/name": "web" } },
        "spec": { "replicas": 1, "template": { "spec": { "containers": [
            { "name": "web", "image": "web:1", "args": ["a", "b"], "env": [] },
            { "name": "side", "image": "side:1" },
        ] } } },
    })
}

/// The object with what `graftling` applied of it, in the form of the API server.
fn live(uid: &str, label: &str, fields: Value) -> Value {
    let mut object = manifest();
    object["metadata"]["uid"] = json!(uid);
    object["metadata"]["resourceVersion"] = json!("7");
    object["metadata"]["labels"]["graftling.dev/environment"] = json!(label);
    object["metadata"]["managedFields"] = json!([{ "manager": "graftling", "operation": "Apply", "fieldsV1": fields }]);
    object
}

fn applied() -> Value {
    json!({
        "f:metadata": { "f:labels": { "f:app.kubernetes.io/name": {} } },
        "f:spec": { "f:replicas": {}, "f:template": { "f:spec": { "f:containers": {
            "k:{\"name\":\"web\"}": { ".": {}, "f:name": {}, "f:image": {}, "f:args": {} },
            "k:{\"name\":\"side\"}": { ".": {}, "f:name": {}, "f:image": {} },
        } } } },
    })
}

fn reduced(key: &ObjectKey, body: &Value) -> LiveObject {
    LiveObject::from_body(key.clone(), body, MARKS).expect("a complete object")
}

fn recorded(keys: &[&ObjectKey]) -> Inventory {
    let mut inventory = Inventory::default();
    for key in keys {
        inventory.record_applied(Stage::Deploy, "digest", &reduced(key, &live("1", "shop-a", applied())));
    }
    inventory
}

fn told(inventory: &Inventory, live: Option<(&ObjectKey, Value)>) -> Vec<String> {
    let observed: Observed = live.map(|(key, body)| (key.clone(), reduced(key, &body))).into_iter().collect();
    objects(inventory, &observed, "shop-a").iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_as_it_was_applied_is_no_drift() {
    let web = key("Deployment", "web");
    assert_eq!(told(&recorded(&[&web]), Some((&web, live("1", "shop-a", applied())))), [""; 0]);
}

#[test]
fn an_object_that_was_changed_deleted_replaced_or_relabelled_is_drift() {
    let web = key("Deployment", "web");
    let inventory = recorded(&[&web]);
    assert_eq!(told(&inventory, None), ["Deployment/web (deleted)"]);
    assert_eq!(
        told(&inventory, Some((&web, live("2", "shop-a", applied())))),
        ["Deployment/web (deleted and made anew)"]
    );
    assert_eq!(
        told(&inventory, Some((&web, live("1", "shop-b", applied())))),
        ["Deployment/web (its label graftling.dev/environment)"]
    );
    let mut fields = applied();
    fields["f:spec"].as_object_mut().expect("a mapping").remove("f:replicas");
    assert_eq!(told(&inventory, Some((&web, live("1", "shop-a", fields)))), ["Deployment/web"]);
}

#[test]
fn a_job_that_is_gone_and_what_was_never_confirmed_are_no_drift() {
    let (job, web) = (key("Job", "migrate-1-1"), key("Deployment", "web"));
    let mut inventory = recorded(&[&job]);
    inventory.write_ahead(&web, Stage::Deploy);
    assert_eq!(told(&inventory, None), [""; 0]);
}

#[test]
fn the_fields_that_others_took_over_are_named() {
    let mut fields = applied();
    fields["f:spec"].as_object_mut().expect("a mapping").remove("f:replicas");
    let containers = &mut fields["f:spec"]["f:template"]["f:spec"]["f:containers"];
    containers["k:{\"name\":\"web\"}"]
        .as_object_mut()
        .expect("a mapping")
        .remove("f:image");
    containers.as_object_mut().expect("a mapping").remove("k:{\"name\":\"side\"}");
    fields.as_object_mut().expect("a mapping").remove("f:metadata");
    assert_eq!(
        super::fields(&manifest(), &live("1", "shop-a", fields), "graftling"),
        [
            "metadata.labels[app.kubernetes.io/name]",
            "spec.replicas",
            "spec.template.spec.containers[web].image",
            "spec.template.spec.containers[side]",
        ]
    );
    assert_eq!(super::fields(&manifest(), &live("1", "shop-a", applied()), "graftling"), [""; 0]);
}

#[test]
fn a_sentence_names_the_first_and_counts_the_rest() {
    let drift = |fields: &[&str]| Drift {
        key: key("Deployment", "web"),
        change: Change::Fields(fields.iter().map(|field| (*field).to_owned()).collect()),
    };
    assert_eq!(sentence(&[]), "");
    assert_eq!(
        sentence(&[drift(&["spec.replicas"]), drift(&[]), drift(&[])]),
        "; changed by hand and put right on resume: Deployment/web (spec.replicas) and 2 more"
    );
}
