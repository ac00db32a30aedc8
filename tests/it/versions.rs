//! Statuses that other versions of graftling wrote: read without a loss, and left as they are if nothing changed.
#![allow(clippy::unwrap_used, reason = "a status that cannot be read is the test's failure")]

use graftling::api::convert::environment::{identity, inventory, not_understood, status};
use graftling::api::{Environment, EnvironmentStatus};
use graftling::domain::status::{Phase, Report};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::DeserializeGuard;
use serde_json::{Value, json};

fn golden() -> Value {
    serde_saphyr::from_str(include_str!("../golden/status-v0.yaml")).unwrap()
}

fn object(status: &Value) -> Value {
    json!({
        "apiVersion": "graftling.dev/v1alpha1",
        "kind": "Environment",
        "metadata": { "name": "shop-a-aaaaaaaaaa", "namespace": "team", "uid": "1", "generation": 1, "finalizers": ["graftling.dev/teardown"] },
        "spec": { "projectRef": { "name": "shop" }, "branch": "feature/a", "repositoryId": "1", "revision": "a".repeat(40) },
        "status": status,
    })
}

fn environment(status: &Value) -> Environment {
    serde_json::from_value(object(status)).unwrap()
}

fn now() -> Time {
    Time("2027-01-01T00:00:00Z".parse().unwrap())
}

/// What a pass comes to that finds everything as it should be.
fn settled(environment: &Environment) -> EnvironmentStatus {
    let report = Report {
        phase: Phase::Ready,
        reason: "Ready",
        message: "everything is applied and ready".into(),
        stages: Vec::new(),
        run: None,
        inventory: inventory(environment.status.as_ref()).unwrap(),
        applied: true,
        changed: 0,
        again: None,
    };
    status(environment, &identity(environment).unwrap(), &report, &now())
}

#[test]
fn f85_the_status_of_the_first_version_is_read_whole_and_not_written_again() {
    let environment = environment(&golden());
    assert_eq!(json!(environment.status), golden(), "nothing is lost by reading");
    assert_eq!(inventory(environment.status.as_ref()).unwrap().len(), 4);
    assert_eq!(environment.status, Some(settled(&environment)), "nothing to write");
}

#[test]
fn f85_an_older_status_without_newer_fields_keeps_its_inventory() {
    let mut older = golden();
    for field in [
        "urls",
        "deployer",
        "stages",
        "history",
        "conditions",
        "observedGeneration",
        "revision",
    ] {
        older.as_object_mut().unwrap().remove(field);
    }
    for entry in older["inventory"].as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("ownership");
        entry.as_object_mut().unwrap().remove("digest");
    }
    let read = environment(&older);
    let entries = inventory(read.status.as_ref()).unwrap();
    assert_eq!(entries.iter().filter(|(_, entry)| entry.uid.is_some()).count(), 3);
    assert_eq!(entries.len(), 4);
}

#[test]
fn f85_threat_t09_a_newer_status_keeps_its_inventory_whatever_its_phase_is_called() {
    for phase in [json!("Hibernating"), json!(7), json!({ "kind": "Ready" }), Value::Null] {
        let mut newer = golden();
        newer["phase"] = phase.clone();
        newer["cost"] = json!({ "perHour": 0.2 });
        newer["inventory"][0]["retain"] = json!(true);
        newer["revision"]["signed"] = json!(true);
        let read = environment(&newer);
        assert_eq!(read.status.as_ref().unwrap().phase, None, "{phase}");
        let expected = environment(&golden());
        assert_eq!(
            inventory(read.status.as_ref()).unwrap(),
            inventory(expected.status.as_ref()).unwrap(),
            "{phase}"
        );
        assert_eq!(settled(&read).inventory, expected.status.unwrap().inventory);
    }
}

#[test]
fn f85_what_cannot_be_understood_is_a_named_state_that_keeps_the_rest() {
    let mut newer = golden();
    newer["inventory"][0]["stage"] = json!("cloud");
    let mut read = environment(&newer);
    let problem = inventory(read.status.as_ref()).unwrap_err();
    assert!(problem.contains("unknown stage \"cloud\""), "{problem}");
    let told = not_understood(&read, &problem, &now());
    assert_eq!(json!(told.inventory), newer["inventory"]);
    assert_eq!(json!(told.phase), "Failed");
    let stalled = told.conditions.iter().find(|condition| condition.type_ == "Stalled").unwrap();
    assert_eq!((stalled.status.as_str(), stalled.reason.as_str()), ("True", "NotUnderstood"));
    read.status = Some(told.clone());
    assert_eq!(not_understood(&read, &problem, &now()), told, "told once");
    read.metadata.deletion_timestamp = Some(now());
    assert_eq!(json!(not_understood(&read, &problem, &now()).phase), "Blocked");
}

#[test]
fn threat_t09_a_poisoned_object_does_not_hide_the_others_of_a_listing() {
    let mut poisoned = golden();
    poisoned["inventory"] = json!({ "not": "a list" });
    assert!(serde_json::from_value::<Environment>(object(&poisoned)).is_err());
    let list = json!({
        "apiVersion": "graftling.dev/v1alpha1",
        "kind": "EnvironmentList",
        "metadata": {},
        "items": [object(&poisoned), object(&golden())],
    });
    let list: kube::core::ObjectList<DeserializeGuard<Environment>> = serde_json::from_value(list).unwrap();
    let [poisoned, whole] = list.items.as_slice() else {
        panic!("two objects")
    };
    assert_eq!(poisoned.0.as_ref().unwrap_err().metadata.name.as_deref(), Some("shop-a-aaaaaaaaaa"));
    assert_eq!(json!(whole.0.as_ref().unwrap().status), golden());
}
