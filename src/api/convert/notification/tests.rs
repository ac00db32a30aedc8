#![allow(clippy::unwrap_used, reason = "a failed step is the test's failure")]

use serde_json::{Value, json};

use super::*;

fn project(notifications: Value, status: Value) -> Project {
    let spec = json!({
        "gitHostRef": {"name": "git"}, "repository": "acme/shop", "bundle": {"name": "mini"}, "domain": "preview.example.com",
        "policy": {"webhooks": ["hooks.example.com", "[::1]", "::1"]}, "notifications": notifications,
    });
    let metadata = json!({"name": "shop", "namespace": "team", "creationTimestamp": "2026-01-01T00:00:00Z"});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
}

fn named(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| json!({"name": name, "url": "https://hooks.example.com/x"}))
        .collect()
}

fn slots(project: &Project) -> Vec<(String, u32)> {
    let now = "2026-02-02T00:00:00Z".parse().unwrap();
    remembered(project, now).into_iter().map(|one| (one.name, one.slot)).collect()
}

#[test]
fn feature_f5_a_receiver_keeps_its_number_and_one_that_was_there_from_the_start_hears_everything() {
    let first = project(named(&["chat", "ci"]), Value::Null);
    assert_eq!(slots(&first), [("chat".to_owned(), 0), ("ci".to_owned(), 1)]);
    let now = "2026-02-02T00:00:00Z".parse().unwrap();
    let since = |project: &Project, name: &str| {
        let all = remembered(project, now);
        all.into_iter().find(|one| one.name == name).unwrap().since.0.to_string()
    };
    assert_eq!(since(&first, "chat"), "2026-01-01T00:00:00Z");

    let known = json!({"observedGeneration": 2, "environments": 0, "notifications": [
        {"name": "chat", "slot": 0, "since": "2026-01-01T00:00:00Z"}, {"name": "ci", "slot": 1, "since": "2026-01-01T00:00:00Z"},
    ]});
    let changed = project(named(&["new", "ci"]), known);
    assert_eq!(slots(&changed), [("new".to_owned(), 0), ("ci".to_owned(), 1)]);
    assert_eq!(since(&changed, "new"), "2026-02-02T00:00:00Z");
    assert_eq!(since(&changed, "ci"), "2026-01-01T00:00:00Z");
    let many = project(named(&["a", "b", "c", "d", "e"]), Value::Null);
    assert_eq!(slots(&many).len(), keys::EVENT_AUDIENCES.len());
}

#[test]
fn feature_f5_every_problem_of_a_notification_is_told_with_its_field() {
    let wrong = json!([
        {"name": "a", "url": "https://elsewhere.example/x"},
        {"name": "b"},
        {"name": "c", "url": "https://hooks.example.com", "format": "Template", "template": "{{unknown}}"},
        {"name": "d", "url": "https://hooks.example.com", "template": "{}"},
        {"name": "e", "url": "https://hooks.example.com@evil.example/"},
        {"name": "f", "url": "https://hooks.example.com:8443/x?token=s3cret"},
    ]);
    let mut problems = Vec::new();
    check(&mut problems, &project(wrong, Value::Null).spec);
    let begins: Vec<&str> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    let wanted = ["[0].url", "[1].url", "[2].template", "[3].template", "[4].url"].map(|field| format!("spec.notifications{field}"));
    assert_eq!(begins, wanted, "{problems:?}");
    assert!(!problems.join(" ").contains("s3cret"));
    assert_eq!((host("https://[::1]:80/x"), host("https://a.b")), ("::1", "a.b"));
}

#[test]
fn feature_e4_the_life_of_an_environment_is_the_same_by_its_status_and_by_its_receipt() {
    let environment: Environment = serde_json::from_value(json!({
        "metadata": {"name": "shop-a", "namespace": "team", "uid": "u", "creationTimestamp": "2026-01-02T00:00:00Z"},
        "spec": {"projectRef": {"name": "shop"}, "branch": "a", "repositoryId": "1", "revision": "b"},
        "status": {
            "url": "https://shop-a.example.com", "message": "it failed",
            "run": {"number": 2, "revision": "b", "digest": "", "because": "push", "started": "2026-01-02T00:01:00Z",
                "ended": "2026-01-02T00:02:00Z", "state": "Failed", "changed": 0},
            "history": [{"run": 1, "revision": "a", "started": "2026-01-02T00:00:10Z", "at": "2026-01-02T00:00:20Z", "result": "Ready",
                "changed": 1}],
        },
    }))
    .unwrap();
    let project = project(named(&["chat"]), Value::Null);
    let alive = told(&environment, &project);
    let names: Vec<&str> = alive.events().iter().map(|event| event.kind.name()).collect();
    let wanted = [
        "environment.created",
        "pipelinerun.started",
        "pipelinerun.finished",
        "service.deployed",
    ];
    assert_eq!(names, [&wanted[..], &wanted[1..3]].concat());
    assert_eq!(alive.runs[1].message.as_deref(), Some("it failed"));

    let receipt: FullReceipt = serde_json::from_value(json!({
        "environment": "shop-a", "uid": "u", "project": "team/shop", "branch": "a", "repositoryId": "1", "revision": "a",
        "completedAt": "2026-01-03T00:00:00Z", "created": 0, "removed": 0, "left": [], "objects": [],
    }))
    .unwrap();
    let text = serde_json::to_string(&past(&environment)).unwrap();
    let gone = told_removed(&receipt, &serde_json::from_str(&text).unwrap(), &project);
    let ids = |told: &Told| told.events().iter().map(|event| told.id(event)).collect::<Vec<_>>();
    assert_eq!(ids(&gone)[..6], ids(&alive));
    assert_eq!(ids(&gone)[6..], ["u.service-removed", "u.environment-deleted"]);
}
