//! Conditions, and the judgement of kinds that are known only by them.

use serde_json::Value;

use super::{Readiness, is_unobserved, list, number, text};

/// The condition of this type.
pub(super) fn condition<'a>(body: &'a Value, kind: &str) -> Option<&'a Value> {
    list(body, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == Some(kind))
}

/// Whether the condition of this type is there and true.
pub(super) fn is_true(body: &Value, kind: &str) -> bool {
    condition(body, kind).is_some_and(|condition| text(condition, "/status") == Some("True"))
}

/// What a condition says, in the words of who wrote it.
pub(super) fn words(condition: &Value, otherwise: &str) -> String {
    let message = text(condition, "/message").filter(|message| !message.is_empty());
    let reason = text(condition, "/reason").filter(|reason| !reason.is_empty());
    message.or(reason).unwrap_or(otherwise).to_owned()
}

pub(super) fn assess(body: &Value) -> Readiness {
    if is_unobserved(body) {
        return Readiness::progressing("waits for its controller to see the newest change");
    }
    for bad in ["Stalled", "Failed"] {
        if let Some(condition) = condition(body, bad).filter(|_| is_true(body, bad)) {
            return Readiness::failed(words(condition, "has failed"));
        }
    }
    if let Some(condition) = condition(body, "Reconciling").filter(|_| is_true(body, "Reconciling")) {
        return Readiness::progressing(words(condition, "is being worked on"));
    }
    for good in ["Ready", "Available", "Succeeded"] {
        let Some(condition) = condition(body, good) else { continue };
        if is_stale(body, condition) {
            return Readiness::progressing("waits for its controller to see the newest change");
        }
        if !is_true(body, good) {
            return Readiness::progressing(words(condition, "is not ready yet"));
        }
    }
    Readiness::Ready
}

fn is_stale(body: &Value, condition: &Value) -> bool {
    match (number(body, "/metadata/generation"), number(condition, "/observedGeneration")) {
        (Some(generation), Some(observed)) => observed < generation,
        _ => false,
    }
}

/// What an ending namespace waits for, in the words of its controller.
pub(super) fn ending_namespace(body: &Value) -> Readiness {
    let holding = [
        "NamespaceDeletionDiscoveryFailure",
        "NamespaceDeletionGroupVersionParsingFailure",
        "NamespaceDeletionContentFailure",
        "NamespaceContentRemaining",
        "NamespaceFinalizersRemaining",
    ];
    let reasons: Vec<_> = holding
        .into_iter()
        .filter(|kind| is_true(body, kind))
        .filter_map(|kind| Some(words(condition(body, kind)?, kind)))
        .collect();
    match reasons.is_empty() {
        true => Readiness::progressing("is being deleted"),
        false => Readiness::progressing(format!("is being deleted: {}", reasons.join(" "))),
    }
}
