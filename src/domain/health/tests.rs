#![allow(clippy::unwrap_used, reason = "a rule that cannot be read is the test's failure")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn rule(value: Value) -> Result<HealthRule, String> {
    HealthRule::read(value.as_object().unwrap()).map_err(|error| error.to_string())
}

fn database(phase: &str) -> Value {
    json!({
        "apiVersion": "db.example.com/v1", "kind": "Database",
        "metadata": { "name": "shop", "generation": 3 },
        "status": {
            "phase": phase, "message": "creating users", "observedGeneration": 3, "replicas": [{ "name": "a", "lag": 2 }],
            "conditions": [{ "type": "Synced", "status": "True" }, { "type": "Ready", "status": "False" }],
        },
    })
}

fn judged(health: Value, body: &Value) -> String {
    let mut rule_text = json!({ "group": "db.example.com", "kind": "Database" });
    rule_text.as_object_mut().unwrap().extend(health.as_object().unwrap().clone());
    let rule = rule(rule_text).unwrap();
    let mut marked = body.clone();
    mark(&[rule], &mut marked);
    match crate::domain::readiness::assess(&marked) {
        Readiness::Ready => "ready".to_owned(),
        Readiness::Progressing { reason } => format!("progressing: {reason}"),
        Readiness::Failed { reason } => format!("failed: {reason}"),
    }
}

#[test]
fn a_kind_of_the_bundle_is_judged_by_the_bundles_rule() {
    let by_phase = json!({
        "ready": { "all": [{ "path": "status.phase", "equals": "Running" }, { "path": "status.observedGeneration", "equalsPath": "metadata.generation" }] },
        "failed": { "path": "status.phase", "in": ["Broken", "Lost"] },
        "message": "status.message",
    });
    assert_eq!(judged(by_phase.clone(), &database("Creating")), "progressing: creating users");
    assert_eq!(judged(by_phase.clone(), &database("Running")), "ready");
    assert_eq!(judged(by_phase.clone(), &database("Lost")), "failed: creating users");
    let mut silent = database("Lost");
    silent["status"]["message"] = json!("");
    assert_eq!(
        judged(by_phase, &silent),
        "failed: has failed, as the bundle's rule for its health says"
    );
    // Only a failure is told: the rest is left to what is known of every kind.
    let by_failure = json!({ "failed": { "path": "status.phase", "equals": "Lost" } });
    assert_eq!(judged(by_failure, &database("Creating")), "progressing: is not ready yet");
}

#[test]
fn each_comparison_holds_where_it_should() {
    for (test, holds) in [
        (json!({ "path": "status.phase", "equals": "Running" }), true),
        (json!({ "path": "status.phase", "notEquals": "Running" }), false),
        (json!({ "path": "status.phase", "notIn": ["Broken"] }), true),
        (json!({ "path": "status.nothing", "equals": "Running" }), false),
        (json!({ "path": "status.nothing", "notEquals": "Running" }), true),
        (json!({ "path": "status.nothing", "exists": false }), true),
        (json!({ "path": "status.replicas", "exists": true }), true),
        (json!({ "path": "status.replicas[0].lag", "atLeast": 2 }), true),
        (json!({ "path": "status.replicas[0].lag", "equals": 2.0 }), true),
        (json!({ "path": "status.replicas[1].lag", "atLeast": 0 }), false),
        (json!({ "path": "status.phase.deeper", "exists": true }), false),
        (json!({ "path": "status.conditions[type=Synced].status", "equals": "True" }), true),
        (json!({ "path": "status.conditions[type=Ready].status", "equals": "True" }), false),
        (json!({ "path": "metadata[\"name\"]", "equals": "shop" }), true),
        (json!({ "not": { "path": "status.phase", "equals": "Running" } }), false),
        (
            json!({ "any": [{ "path": "a", "exists": true }, { "path": "kind", "equals": "Database" }] }),
            true,
        ),
        (
            json!({ "all": [{ "path": "a", "exists": true }, { "path": "kind", "equals": "Database" }] }),
            false,
        ),
    ] {
        let told = judged(json!({ "ready": test }), &database("Running"));
        assert_eq!(told == "ready", holds, "{test}: {told}");
    }
}

