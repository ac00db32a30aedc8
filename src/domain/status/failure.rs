//! What a write that failed means for an environment.

use std::time::Duration;

use super::{NAMESPACE, PATIENTLY, Phase, Report, SOON};
use crate::domain::observed::LiveObject;
use crate::domain::outcome::{self, Failure, FailureClass, Outcome};
use crate::domain::why;

/// As [`conclude_failure`], with what the refusal means and what to do, as far as there is room.
pub(super) fn conclude_refusal(failure: &Failure) -> (Phase, &'static str, String, Option<Duration>) {
    let (phase, reason, mut message, again) = conclude_failure(failure);
    match why::of_refusal(failure) {
        Some(told) if !told.class.is_general() => (phase, told.class.name(), told.message(), again),
        // The server's own words are clear where nothing more is known than that it refuses: they name field and value.
        _ => {
            let next = why::next_step(reason).filter(|_| phase == Phase::Failed).unwrap_or_default();
            if !next.is_empty() && message.chars().count() + next.chars().count() + 2 <= Report::MESSAGE_LENGTH {
                message = format!("{message}; {next}");
            }
            (phase, reason, message, again)
        }
    }
}

/// Phase, reason, message, and when to look again.
pub(super) fn conclude_failure(failure: &Failure) -> (Phase, &'static str, String, Option<Duration>) {
    let message = format!("{}: {}", failure.key, failure.message);
    match failure.class {
        FailureClass::Transient => (Phase::Deploying, "ServerUnavailable", message, Some(SOON)),
        FailureClass::NamespaceEnding => (Phase::Deploying, "NamespaceEnding", message, Some(NAMESPACE)),
        FailureClass::Rejected => (Phase::Failed, "Rejected", message, Some(PATIENTLY)),
        FailureClass::Forbidden => (Phase::Failed, "Forbidden", message, Some(PATIENTLY)),
        FailureClass::Conflict => (Phase::Failed, "Conflict", message, Some(PATIENTLY)),
        FailureClass::UnknownKind => (Phase::Failed, "UnknownKind", message, Some(PATIENTLY)),
        FailureClass::NotOurs => (Phase::Failed, "NotOurs", message, Some(PATIENTLY)),
    }
}

/// A failure that somebody has to settle is told before one that passes by itself.
pub(super) fn worst(outcomes: &[Outcome]) -> Option<&Failure> {
    let passes = |failure: &&Failure| matches!(failure.class, FailureClass::Transient | FailureClass::NamespaceEnding);
    outcome::failures(outcomes)
        .find(|failure| !passes(failure))
        .or_else(|| outcome::failures(outcomes).next())
}

/// Whether this very pass wrote rights: the API server's authorizer learns of them a moment later.
pub(in crate::domain) fn grants_rights(outcomes: &[Outcome]) -> bool {
    let of_rights = |live: &LiveObject| live.key.group == "rbac.authorization.k8s.io";
    outcomes
        .iter()
        .any(|outcome| matches!(outcome, Outcome::Applied { live, .. } if of_rights(live)))
}
