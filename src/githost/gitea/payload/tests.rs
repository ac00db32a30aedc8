//! The payloads of Gitea and Forgejo as they are, and bent in every field.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn headers(event: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(EVENT, event.parse().unwrap());
    // Both send those of GitHub as well, which must not count.
    headers.insert("x-github-event", "ping".parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    headers
}

fn parse_value(event: &str, payload: &Value) -> Result<Delivery, PayloadError> {
    parse(&headers(event), &serde_json::to_vec(payload).unwrap())
}

/// The payloads of every event that is read, with fields around them as Gitea 1.26 sends them (its `modules/structs/hook.go`).
fn realistic(event: &str) -> Value {
    let user = json!({"id": 1, "login": "boss", "full_name": "", "email": "boss@e2e.invalid", "username": "boss"});
    let repository = json!({
        "id": 3, "owner": user, "name": "shop", "full_name": "acme/shop", "empty": false, "private": false, "fork": false,
        "parent": null, "default_branch": "main", "permissions": {"admin": true}, "topics": null,
    });
    match event {
        "push" => json!({
            "ref": "refs/heads/feature/login", "before": "0".repeat(40), "after": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",
            "compare_url": "http://gitea.example/compare", "commits": [], "total_commits": 0, "head_commit": null,
            "repository": repository, "pusher": user, "sender": user,
        }),
        "create" | "delete" => json!({
            "ref": "feature/login", "ref_type": "branch", "sha": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",
            "pusher_type": "user", "repository": repository, "sender": user,
        }),
        "issue_comment" => json!({
            "action": "created",
            "issue": {"id": 8, "number": 12, "pull_request": {"merged": false, "draft": false}},
            "comment": {"id": 99, "body": "/preview approve release", "user": user},
            "repository": repository, "sender": user, "is_pull": true,
        }),
        _ => json!({
            "action": "synchronized", "number": 2, "commit_id": "",
            "pull_request": {
                "id": 2, "number": 2, "state": "open", "title": "Login", "draft": false, "labels": [],
                "head": {"label": "feature/login", "ref": "feature/login", "repo_id": 3, "repo": {"id": 3, "full_name": "acme/shop"}},
                "base": {"label": "main", "ref": "main", "repo_id": 3, "repo": {"id": 3}},
            },
            "requested_reviewer": null, "repository": repository, "sender": user, "review": null,
        }),
    }
}

fn one_hint(delivery: Delivery) -> (String, String, Happening) {
    match delivery {
        Delivery::Hints(hints) if hints.len() == 1 => {
            let hint = &hints[0];
            assert_eq!(hint.repository.id.as_ref().unwrap().as_str(), "3");
            (hint.repository.name.to_string(), hint.branch.to_string(), hint.happening)
        }
        other => panic!("not one hint: {other:?}"),
    }
}

fn is_ignored(event: &str, payload: &Value) -> bool {
    matches!(parse_value(event, payload).unwrap(), Delivery::Ignored(_))
}

#[test]
fn every_event_about_a_branch_becomes_a_hint_with_the_repositorys_id() {
    for (event, happening) in [
        ("push", Happening::BranchPushed),
        ("create", Happening::BranchPushed),
        ("delete", Happening::BranchDeleted),
        ("pull_request", Happening::PullRequestChanged),
        ("pull_request_sync", Happening::PullRequestChanged),
        ("pull_request_label", Happening::PullRequestChanged),
    ] {
        let hint = one_hint(parse_value(event, &realistic(event)).unwrap());
        assert_eq!(hint, ("acme/shop".into(), "feature/login".into(), happening), "{event}");
    }
}

#[test]
fn a_push_that_ends_at_nothing_is_a_deletion() {
    let mut push = realistic("push");
    push["after"] = json!("0".repeat(40));
    assert_eq!(one_hint(parse_value("push", &push).unwrap()).2, Happening::BranchDeleted);
}

#[test]
fn f69_a_tag_is_ignored_even_when_a_branch_bears_its_name() {
    let mut push = realistic("push");
    push["ref"] = json!("refs/tags/feature/login");
    push["after"] = json!("0".repeat(40));
    let mut create = realistic("create");
    create["ref_type"] = json!("tag");
    for (event, payload) in [("push", &push), ("create", &create), ("delete", &create)] {
        assert!(is_ignored(event, payload), "{event}");
    }
}

