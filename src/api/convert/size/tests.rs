//! No status gets larger than it may, and none is shortened that need not be.
#![allow(clippy::unwrap_used, reason = "a status that cannot be made is the test's failure")]

use serde_json::json;

use super::*;

/// A status with as much of everything as there may be: the inventory of as many objects with the longest names, and words without end.
fn largest() -> EnvironmentStatus {
    let words = "é".repeat(512);
    let name = |number: usize| format!("{number:-<63}");
    let time = "2026-01-01T00:00:00Z";
    let packed = json!([{
        "apiVersion": "graftling.dev/v1alpha1", "kind": "PackedInventory", "name": "500-objects", "stage": "packed", "packed": "A".repeat(44 * 1024),
    }]);
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "reason": "R", "message": words, "lastTransitionTime": time });
    let run = |number: usize| json!({ "revision": "a".repeat(40), "at": time, "result": if number == 9 { "Ready" } else { "Failed" }, "changed": 500 });
    serde_json::from_value(json!({
        "phase": "Blocked",
        "conditions": (["Ready", "Progressing", "Stalled"].map(condition)),
        "inventory": packed,
        "stages": (0..64).map(|number| json!({ "name": name(number), "state": "Failed", "message": words })).collect::<Vec<_>>(),
        "foreign": (0..200).map(|number| format!("v1 ConfigMap {}", name(number))).collect::<Vec<_>>(),
        "stuck": (0..20).map(|number| json!({
            "object": name(number), "finalizers": (0..50).map(name).collect::<Vec<_>>(), "since": time, "cause": words,
        })).collect::<Vec<_>>(),
        "history": (0..10).map(run).collect::<Vec<_>>(),
        "message": words,
    }))
    .unwrap()
}

#[test]
fn feature_s1_a_status_never_exceeds_64_kib_whatever_the_bundle() {
    let large = largest();
    assert!(size(&large) > 3 * MAX_STATUS, "{}", size(&large));
    let fitted = fit(large.clone());
    assert!(size(&fitted) <= MAX_STATUS, "{}", size(&fitted));
    assert_eq!(fitted.inventory, large.inventory, "what decisions need is all there");
    assert_eq!(fit(fitted.clone()), fitted, "or every pass would write");
    assert!(
        fitted.history.iter().any(|run| run.result == "Ready"),
        "the last good run is not forgotten"
    );
    assert_eq!(fitted.foreign.len(), FOREIGN + 1);
    assert_eq!(fitted.foreign.last().unwrap(), "and 180 more");
}

#[test]
fn what_fits_stays_as_it_is() {
    let mut small = largest();
    small.stuck.clear();
    small.stages.truncate(5);
    small.foreign.truncate(5);
    let mut entries = small.inventory.entries();
    entries[0].packed = Some("A".repeat(20 * 1024));
    small.inventory = entries.into();
    assert_eq!(fit(small.clone()), small);
}
