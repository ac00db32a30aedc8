#![allow(clippy::unwrap_used, reason = "an Environment that cannot be made is the test's failure")]

use serde_json::{Value, json};

use super::*;

fn environment(pending: &Value) -> Environment {
    serde_json::from_value(json!({
        "apiVersion": "graftling.dev/v1alpha1",
        "kind": "Environment",
        "metadata": { "namespace": "team", "name": "shop-a" },
        "spec": { "projectRef": { "name": "shop" }, "branch": "feature/a", "repositoryId": "1", "revision": "ab".repeat(20) },
        "status": { "pendingApprovals": pending },
    }))
    .unwrap()
}

fn pending(stage: &str, groups: &[&str]) -> Value {
    json!({ "run": 3, "stage": stage, "attempt": 1, "since": "2026-01-01T00:00:00Z", "groups": groups })
}

fn chosen(stage: Option<&str>, waiting: &[&str]) -> Result<String, String> {
    let waiting: Vec<Value> = waiting.iter().map(|stage| pending(stage, &[])).collect();
    let environment = environment(&waiting.into());
    let chosen = choose(&environment, stage).map(|pending| pending.stage.clone());
    chosen.map_err(|error| error.to_string())
}

#[test]
fn the_one_stage_that_waits_need_not_be_named_and_of_several_one_must_be() {
    assert_eq!(chosen(None, &["release"]), Ok("release".into()));
    assert_eq!(chosen(Some("docs"), &["release", "docs"]), Ok("docs".into()));
    let several = chosen(None, &["release", "docs"]).unwrap_err();
    assert!(
        several.ends_with("several stages wait for approval, release and docs: name the one that you mean"),
        "{several}"
    );
    let none = chosen(None, &[]).unwrap_err();
    assert!(none.ends_with("no stage waits for approval"), "{none}");
    let other = chosen(Some("relaese"), &["release"]).unwrap_err();
    assert!(
        other.ends_with("stage \"relaese\" does not wait for approval (did you mean \"release\"?); release does"),
        "{other}"
    );
}

#[test]
fn only_the_groups_that_matter_are_told_and_others_are_turned_away_before_anything_is_written() {
    let environment = environment(&json!([pending("release", &["leads", "release"])]));
    let caller = |groups: &[&str]| Caller {
        name: "mia".into(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    let pending = &pendings(&environment)[0];
    assert_eq!(groups(&environment, pending, &caller(&["leads", "staff"])).unwrap(), ["leads"]);
    let refusal = groups(&environment, pending, &caller(&["staff"])).unwrap_err().to_string();
    assert!(
        refusal.ends_with("is reserved to the groups leads, release, and you, mia, belong to none of them; you belong to staff"),
        "{refusal}"
    );
}
