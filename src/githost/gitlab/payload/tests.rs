//! GitLab's payloads as they are, and bent in every field.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// What a body from `tests/payloads/gitlab` is expected to say.
#[derive(Debug, PartialEq)]
enum Said {
    Pushed(&'static str),
    Deleted(&'static str),
    Changed(&'static str),
    Comment(u64, u64),
    Nothing,
}

macro_rules! bodies {
    ($($file:literal, $event:literal, $said:expr;)+) => {
        const BODIES: &[(&str, &str, Said, &str)] = &[$((
            $file,
            $event,
            $said,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/payloads/gitlab/", $file, ".json")),
        ),)+];
    };
}

bodies! {
    "push-create", "Push Hook", Said::Pushed("feature/login");
    "push", "Push Hook", Said::Pushed("feature/login");
    "push-force", "Push Hook", Said::Pushed("feature/login");
    "push-delete", "Push Hook", Said::Deleted("feature/login");
    "push-merge-to-default", "Push Hook", Said::Pushed("main");
    "tag-push", "Tag Push Hook", Said::Nothing;
    "tag-delete", "Tag Push Hook", Said::Nothing;
    "merge-request-open", "Merge Request Hook", Said::Changed("feature/login");
    "merge-request-push", "Merge Request Hook", Said::Changed("feature/login");
    "merge-request-label", "Merge Request Hook", Said::Changed("feature/login");
    "merge-request-draft", "Merge Request Hook", Said::Changed("feature/login");
    "merge-request-approved", "Merge Request Hook", Said::Changed("feature/login");
    "merge-request-close", "Merge Request Hook", Said::Changed("feature/login");
    "merge-request-reopen", "Merge Request Hook", Said::Changed("feature/login");
    "merge-request-merge", "Merge Request Hook", Said::Changed("feature/login");
    "merge-request-fork", "Merge Request Hook", Said::Changed("refs/pull/12/head");
    "merge-request-fork-deleted", "Merge Request Hook", Said::Changed("refs/pull/12/head");
    "note-merge-request", "Note Hook", Said::Comment(12, 1244);
    "note-merge-request-other", "Note Hook", Said::Nothing;
    "note-merge-request-changed", "Note Hook", Said::Nothing;
    "note-issue", "Note Hook", Said::Nothing;
    "note-commit", "Note Hook", Said::Nothing;
    "system-push", "System Hook", Said::Nothing;
    "pipeline", "Pipeline Hook", Said::Nothing;
}

fn headers(event: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(EVENT, event.parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    headers
}

fn parse_value(event: &str, payload: &Value) -> Result<Delivery, PayloadError> {
    parse(&headers(event), &serde_json::to_vec(payload).unwrap())
}

fn body(file: &str) -> Value {
    let (.., text) = BODIES.iter().find(|(name, ..)| *name == file).unwrap();
    serde_json::from_str(text).unwrap()
}

#[test]
fn feature_t10_every_recorded_body_says_what_it_should_of_its_own_project() {
    for (file, event, said, text) in BODIES {
        let about = |repository: &RepositoryHint| {
            assert_eq!(repository.id.as_ref().unwrap().as_str(), "15", "{file}");
            assert_eq!(repository.name.as_str(), "acme/web/shop", "{file}");
        };
        match (parse(&headers(event), text.as_bytes()).unwrap(), said) {
            (Delivery::Hints(hints), Said::Pushed(branch) | Said::Deleted(branch) | Said::Changed(branch)) => {
                let [hint] = &hints[..] else { panic!("{file}: {hints:?}") };
                about(&hint.repository);
                let expected = match said {
                    Said::Pushed(_) => Happening::BranchPushed,
                    Said::Deleted(_) => Happening::BranchDeleted,
                    _ => Happening::PullRequestChanged,
                };
                assert_eq!((hint.branch.as_str(), hint.happening), (*branch, expected), "{file}");
            }
            (Delivery::Comment(hint), Said::Comment(number, id)) => {
                about(&hint.repository);
                assert_eq!((hint.pull_request, hint.comment), (*number, *id), "{file}");
            }
            (Delivery::Ignored(_), Said::Nothing) => {}
            (other, _) => panic!("{file}: {other:?} instead of {said:?}"),
        }
    }
}

#[test]
fn f69_a_tag_is_ignored_even_when_a_branch_bears_its_name_and_a_push_hook_brings_it() {
    for file in ["tag-push", "tag-delete"] {
        let delivery = parse_value("Push Hook", &body(file)).unwrap();
        assert!(matches!(delivery, Delivery::Ignored(_)), "{file}: {delivery:?}");
    }
}

#[test]
fn a_comment_from_before_gitlab_told_actions_is_a_new_one() {
    let mut note = body("note-merge-request");
    note["object_attributes"].as_object_mut().unwrap().remove("action");
    assert!(matches!(parse_value("Note Hook", &note).unwrap(), Delivery::Comment(_)));
}

#[test]
fn other_events_are_told_apart_without_reading_the_body() {
    for event in ["System Hook", "Job Hook", "Confidential Note Hook", "push", ""] {
        let delivery = parse(&headers(event), b"not json").unwrap();
        assert!(matches!(delivery, Delivery::Ignored(_)), "{event:?}");
    }
    let without = parse(&HeaderMap::new(), b"{}").unwrap_err();
    assert!(matches!(without, PayloadError::ReadEvent { header: EVENT }));
}

#[test]
fn a_delivery_is_named_by_what_is_its_own() {
    let mut headers = HeaderMap::new();
    assert_eq!(delivery_header(&headers), "x-gitlab-event-uuid");
    for name in ["x-gitlab-webhook-uuid", "idempotency-key", "x-gitlab-event-uuid"] {
        headers.insert(name, "a".parse().unwrap());
        assert_eq!(delivery_header(&headers), name);
    }
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
fn f71_threat_t08_a_field_of_any_other_type_gives_an_answer_and_never_a_panic() {
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
    for file in ["push", "push-delete", "merge-request-open", "note-merge-request"] {
        let (_, event, ..) = BODIES.iter().find(|(name, ..)| *name == file).unwrap();
        let mut all = Vec::new();
        paths(&body(file), "", &mut all);
        for path in all {
            for other in &others {
                let mut bent = body(file);
                *bent.pointer_mut(&path).unwrap() = other.clone();
                if let Ok(Delivery::Hints(hints)) = parse_value(event, &bent) {
                    assert_eq!(hints.len(), 1, "{file} {path}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn f71_threat_t08_bytes_whatever_never_panic(
        event in "Push Hook|Merge Request Hook|Note Hook|Tag Push Hook", body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _answer = parse(&headers(&event), &body);
    }
}
