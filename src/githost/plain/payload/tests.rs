//! The format of our own hook, read back.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::git::Provider;
use crate::githost::payload::delivery_id;

fn headers(event: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(EVENT, event.parse().unwrap());
    headers
}

fn update(full_ref: &str, after: &str) -> Value {
    json!({ "ref": full_ref, "before": "1".repeat(40), "after": after })
}

fn body(updates: &[Value]) -> Value {
    json!({ "version": 1, "repository": "shop.git", "updates": updates })
}

fn parse_value(payload: &Value) -> Result<Delivery, PayloadError> {
    parse(&headers("push"), &serde_json::to_vec(payload).unwrap())
}

#[test]
fn every_branch_of_a_push_becomes_a_hint_and_tags_do_not() {
    let zero = "0".repeat(40);
    let sha256 = "ab".repeat(32);
    let payload = body(&[
        update("refs/heads/a", &sha256),
        update("refs/heads/b/c", &zero),
        update("refs/tags/a", &zero),
        update("refs/heads/-x", &sha256),
    ]);
    let Delivery::Hints(hints) = parse_value(&payload).unwrap() else {
        panic!("no hints")
    };
    let seen: Vec<_> = hints.iter().map(|hint| (hint.branch.as_str(), hint.happening)).collect();
    assert_eq!(seen, [("a", Happening::BranchPushed), ("b/c", Happening::BranchDeleted)]);
    assert!(
        hints
            .iter()
            .all(|hint| hint.repository.id.is_none() && hint.repository.name.as_str() == "shop.git")
    );
}

#[test]
fn a_push_of_tags_only_and_an_unknown_event_are_ignored_and_a_ping_is_a_ping() {
    let tag = body(&[update("refs/tags/v1", &"2".repeat(40))]);
    assert!(matches!(parse_value(&tag).unwrap(), Delivery::Ignored(_)));
    assert!(matches!(parse(&headers("star"), b"").unwrap(), Delivery::Ignored(_)));
    assert_eq!(parse(&headers("ping"), b"").unwrap(), Delivery::Ping);
}

#[test]
fn another_version_and_too_many_updates_are_refused_by_name() {
    let mut other = body(&[]);
    other["version"] = json!(2);
    assert_eq!(parse_value(&other).unwrap_err().label(), "version");
    let most = vec![update("refs/heads/a", &"2".repeat(40)); MAX_UPDATES];
    assert!(matches!(parse_value(&body(&most)).unwrap(), Delivery::Hints(hints) if hints.len() == MAX_UPDATES));
    let many = vec![update("refs/heads/a", &"2".repeat(40)); MAX_UPDATES + 1];
    assert_eq!(parse_value(&body(&many)).unwrap_err().label(), "too_many");
}

#[test]
fn threat_t08_a_field_of_another_type_is_refused() {
    let good = body(&[update("refs/heads/a", &"2".repeat(40))]);
    assert!(parse_value(&good).is_ok());
    let fields = [
        "/version",
        "/repository",
        "/updates",
        "/updates/0",
        "/updates/0/ref",
        "/updates/0/before",
        "/updates/0/after",
    ];
    for field in fields {
        for wrong in [
            Value::Null,
            json!({}),
            json!(-1),
            json!(1.5),
            json!([[]]),
            json!("\u{1} x"),
            json!(u64::MAX),
        ] {
            let mut payload = good.clone();
            *payload.pointer_mut(field).unwrap() = wrong.clone();
            let unsupported_ref = field.ends_with("ref") && wrong.is_string();
            let result = parse_value(&payload);
            assert!(
                result.is_err() || (unsupported_ref && matches!(result, Ok(Delivery::Ignored(_)))),
                "{field} = {wrong}"
            );
        }
    }
}

#[test]
fn a_delivery_identifier_is_safe_to_log() {
    let mut headers = HeaderMap::new();
    assert_eq!(delivery_id(Provider::Git, &headers).as_str(), "");
    headers.insert(DELIVERY, http::HeaderValue::from_bytes(b"abc \xff1").unwrap());
    headers.insert("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958".parse().unwrap());
    assert_eq!(delivery_id(Provider::Git, &headers).as_str(), "abc--1");
    assert_eq!(
        delivery_id(Provider::Github, &headers).as_str(),
        "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    );
}

proptest! {
    #[test]
    fn f71_any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&headers("push"), &bytes);
    }

    #[test]
    fn f71_a_push_with_one_changed_byte_never_panics(position in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = serde_json::to_vec(&body(&[update("refs/heads/a", &"2".repeat(40))])).unwrap();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        let _ = parse(&headers("push"), &bytes);
    }
}