#[test]
fn a_rule_that_cannot_be_read_names_its_field() {
    let deep = (0..8).fold(json!({ "path": "a", "exists": true }), |test, _| json!({ "not": test }));
    let many: Vec<Value> = (0..=MAX_TESTS).map(|_| json!({ "path": "a", "exists": true })).collect();
    for (written, told) in [
        (json!({ "ready": { "path": "a", "exists": true } }), "kind: is missing"),
        (json!({ "kind": "A" }), "ready: is missing"),
        (json!({ "kind": "A", "raedy": {} }), "raedy: there is no such field"),
        (
            json!({ "kind": "Secret", "ready": { "path": "data.a", "exists": true } }),
            "kind: what a Secret holds",
        ),
        (
            json!({ "kind": "A", "ready": "status.phase == 'Ready'" }),
            "ready: should be a mapping",
        ),
        (json!({ "kind": "A", "ready": { "equals": 1 } }), "ready: needs a path"),
        (json!({ "kind": "A", "ready": { "path": "a" } }), "ready: needs exactly one of"),
        (
            json!({ "kind": "A", "ready": { "path": "a", "equals": 1, "in": [1] } }),
            "ready: needs exactly one of",
        ),
        (
            json!({ "kind": "A", "ready": { "path": "a..b", "exists": true } }),
            "ready.path: \"a..b\" is no path",
        ),
        (
            json!({ "kind": "A", "ready": { "path": "a[x", "exists": true } }),
            "ready.path: \"a[x\" is no path",
        ),
        (
            json!({ "kind": "A", "ready": { "path": "a", "matches": ".*" } }),
            "ready.matches: there is no such comparison",
        ),
        (
            json!({ "kind": "A", "ready": { "path": "a", "equals": {} } }),
            "ready.equals: should be text",
        ),
        (
            json!({ "kind": "A", "failed": { "any": [{ "path": "a", "in": "b" }] } }),
            "failed.any[0].in: should be a list",
        ),
        (json!({ "kind": "A", "failed": { "all": [] } }), "failed.all: should be a list"),
        (json!({ "kind": "A", "ready": deep }), "tests are put into one another"),
        (
            json!({ "kind": "A", "ready": { "any": many } }),
            "a rule has at most 64 comparisons",
        ),
        (
            json!({ "kind": "A", "ready": { "path": "x".repeat(300), "exists": true } }),
            "a path has 1 to 256 characters",
        ),
        (
            json!({ "kind": "A", "ready": { "path": "a", "exists": true }, "message": 1 }),
            "message: should be a path",
        ),
    ] {
        let error = rule(written.clone()).unwrap_err();
        assert!(error.contains(told), "{written}: {error}");
    }
}

#[test]
fn a_rule_reaches_the_members_of_a_list_and_leaves_what_a_template_says_itself() {
    let rule = rule(json!({ "kind": "Thing", "group": "x.y", "ready": { "path": "a", "exists": true } })).unwrap();
    let thing =
        |annotations: Value| json!({ "apiVersion": "x.y/v1", "kind": "Thing", "metadata": { "name": "a", "annotations": annotations } });
    let mut list = json!({ "apiVersion": "v1", "kind": "List", "items": [thing(Value::Null), thing(json!({ HEALTH_ANNOTATION: "{}" }))] });
    mark(&[rule], &mut list);
    let said = |index: usize| {
        list["items"][index]["metadata"]["annotations"][HEALTH_ANNOTATION]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(said(0), r#"{"ready":{"exists":true,"path":"a"}}"#);
    assert_eq!(said(1), "{}");
}

#[test]
fn what_somebody_made_of_the_annotation_is_no_rule() {
    for text in [
        "",
        "{}",
        "null",
        "{\"ready\": 1}",
        &format!("{{\"ready\": \"{}\"}}", "x".repeat(MAX_RULE)),
    ] {
        assert!(Health::parse(text).is_err(), "{text:.40}");
        let body = json!({ "metadata": { "annotations": { HEALTH_ANNOTATION: text } } });
        assert!(of(&body).is_none());
    }
}

#[test]
fn a_path_without_a_name_is_refused() {
    for text in ["[\"\"]", "a[\"\"]", "a[\"\"].b", "a[]", "a[=b]", "a..b", ".a"] {
        assert!(text.parse::<HealthPath>().is_err(), "{text}");
    }
    assert!("metadata.annotations[\"a.b/c\"]".parse::<HealthPath>().is_ok());
}

proptest! {
    #[test]
    fn a_path_that_is_read_is_written_the_same(text in "[a-z\\.\\[\\]=0-9\"]{1,24}") {
        if let Ok(path) = text.parse::<HealthPath>() {
            prop_assert_eq!(path.to_string().parse::<HealthPath>(), Ok(path));
        }
    }

    #[test]
    fn any_rule_that_is_read_survives_its_annotation(phase in "[a-z]{0,5}", least in 0..9_i64) {
        let written = json!({ "kind": "A", "ready": { "any": [
            { "path": "status.phase", "equals": phase }, { "not": { "path": "a[0]", "atLeast": least } }] }, "message": "a.b" });
        let rule = HealthRule::read(&written.as_object().cloned().unwrap_or_else(Map::new)).unwrap();
        prop_assert_eq!(Health::parse(&rule.health.to_json().to_string()).unwrap(), rule.health);
    }
}
