//! Bitbucket's payloads as they are, and bent in every field.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// What a body is expected to say.
#[derive(Debug, PartialEq)]
enum Said {
    Pushed(&'static str),
    Deleted(&'static str),
    Changed(&'static str),
    Comment(u64, u64),
    /// `feature/one` is deleted and `feature/two` pushed.
    Both,
    Ping,
    Nothing,
}

macro_rules! bodies {
    ($($folder:literal $file:literal, $event:literal, $said:expr;)+) => {
        const BODIES: &[(&str, &str, &str, Said, &str)] = &[$((
            $folder,
            $file,
            $event,
            $said,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/payloads/bitbucket-", $folder, "/", $file, ".json")),
        ),)+];
    };
}

bodies! {
    "cloud" "push-create", "repo:push", Said::Pushed("feature/login");
    "cloud" "push", "repo:push", Said::Pushed("feature/login");
    "cloud" "push-force", "repo:push", Said::Pushed("feature/login");
    "cloud" "push-delete", "repo:push", Said::Deleted("feature/login");
    "cloud" "push-several", "repo:push", Said::Both;
    "cloud" "tag-create", "repo:push", Said::Nothing;
    "cloud" "tag-delete", "repo:push", Said::Nothing;
    "cloud" "pull-request-create", "pullrequest:created", Said::Changed("feature/login");
    "cloud" "pull-request-update", "pullrequest:updated", Said::Changed("feature/login");
    "cloud" "pull-request-draft", "pullrequest:updated", Said::Changed("feature/login");
    "cloud" "pull-request-merge", "pullrequest:fulfilled", Said::Changed("feature/login");
    "cloud" "pull-request-decline", "pullrequest:rejected", Said::Changed("feature/login");
    "cloud" "pull-request-fork", "pullrequest:created", Said::Changed("refs/pull/12/head");
    "cloud" "pull-request-fork-deleted", "pullrequest:updated", Said::Changed("refs/pull/12/head");
    "cloud" "comment", "pullrequest:comment_created", Said::Comment(12, 465);
    "cloud" "comment-other", "pullrequest:comment_created", Said::Nothing;
    "cloud" "approved", "pullrequest:approved", Said::Nothing;
    "cloud" "fork", "repo:fork", Said::Nothing;
    "server" "push-create", "repo:refs_changed", Said::Pushed("feature/login");
    "server" "push", "repo:refs_changed", Said::Pushed("feature/login");
    "server" "push-force", "repo:refs_changed", Said::Pushed("feature/login");
    "server" "push-delete", "repo:refs_changed", Said::Deleted("feature/login");
    "server" "push-several", "repo:refs_changed", Said::Both;
    "server" "tag-create", "repo:refs_changed", Said::Nothing;
    "server" "tag-delete", "repo:refs_changed", Said::Nothing;
    "server" "pull-request-open", "pr:opened", Said::Changed("feature/login");
    "server" "pull-request-push", "pr:from_ref_updated", Said::Changed("feature/login");
    "server" "pull-request-modify", "pr:modified", Said::Changed("feature/login");
    "server" "pull-request-merge", "pr:merged", Said::Changed("feature/login");
    "server" "pull-request-decline", "pr:declined", Said::Changed("feature/login");
    "server" "pull-request-delete", "pr:deleted", Said::Changed("feature/login");
    "server" "pull-request-fork", "pr:opened", Said::Changed("refs/pull/12/head");
    "server" "comment", "pr:comment:added", Said::Comment(12, 62);
    "server" "comment-other", "pr:comment:added", Said::Nothing;
    "server" "approved", "pr:reviewer:approved", Said::Nothing;
    "server" "ping", "diagnostics:ping", Said::Ping;
}

fn headers(event: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(EVENT, event.parse().unwrap());
    headers.insert("content-type", "application/json; charset=utf-8".parse().unwrap());
    headers
}

#[test]
fn feature_t10_every_recorded_body_says_what_it_should_of_its_own_repository() {
    for (folder, file, event, said, text) in BODIES {
        let about = |repository: &RepositoryHint| {
            let expected = match *folder {
                "cloud" => ("673a6070-3421-46c9-9d48-90745f7bfe8e", "acme/shop"),
                _ => ("84", "WEB/shop"),
            };
            let told = (repository.id.as_ref().unwrap().as_str(), repository.name.as_str());
            assert_eq!(told, expected, "{folder} {file}");
        };
        let expected = match said {
            Said::Pushed(branch) => vec![(*branch, Happening::BranchPushed)],
            Said::Deleted(branch) => vec![(*branch, Happening::BranchDeleted)],
            Said::Changed(branch) => vec![(*branch, Happening::PullRequestChanged)],
            Said::Both => vec![("feature/one", Happening::BranchDeleted), ("feature/two", Happening::BranchPushed)],
            Said::Comment(..) | Said::Ping | Said::Nothing => vec![],
        };
        match (parse(&headers(event), text.as_bytes()).unwrap(), said) {
            (Delivery::Hints(hints), _) => {
                hints.iter().for_each(|hint| about(&hint.repository));
                let told: Vec<_> = hints.iter().map(|hint| (hint.branch.as_str(), hint.happening)).collect();
                assert_eq!(told, expected, "{folder} {file}");
            }
            (Delivery::Comment(hint), Said::Comment(number, id)) => {
                about(&hint.repository);
                assert_eq!((hint.pull_request, hint.comment), (*number, *id), "{folder} {file}");
            }
            (Delivery::Ping, Said::Ping) | (Delivery::Ignored(_), Said::Nothing) => {}
            (other, _) => panic!("{folder} {file}: {other:?} instead of {said:?}"),
        }
    }
}

#[test]
fn f69_the_same_push_of_a_branch_and_not_of_a_tag_is_heard() {
    for (folder, event) in [("cloud", "repo:push"), ("server", "repo:refs_changed")] {
        let (.., text) = BODIES.iter().find(|one| one.0 == folder && one.1 == "tag-delete").unwrap();
        let branch = text.replace("\"tag\"", "\"branch\"").replace("refs/tags/", "refs/heads/");
        let told = parse(&headers(event), branch.as_bytes()).unwrap();
        assert!(matches!(told, Delivery::Hints(_)), "{folder}: {told:?}");
    }
}

#[test]
fn other_events_are_told_apart_without_reading_the_body() {
    for event in ["repo:fork", "pr:reviewer:approved", "mirror:repo_synchronized", "push", ""] {
        let delivery = parse(&headers(event), b"not json").unwrap();
        assert!(matches!(delivery, Delivery::Ignored(_)), "{event:?}");
    }
    let without = parse(&HeaderMap::new(), b"{}").unwrap_err();
    assert!(matches!(without, PayloadError::ReadEvent { header: EVENT }));
}

#[test]
fn a_push_of_more_refs_than_anybody_looks_at_is_refused() {
    let change = json!({"refId": "refs/heads/a", "type": "ADD"});
    let body = |count| json!({"repository": {"id": 1, "slug": "s", "project": {"key": "P"}}, "changes": vec![change.clone(); count]});
    let ask = |count| parse(&headers("repo:refs_changed"), &serde_json::to_vec(&body(count)).unwrap());
    assert!(matches!(ask(MAX_CHANGES).unwrap(), Delivery::Hints(hints) if hints.len() == 1));
    assert!(matches!(ask(MAX_CHANGES + 1), Err(PayloadError::CountUpdates { .. })));
}

#[test]
fn a_delivery_is_named_by_the_header_that_is_there() {
    let mut headers = HeaderMap::new();
    assert_eq!(delivery_header(&headers), "x-request-uuid");
    for name in ["x-request-id", "x-request-uuid"] {
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
    let mut unread = 0;
    for (folder, file, event, said, text) in BODIES {
        let whole: Value = serde_json::from_str(text).unwrap();
        let mut all = Vec::new();
        paths(&whole, "", &mut all);
        for path in all {
            for other in &others {
                let mut bent = whole.clone();
                *bent.pointer_mut(&path).unwrap() = other.clone();
                let told = parse(&headers(event), &serde_json::to_vec(&bent).unwrap());
                if let Ok(Delivery::Hints(hints)) = &told {
                    assert!(hints.len() <= 2, "{folder} {file} {path}");
                }
                // The field whose type crashed another server (CVE-2025-59531) is not read at all.
                if path.contains("/links") && *folder == "server" && matches!(said, Said::Pushed(_)) {
                    assert!(told.is_ok(), "{folder} {file} {path}");
                    unread += 1;
                }
            }
        }
    }
    assert!(unread > 0);
}

proptest! {
    #[test]
    fn f71_threat_t08_bytes_whatever_never_panic(
        event in "repo:push|pullrequest:created|pullrequest:comment_created|repo:refs_changed|pr:opened|pr:comment:added|diagnostics:ping",
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _answer = parse(&headers(&event), &body);
    }
}
