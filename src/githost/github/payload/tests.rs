//! GitHub's payloads as they are, and as an attacker who knows the secret's owner might bend them.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn headers(event: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(EVENT, event.parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    headers
}

fn parse_value(event: &str, payload: &Value) -> Result<Delivery, PayloadError> {
    parse(&headers(event), &serde_json::to_vec(payload).unwrap())
}

/// The payloads of every event that is read, with fields around them as GitHub sends them.
fn realistic(event: &str) -> Value {
    let repository = json!({
        "id": 186853002, "node_id": "MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=", "name": "shop", "full_name": "acme/shop", "private": true,
        "owner": { "login": "acme", "id": 21031067, "type": "Organization", "site_admin": false },
        "default_branch": "main", "topics": [], "license": null, "pushed_at": 1557933641, "size": 17,
    });
    let sender = json!({ "login": "octocat", "id": 583231, "type": "User" });
    match event {
        "push" => json!({
            "ref": "refs/heads/feature/login", "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
            "after": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5", "created": false, "deleted": false, "forced": false,
            "base_ref": null, "compare": "https://github.example/compare", "commits": [{ "id": "59b20b8d", "added": ["a"] }],
            "head_commit": { "id": "59b20b8d", "author": { "name": "Mona" } }, "repository": repository, "sender": sender,
        }),
        "create" | "delete" => json!({
            "ref": "feature/login", "ref_type": "branch", "master_branch": "main", "description": null, "pusher_type": "user",
            "repository": repository, "sender": sender,
        }),
        _ => json!({
            "action": "opened", "number": 2,
            "pull_request": {
                "id": 279147437, "number": 2, "state": "open", "title": "Login", "draft": false, "labels": [],
                "head": { "label": "acme:feature/login", "ref": "feature/login", "sha": "ec26c3e57ca3a959ca5aad62de7213c562f8c821",
                          "repo": { "id": 186853002, "full_name": "acme/shop" } },
                "base": { "ref": "main", "repo": { "id": 186853002 } },
            },
            "repository": repository, "sender": sender,
        }),
    }
}

fn one_hint(delivery: Delivery) -> (String, String, Happening) {
    match delivery {
        Delivery::Hints(hints) if hints.len() == 1 => {
            let hint = &hints[0];
            assert_eq!(hint.repository.id.as_ref().unwrap().as_str(), "186853002");
            (hint.repository.name.to_string(), hint.branch.to_string(), hint.happening)
        }
        other => panic!("not one hint: {other:?}"),
    }
}

#[test]
fn every_event_about_a_branch_becomes_a_hint_with_the_repositorys_id() {
    for (event, happening) in [
        ("push", Happening::BranchPushed),
        ("create", Happening::BranchPushed),
        ("delete", Happening::BranchDeleted),
        ("pull_request", Happening::PullRequestChanged),
    ] {
        let hint = one_hint(parse_value(event, &realistic(event)).unwrap());
        assert_eq!(hint, ("acme/shop".into(), "feature/login".into(), happening), "{event}");
    }
}

#[test]
fn a_push_that_deletes_is_told_by_either_of_its_two_marks() {
    let mut marked = realistic("push");
    marked["deleted"] = json!(true);
    let mut zeroed = realistic("push");
    zeroed["after"] = json!("0".repeat(40));
    for payload in [marked, zeroed] {
        assert_eq!(one_hint(parse_value("push", &payload).unwrap()).2, Happening::BranchDeleted);
    }
}

#[test]
fn f69_a_tag_is_ignored_even_when_a_branch_bears_its_name() {
    let mut push = realistic("push");
    push["ref"] = json!("refs/tags/feature/login");
    let mut create = realistic("create");
    create["ref_type"] = json!("tag");
    for (event, payload) in [("push", &push), ("create", &create), ("delete", &create)] {
        assert!(matches!(parse_value(event, payload).unwrap(), Delivery::Ignored(_)), "{event}");
    }
}

#[test]
fn feature_t12_a_pull_request_from_a_fork_or_from_a_deleted_repository_is_looked_at_as_such() {
    let mut fork = realistic("pull_request");
    fork["pull_request"]["head"]["repo"]["id"] = json!(7);
    let mut deleted = realistic("pull_request");
    deleted["pull_request"]["head"]["repo"] = Value::Null;
    for payload in [fork, deleted] {
        let Delivery::Hints(hints) = parse_value("pull_request", &payload).unwrap() else {
            panic!("it is no hint")
        };
        assert_eq!(hints.len(), 1);
        assert_eq!(hints[0].branch.pull_request(), payload["pull_request"]["number"].as_u64());
    }
}

#[test]
fn a_ping_and_events_that_do_not_concern_branches_are_told_apart_without_reading_the_body() {
    assert_eq!(parse(&headers("ping"), b"{}").unwrap(), Delivery::Ping);
    for event in ["workflow_run", "star", "repository", ""] {
        assert!(
            matches!(parse(&headers(event), b"not json").unwrap(), Delivery::Ignored(_)),
            "{event:?}"
        );
    }
    assert!(matches!(parse(&HeaderMap::new(), b"{}"), Err(PayloadError::ReadEvent { .. })));
}

#[test]
fn a_branch_name_that_git_would_refuse_is_ignored() {
    for name in ["-x", "a..b", "", "HEAD", "a b", &"x".repeat(300)] {
        let mut payload = realistic("push");
        payload["ref"] = json!(format!("refs/heads/{name}"));
        assert!(matches!(parse_value("push", &payload).unwrap(), Delivery::Ignored(_)), "{name:?}");
    }
}

