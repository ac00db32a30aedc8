//! The reason of a removal: recorded on the Environment just before its deletion, read from there for everything that tells of it.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::api::{Environment, keys};
use crate::domain::removal::{Cause, Reason};

#[derive(Serialize, Deserialize)]
struct Recorded {
    #[serde(flatten)]
    reason: Reason,
    /// Makes each record another text: only then does the API server note that it was written.
    at: String,
}

/// A reason that was given longer before the deletion led to nothing: whoever deletes now has another.
const FRESH_SECONDS: i64 = 60;

/// The annotation's text.
pub fn record(reason: &Reason, now: Timestamp) -> String {
    let recorded = Recorded {
        reason: reason.clone(),
        at: now.to_string(),
    };
    // Plain text always serialises.
    serde_json::to_string(&recorded).unwrap_or_default()
}

/// Why this Environment is being removed, or was.
///
/// An annotation that is not from shortly before the deletion, by the API server's own times, counts for nothing: a deletion that failed
/// or was overtaken by a push left it behind.
pub fn reason(environment: &Environment) -> Reason {
    let annotation = environment.annotations().get(keys::REMOVAL_ANNOTATION);
    let recorded = annotation.and_then(|text| serde_json::from_str::<Recorded>(text).ok());
    match recorded.filter(|_| is_fresh(environment)) {
        Some(Recorded { reason, .. }) if reason.cause != Cause::Deleted => Reason::new(reason.cause, &reason.text),
        _ => Reason::deleted(),
    }
}

fn is_fresh(environment: &Environment) -> bool {
    let mut entries = environment.metadata.managed_fields.iter().flatten();
    let given = entries.find(|entry| entry.manager.as_deref() == Some(keys::REMOVAL_FIELD_MANAGER));
    let (Some(given), Some(deleted)) = (
        given.and_then(|entry| entry.time.as_ref()),
        &environment.metadata.deletion_timestamp,
    ) else {
        return false;
    };
    // Whole seconds, either of which may have been rounded.
    (-1..=FRESH_SECONDS).contains(&deleted.0.duration_since(given.0).as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an unreadable example is the test's failure")]

    use serde_json::json;

    use super::*;

    fn environment(annotation: &str, given: &str, deleted: &str) -> Environment {
        serde_json::from_value(json!({
            "apiVersion": "graftling.dev/v1alpha1",
            "kind": "Environment",
            "metadata": {
                "name": "shop-a-aaaaaaaaaa", "namespace": "team", "deletionTimestamp": deleted,
                "annotations": { (keys::REMOVAL_ANNOTATION): annotation },
                "managedFields": [
                    { "manager": "graftling", "operation": "Apply", "time": "2026-01-01T00:00:00Z" },
                    { "manager": keys::REMOVAL_FIELD_MANAGER, "operation": "Apply", "time": given },
                ],
            },
            "spec": { "projectRef": { "name": "shop" }, "branch": "a", "repositoryId": "1", "revision": "ab".repeat(20) },
        }))
        .unwrap()
    }

    #[test]
    fn a_reason_counts_only_if_it_was_given_shortly_before_the_deletion() {
        let expired = Reason::new(Cause::Expired, "nothing happened");
        let text = record(&expired, Timestamp::UNIX_EPOCH);
        let given = "2026-01-01T10:00:00Z";
        assert_eq!(reason(&environment(&text, given, "2026-01-01T10:00:01Z")), expired);
        assert_eq!(reason(&environment(&text, given, "2026-01-01T10:02:00Z")), Reason::deleted());
        assert_eq!(reason(&environment(&text, given, "2026-01-01T09:00:00Z")), Reason::deleted());
    }

    #[test]
    fn an_annotation_that_says_nothing_readable_is_no_reason() {
        for text in [
            "",
            "because",
            "{}",
            r#"{"cause":"Whim","text":"x","at":""}"#,
            r#"{"cause":"Deleted","text":"by aliens","at":""}"#,
        ] {
            let environment = environment(text, "2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z");
            assert_eq!(reason(&environment), Reason::deleted(), "{text}");
        }
    }
}
