//! Whatever there is of what only people read, a status is small enough.
#![allow(clippy::unwrap_used, reason = "a status that cannot be made is the test's failure")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// How many there are of each thing, and how long its words are. What a bundle or a cluster can make as large as it likes has no small bound
/// here; what is bounded where it is made has that bound.
#[derive(Debug)]
struct Amounts {
    packed: usize,
    addresses: usize,
    foreign: usize,
    stuck: usize,
    stages: usize,
    runs: usize,
    words: usize,
}

fn amounts() -> impl Strategy<Value = Amounts> {
    let counts = (0..=44_usize * 1024, 0..2_000_usize, 0..600_usize, 0..100_usize, 0..=64_usize);
    (counts, 0..=10_usize, 0..4_096_usize).prop_map(|((packed, addresses, foreign, stuck, stages), runs, words)| Amounts {
        packed,
        addresses,
        foreign,
        stuck,
        stages,
        runs,
        words,
    })
}

fn status(amounts: &Amounts) -> EnvironmentStatus {
    let words = "é".repeat(amounts.words / 2);
    let name = |number: usize| format!("{number:-<63}");
    let time = "2026-01-01T00:00:00Z";
    let many = |count: usize, make: &dyn Fn(usize) -> serde_json::Value| (0..count).map(make).collect::<Vec<_>>();
    serde_json::from_value(json!({
        "phase": "Failed",
        "conditions": (["Ready", "Progressing", "Stalled"].map(|kind| json!({
            "type": kind, "status": "True", "reason": "R", "message": words, "lastTransitionTime": time,
        }))),
        "inventory": [{
            "apiVersion": "graftling.dev/v1alpha1", "kind": "PackedInventory", "name": "500-objects", "stage": "packed",
            "packed": "A".repeat(amounts.packed),
        }],
        "urls": many(amounts.addresses, &|number| json!(format!("https://{}.example.com", name(number)))),
        "foreign": many(amounts.foreign, &|number| json!(format!("v1 ConfigMap {}", name(number)))),
        "stuck": many(amounts.stuck, &|number| json!({ "object": name(number), "finalizers": [name(number)], "since": time, "cause": words })),
        "stages": many(amounts.stages, &|number| json!({ "name": name(number), "state": "Failed", "message": words })),
        "history": many(amounts.runs, &|number| json!({
            "run": number, "revision": "a".repeat(40), "at": time, "result": "Failed", "because": words, "changed": 500,
        })),
        "requestHandled": { "id": "1", "accepted": true, "message": words, "at": time },
        "message": words,
    }))
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn feature_s1_no_status_is_too_large_whatever_there_is_to_tell(amounts in amounts()) {
        let before = status(&amounts);
        let fitted = fit(before.clone());
        prop_assert!(size(&fitted) <= MAX_STATUS, "{} bytes", size(&fitted));
        prop_assert_eq!(&fitted.inventory, &before.inventory, "what decisions need is all there");
        prop_assert_eq!(&fit(fitted.clone()), &fitted, "or every pass would write");
    }
}