#[test]
fn a_hook_that_sends_forms_is_told_how_to_mend_it() {
    let mut headers = headers("push");
    headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let error = parse(&headers, b"payload=%7B%7D").unwrap_err();
    assert_eq!(error.label(), "content_type");
    assert!(error.to_string().contains("application/json"), "{error}");
}

#[test]
fn an_error_says_where_and_never_repeats_the_body() {
    let error = parse(&headers("push"), b"{\"ref\":\n 5, \"token\": \"s3cret\"}").unwrap_err();
    assert_eq!(error.to_string(), "the body is not what a push event promises (line 2, column 2)");
    let mut payload = realistic("push");
    payload["repository"]["full_name"] = json!("acme/ shop");
    assert_eq!(
        parse_value("push", &payload).unwrap_err().to_string(),
        "the field repository.full_name of the push event is not usable"
    );
}

const EVENTS: [&str; 4] = ["push", "create", "delete", "pull_request"];

/// Fields that are read, by event: replacing one of them by a value of another type must be an error.
fn read_fields(event: &str) -> &'static [&'static str] {
    match event {
        "push" => &[
            "/ref",
            "/after",
            "/deleted",
            "/repository",
            "/repository/id",
            "/repository/full_name",
        ],
        "create" | "delete" => &["/ref", "/ref_type", "/repository", "/repository/id", "/repository/full_name"],
        _ => &[
            "/pull_request",
            "/pull_request/number",
            "/pull_request/head",
            "/pull_request/head/ref",
            "/pull_request/head/repo/id",
            "/repository",
            "/repository/id",
            "/repository/full_name",
        ],
    }
}

/// Shapes like those of CVE-2025-59531, -59537 and -59538: a scalar, null or object where a list or text is promised.
fn wrong_values() -> Vec<Value> {
    let mut nested = json!([]);
    for _ in 0..100 {
        nested = json!([nested]);
    }
    vec![Value::Null, json!([]), json!({}), json!(-1), json!(1.5), nested]
}

#[test]
fn threat_t08_a_field_of_another_type_is_refused_wherever_it_is_read() {
    for event in EVENTS {
        for field in read_fields(event) {
            for wrong in wrong_values() {
                let mut payload = realistic(event);
                *payload.pointer_mut(field).unwrap() = wrong.clone();
                let result = parse_value(event, &payload);
                assert!(result.is_err(), "{event} {field} = {wrong}: {result:?}");
            }
        }
    }
}

#[test]
fn f71_a_missing_field_a_huge_integer_invalid_utf8_and_bottomless_nesting_are_errors() {
    for event in EVENTS {
        for field in read_fields(event).iter().filter(|field| **field != "/deleted") {
            let mut payload = realistic(event);
            let (parent, name) = field.rsplit_once('/').unwrap();
            let removed = payload.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            assert!(
                removed.is_some() && parse_value(event, &payload).is_err(),
                "{event} without {field}"
            );
        }
        let text = realistic(event).to_string();
        let huge = text.replace("186853002", &"9".repeat(40));
        assert!(parse(&headers(event), huge.as_bytes()).is_err(), "{event} with a huge id");
        let mut bytes = text.clone().into_bytes();
        let position = text.find("octocat").unwrap();
        bytes[position] = 0xff;
        assert!(
            matches!(parse(&headers(event), &bytes), Err(PayloadError::DecodeText { .. })),
            "{event} with invalid UTF-8"
        );
        let surrogate = text.replace("feature/login", "\\ud800");
        assert!(
            parse(&headers(event), surrogate.as_bytes()).is_err(),
            "{event} with a lone surrogate"
        );
        let bottomless = format!("{{\"ref\":{}", "[".repeat(1_000_000));
        assert!(
            parse(&headers(event), bottomless.as_bytes()).is_err(),
            "{event} with bottomless nesting"
        );
        let skipped = format!("{{\"x\":{}", "{\"a\":[".repeat(500_000));
        assert!(parse(&headers(event), skipped.as_bytes()).is_err(), "{event} with skipped nesting");
    }
}

/// Any JSON value, three levels deep at most.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("ref|repo|id|head|[a-z]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The path of every field of `value`, nested ones included.
fn paths(value: &Value, prefix: &str, found: &mut Vec<String>) {
    if let Value::Object(map) = value {
        for (name, inner) in map {
            let path = format!("{prefix}/{name}");
            paths(inner, &path, found);
            found.push(path);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn f71_any_value_in_any_field_never_panics(
        event in prop::sample::select(EVENTS.to_vec()),
        field in any::<prop::sample::Index>(),
        value in any_value(),
    ) {
        let mut payload = realistic(event);
        let mut all = Vec::new();
        paths(&payload, "", &mut all);
        let path = &all[field.index(all.len())];
        *payload.pointer_mut(path).unwrap() = value;
        let result = parse_value(event, &payload);
        let is_read = read_fields(event).iter().any(|read| read.starts_with(path.as_str()) || path == "/pull_request/head/repo");
        prop_assert!(is_read || result.is_ok(), "{}: a field that is not read changed the result to {:?}", path, result);
    }

    #[test]
    fn f71_any_bytes_never_panic(event in prop::sample::select(EVENTS.to_vec()), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&headers(event), &bytes);
    }

    #[test]
    fn f71_a_realistic_payload_with_one_changed_byte_never_panics(
        event in prop::sample::select(EVENTS.to_vec()),
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = serde_json::to_vec(&realistic(event)).unwrap();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        let _ = parse(&headers(event), &bytes);
    }
}
