//! What runs pods: Deployments and their like, and Jobs.

use serde_json::Value;

use super::condition::{condition, is_true, words};
use super::{Readiness, is_unobserved, number, text};

const UNSEEN: &str = "waits for its controller to see the newest change";

pub(super) fn deployment(body: &Value) -> Readiness {
    if is_unseen(body) {
        return Readiness::progressing(UNSEEN);
    }
    let deadline = condition(body, "Progressing").filter(|progressing| text(progressing, "/reason") == Some("ProgressDeadlineExceeded"));
    if let Some(progressing) = deadline {
        let reason = words(progressing, "made no progress within its deadline");
        return Readiness::failed(reason);
    }
    let replicas = wanted(body);
    let updated = status(body, "updatedReplicas");
    if updated < replicas && body.pointer("/spec/paused").and_then(Value::as_bool) == Some(true) {
        return Readiness::progressing("is paused: spec.paused is true");
    }
    let existing = status(body, "replicas");
    let available = status(body, "availableReplicas");
    if updated < replicas {
        return refused(body).unwrap_or_else(|| Readiness::progressing(format!("{updated} of {replicas} pods are of the newest version")));
    }
    if existing > updated {
        return Readiness::progressing(format!("{} pods of the version before still run", existing - updated));
    }
    if available < replicas {
        return refused(body).unwrap_or_else(|| Readiness::progressing(format!("{available} of {replicas} pods are available")));
    }
    Readiness::Ready
}

pub(super) fn replica_set(body: &Value) -> Readiness {
    if is_unseen(body) {
        return Readiness::progressing(UNSEEN);
    }
    let replicas = wanted(body);
    let available = status(body, "availableReplicas");
    if available < replicas {
        return refused(body).unwrap_or_else(|| Readiness::progressing(format!("{available} of {replicas} pods are available")));
    }
    if status(body, "replicas") > replicas {
        return Readiness::progressing("has more pods than wanted");
    }
    Readiness::Ready
}

pub(super) fn stateful_set(body: &Value) -> Readiness {
    if is_unseen(body) {
        return Readiness::progressing(UNSEEN);
    }
    let replicas = wanted(body);
    let ready = status(body, "readyReplicas");
    if ready < replicas {
        return Readiness::progressing(format!("{ready} of {replicas} pods are ready"));
    }
    if status(body, "replicas") > replicas {
        return Readiness::progressing("has more pods than wanted");
    }
    // With OnDelete, pods become new when somebody deletes them: nothing to wait for.
    if text(body, "/spec/updateStrategy/type") == Some("OnDelete") {
        return Readiness::Ready;
    }
    let partition = number(body, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let updated = status(body, "updatedReplicas");
    let is_all_new = text(body, "/status/currentRevision") == text(body, "/status/updateRevision");
    if !is_all_new && updated < replicas - partition {
        return Readiness::progressing(format!("{updated} of {} pods are of the newest version", replicas - partition));
    }
    Readiness::Ready
}

pub(super) fn daemon_set(body: &Value) -> Readiness {
    if is_unseen(body) {
        return Readiness::progressing(UNSEEN);
    }
    let desired = status(body, "desiredNumberScheduled");
    let updated = status(body, "updatedNumberScheduled");
    let available = status(body, "numberAvailable");
    let is_rolling = text(body, "/spec/updateStrategy/type") != Some("OnDelete");
    if is_rolling && updated < desired {
        return Readiness::progressing(format!("{updated} of {desired} pods are of the newest version"));
    }
    if available < desired {
        return Readiness::progressing(format!("{available} of {desired} pods are available"));
    }
    Readiness::Ready
}

pub(super) fn job(body: &Value) -> Readiness {
    if is_true(body, "Complete") {
        return Readiness::Ready;
    }
    // The condition Failed comes once the last pod has ended; the verdict stands before that.
    for bad in ["Failed", "FailureTarget"] {
        if let Some(failed) = condition(body, bad).filter(|_| is_true(body, bad)) {
            return Readiness::failed(words(failed, "has failed"));
        }
    }
    if is_true(body, "Suspended") || body.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return Readiness::progressing("is suspended");
    }
    let failed = status(body, "failed");
    if is_true(body, "SuccessCriteriaMet") {
        return Readiness::progressing("has succeeded; its last pods are ending");
    }
    match (status(body, "active"), failed) {
        (0, 0) => Readiness::progressing("has not started yet"),
        (_, 0) => Readiness::progressing("is running"),
        (_, failed) => Readiness::progressing(format!("is running again after {failed} failed attempts")),
    }
}

/// A new object has no status yet, which says as little as an old one.
fn is_unseen(body: &Value) -> bool {
    number(body, "/status/observedGeneration").is_none() || is_unobserved(body)
}

fn wanted(body: &Value) -> i64 {
    number(body, "/spec/replicas").unwrap_or(1)
}

fn status(body: &Value, field: &str) -> i64 {
    number(body, &format!("/status/{field}")).unwrap_or(0)
}

/// Pods that the cluster refuses to make (a quota, a policy): it may change its mind, but the reason must be seen.
fn refused(body: &Value) -> Option<Readiness> {
    let failure = condition(body, "ReplicaFailure").filter(|_| is_true(body, "ReplicaFailure"))?;
    Some(Readiness::progressing(format!(
        "the cluster refuses to make its pods: {}",
        words(failure, "no reason given")
    )))
}