#[test]
fn a_branch_whose_short_name_looks_like_a_ref_keeps_it() {
    let mut delete = realistic("delete");
    delete["ref"] = json!("refs/heads/x");
    assert_eq!(one_hint(parse_value("delete", &delete).unwrap()).1, "refs/heads/x");
}

#[test]
fn feature_t12_a_pull_request_from_a_fork_is_looked_at_as_such_and_one_without_its_branch_is_ignored() {
    let bent = |change: fn(&mut Value)| {
        let mut event = realistic("pull_request");
        change(&mut event["pull_request"]["head"]);
        event
    };
    for event in [bent(|head| head["repo"]["id"] = json!(7)), bent(|head| head["repo"] = Value::Null)] {
        let number = event["pull_request"]["number"].as_u64().unwrap();
        let (_, branch, happening) = one_hint(parse_value("pull_request", &event).unwrap());
        assert_eq!(
            (branch, happening),
            (format!("refs/pull/{number}/head"), Happening::PullRequestChanged)
        );
    }
    let gone = bent(|head| head["ref"] = json!("refs/pull/2/head"));
    assert!(is_ignored("pull_request", &gone), "{gone}");
}

#[test]
fn a_comment_that_asks_for_something_says_where_to_read_it_and_nothing_of_what_it_says() {
    for event in ["issue_comment", "pull_request_comment"] {
        let Delivery::Comment(hint) = parse_value(event, &realistic("issue_comment")).unwrap() else {
            panic!("it is no hint")
        };
        let told = (hint.pull_request, hint.comment, hint.repository.name.as_str());
        assert_eq!(told, (12, 99, "acme/shop"));
    }
    let ignored = |change: fn(&mut Value)| {
        let mut event = realistic("issue_comment");
        change(&mut event);
        is_ignored("issue_comment", &event)
    };
    assert!(ignored(|event| event["action"] = json!("edited")));
    assert!(ignored(|event| event["comment"]["body"] = json!("looks good")));
    assert!(ignored(|event| event["issue"]["pull_request"] = Value::Null));
}

#[test]
fn other_events_are_told_apart_without_reading_the_body() {
    for event in ["repository", "fork", "status", "pull_request_approved", "ping", ""] {
        let delivery = parse(&headers(event), b"not json").unwrap();
        assert!(matches!(delivery, Delivery::Ignored(_)), "{event:?}");
    }
    let mut forgejo = HeaderMap::new();
    forgejo.insert("x-forgejo-event", "push".parse().unwrap());
    let push = serde_json::to_vec(&realistic("push")).unwrap();
    assert_eq!(one_hint(parse(&forgejo, &push).unwrap()).1, "feature/login");
    let without = parse(&HeaderMap::new(), b"{}").unwrap_err();
    assert!(matches!(without, PayloadError::ReadEvent { header: EVENT }));
}

/// Every path to a value in a payload.
fn paths(value: &Value, path: &str, all: &mut Vec<String>) {
    all.push(path.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| paths(value, &format!("{path}/{name}"), all)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, value)| paths(value, &format!("{path}/{at}"), all)),
        _ => {}
    }
}

#[test]
fn threat_t08_a_field_of_any_other_type_gives_an_answer_and_never_a_panic() {
    let others = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1.5e300),
        json!(""),
        json!("../../x"),
        json!([]),
        json!({"a": 1}),
    ];
    for event in ["push", "create", "delete", "pull_request", "issue_comment"] {
        let mut all = Vec::new();
        paths(&realistic(event), "", &mut all);
        for path in all {
            for other in &others {
                let mut bent = realistic(event);
                *bent.pointer_mut(&path).unwrap() = other.clone();
                if let Ok(Delivery::Hints(hints)) = parse_value(event, &bent) {
                    assert_eq!(hints.len(), 1, "{event} {path}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn threat_t08_bytes_whatever_never_panic(event in "push|create|delete|pull_request|issue_comment", body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _answer = parse(&headers(&event), &body);
    }
}
