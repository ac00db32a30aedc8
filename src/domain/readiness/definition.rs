//! What the API server itself works by: definitions, aggregated APIs, and budgets of disruptions.

use serde_json::Value;

use super::condition::{condition, is_true, words};
use super::{Readiness, is_unobserved, text};

/// Nothing of the kind can be applied before it is established; names that others have are never accepted.
pub(super) fn custom_resource(body: &Value) -> Readiness {
    let refused = condition(body, "NamesAccepted").filter(|accepted| text(accepted, "/status") == Some("False"));
    if let Some(accepted) = refused {
        return Readiness::failed(words(accepted, "its names are taken by another definition"));
    }
    if is_true(body, "Established") {
        return Readiness::Ready;
    }
    let established = condition(body, "Established");
    Readiness::progressing(established.map_or_else(
        || "waits for the API server to establish it".to_owned(),
        |condition| words(condition, "waits for the API server to establish it"),
    ))
}

/// An aggregated API that does not answer keeps every namespace from ending, so it is waited for.
pub(super) fn api_service(body: &Value) -> Readiness {
    match condition(body, "Available") {
        Some(available) if text(available, "/status") != Some("True") => Readiness::progressing(words(available, "does not answer")),
        Some(_) => Readiness::Ready,
        None => Readiness::progressing("waits for the API server to find out whether it answers"),
    }
}

/// A budget that allows no disruption does its work; one that its controller cannot count does not.
pub(super) fn disruption_budget(body: &Value) -> Readiness {
    if is_unobserved(body) {
        return Readiness::progressing("waits for its controller to see the newest change");
    }
    match condition(body, "DisruptionAllowed").filter(|allowed| text(allowed, "/reason") == Some("SyncFailed")) {
        Some(failed) => Readiness::progressing(words(failed, "its controller cannot count its pods")),
        None => Readiness::Ready,
    }
}
