//! When the objects of a `resource` stage are done, or have failed.

use super::*;
use crate::domain::manifest::ObjectKey;
use crate::domain::stage::resource::{Resource, Verdict, judge};

fn key(group: &str, kind: &str) -> ObjectKey {
    ObjectKey {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some("n".to_owned()),
        name: "x".to_owned(),
    }
}

fn resource(ready: Value, failed: Value) -> Resource {
    super::super::resource::read(&json!({ "templates": "a.yaml", "ready": ready, "failed": failed })).unwrap()
}

fn verdict(resource: &Resource, live: Value) -> String {
    match judge(resource, &key("tekton.dev", "PipelineRun"), Some(&live)) {
        Verdict::Ready => "ready".to_owned(),
        Verdict::Pending(message) => format!("pending: {message}"),
        Verdict::Failed(message) => format!("failed: {message}"),
    }
}

#[test]
fn a_condition_of_the_object_decides() {
    let resource = resource(
        json!({ "condition": "Succeeded" }),
        json!([{ "condition": "Succeeded", "status": false }, { "path": "status.phase", "equals": "Error" }]),
    );
    let live = |status: Value| json!({ "metadata": { "generation": 2 }, "status": status });
    let of = |status: &str, observed: u64| {
        live(
            json!({ "conditions": [{ "type": "Succeeded", "status": status, "reason": "R", "message": "tasks", "observedGeneration": observed }] }),
        )
    };
    let object = key("tekton.dev", "PipelineRun").to_string();
    assert_eq!(verdict(&resource, of("True", 2)), "ready");
    assert_eq!(
        verdict(&resource, of("True", 1)),
        format!("pending: waits until {object} has condition Succeeded = True (tasks)"),
        "what was concluded before the last change says nothing"
    );
    assert_eq!(
        verdict(&resource, of("False", 2)),
        format!("failed: {object}: condition Succeeded = False (tasks)")
    );
    assert_eq!(
        verdict(&resource, of("Unknown", 2)),
        format!("pending: waits until {object} has condition Succeeded = True (tasks)")
    );
    assert_eq!(
        verdict(&resource, live(json!({ "phase": "Error", "message": "no quota" }))),
        format!("failed: {object}: status.phase = Error (no quota)")
    );
    assert_eq!(
        verdict(&resource, live(json!({}))),
        format!("pending: waits until {object} has condition Succeeded = True")
    );
    let missing = judge(&resource, &key("tekton.dev", "PipelineRun"), None);
    assert_eq!(missing, Verdict::Pending(format!("{object} is not there yet")));
}

#[test]
fn a_field_decides_whatever_type_it_has() {
    let resource = resource(json!({ "path": "status.items[1].n", "equals": 3 }), Value::Null);
    assert_eq!(verdict(&resource, json!({ "status": { "items": [{}, { "n": 3 }] } })), "ready");
    assert!(verdict(&resource, json!({ "status": { "items": [{}, { "n": 4 }] } })).ends_with("has status.items[1].n = 3 (it is 4)"));
    assert!(verdict(&resource, json!({})).starts_with("pending"));
}

#[test]
fn accounts_and_configuration_beside_the_object_are_not_asked() {
    let resource = resource(json!({ "condition": "Ready" }), Value::Null);
    assert_eq!(judge(&resource, &key("", "ConfigMap"), Some(&json!({}))), Verdict::Ready);
    assert_ne!(judge(&resource, &key("example.com", "Database"), Some(&json!({}))), Verdict::Ready);
    let of_kind =
        super::super::resource::read(&json!({ "templates": "a", "ready": { "kind": "Database", "condition": "Ready" } })).unwrap();
    assert_eq!(judge(&of_kind, &key("example.com", "User"), Some(&json!({}))), Verdict::Ready);
}

#[test]
fn every_problem_of_a_resource_is_named_with_its_field() {
    assert_eq!(
        problems("resource", &json!({ "template": "a.yaml" })),
        [
            "templates: is missing: write which templates hold the objects",
            "ready: is missing: write {condition: Ready}, or {path: status.phase, equals: Bound}",
            "template: there is no such field (did you mean \"templates\"?)",
        ]
    );
    assert_eq!(
        problems(
            "resource",
            &json!({
                "templates": "a.yaml",
                "ready": [{}, { "condition": "A", "equals": "x" }, { "path": "a..b" }, "Ready"],
                "failed": { "condition": "A", "path": "b", "equals": "c" },
            })
        ),
        [
            "ready[0].condition: write either condition, or path and equals",
            "ready[1].equals: belongs to path: write status, which is \"True\" if nothing is said",
            "ready[2].path: \"a..b\" is no path: status.phase, status.items[0].name",
            "ready[2].equals: is missing: write what the field must hold",
            "ready[3]: should be a mapping",
            "failed.condition: write either condition, or path and equals",
        ]
    );
}
