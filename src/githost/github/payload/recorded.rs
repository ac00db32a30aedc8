//! GitHub's deliveries as they are: the bodies of `tests/payloads/github`, and each of their fields bent.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use serde_json::{Value, json};

use super::*;
use crate::domain::event::RepositoryHint;

/// What a body is expected to say.
#[derive(Debug, PartialEq)]
enum Said {
    Pushed,
    Deleted,
    Changed,
    OfFork,
    Comment,
    Ping,
    Nothing,
}

macro_rules! bodies {
    ($($file:literal, $event:literal, $said:expr;)+) => {
        const BODIES: &[(&str, &str, Said, &str)] = &[$((
            $file,
            $event,
            $said,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/payloads/github/", $file, ".json")),
        ),)+];
    };
}

bodies! {
    "ping", "ping", Said::Ping;
    "create", "create", Said::Pushed;
    "push-create", "push", Said::Pushed;
    "push", "push", Said::Pushed;
    "push-force", "push", Said::Pushed;
    "push-delete", "push", Said::Deleted;
    "delete", "delete", Said::Deleted;
    "tag-create", "create", Said::Nothing;
    "tag-delete", "delete", Said::Nothing;
    "tag-push", "push", Said::Nothing;
    "tag-push-delete", "push", Said::Nothing;
    "pull-request-opened", "pull_request", Said::Changed;
    "pull-request-synchronize", "pull_request", Said::Changed;
    "pull-request-labeled", "pull_request", Said::Changed;
    "pull-request-unlabeled", "pull_request", Said::Changed;
    "pull-request-draft", "pull_request", Said::Changed;
    "pull-request-ready", "pull_request", Said::Changed;
    "pull-request-closed", "pull_request", Said::Changed;
    "pull-request-merged", "pull_request", Said::Changed;
    "pull-request-reopened", "pull_request", Said::Changed;
    "pull-request-fork", "pull_request", Said::OfFork;
    "pull-request-fork-deleted", "pull_request", Said::OfFork;
    "comment", "issue_comment", Said::Comment;
    "comment-other", "issue_comment", Said::Nothing;
    "comment-edited", "issue_comment", Said::Nothing;
    "comment-issue", "issue_comment", Said::Nothing;
    "workflow-run", "workflow_run", Said::Nothing;
}

fn headers(event: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(EVENT, event.parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    headers
}

#[test]
fn feature_t10_every_body_says_what_it_should_of_its_own_repository() {
    for (file, event, said, text) in BODIES {
        let about = |repository: &RepositoryHint| {
            assert_eq!(repository.id.as_ref().unwrap().as_str(), "186853002", "{file}");
            assert_eq!(repository.name.as_str(), "acme/shop", "{file}");
        };
        match (parse(&headers(event), text.as_bytes()).unwrap(), said) {
            (Delivery::Hints(hints), Said::Pushed | Said::Deleted | Said::Changed | Said::OfFork) => {
                let [hint] = &hints[..] else { panic!("{file}: {hints:?}") };
                about(&hint.repository);
                let expected = match said {
                    Said::Pushed => ("feature/basket", Happening::BranchPushed),
                    Said::Deleted => ("feature/basket", Happening::BranchDeleted),
                    Said::OfFork => ("refs/pull/13/head", Happening::PullRequestChanged),
                    _ => ("feature/basket", Happening::PullRequestChanged),
                };
                assert_eq!((hint.branch.as_str(), hint.happening), expected, "{file}");
            }
            (Delivery::Comment(hint), Said::Comment) => {
                about(&hint.repository);
                assert_eq!((hint.pull_request, hint.comment), (12, 492_700_400), "{file}");
            }
            (Delivery::Ping, Said::Ping) | (Delivery::Ignored(_), Said::Nothing) => {}
            (other, _) => panic!("{file}: {other:?} instead of {said:?}"),
        }
    }
}

/// Every place in a body, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                places(field, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{number}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn f71_threat_t08_a_field_of_any_other_type_is_an_answer_and_never_a_panic() {
    let deep = (0..200).fold(json!(0), |inner, _| json!([inner]));
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("x"),
        json!([]),
        json!({}),
        deep,
    ];
    for (_, event, _, text) in BODIES {
        let body: Value = serde_json::from_str(text).unwrap();
        let mut found = Vec::new();
        places(&body, "", &mut found);
        for place in found {
            for other in &others {
                let mut bent = body.clone();
                *bent.pointer_mut(&place).unwrap() = other.clone();
                // Whatever it is taken for: it is an answer.
                let _answered = parse(&headers(event), &serde_json::to_vec(&bent).unwrap());
            }
        }
    }
    let mut nobody: Value = serde_json::from_str(BODIES[3].3).unwrap();
    nobody["repository"]["id"] = json!("186853002");
    let refused = parse(&headers("push"), &serde_json::to_vec(&nobody).unwrap());
    assert!(
        matches!(refused, Err(PayloadError::DecodeEvent { .. })),
        "a text is no number: {refused:?}"
    );
}
