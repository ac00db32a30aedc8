//! Whether an object in the cluster does what it is there for, judged by what its controller wrote into its status.
//!
//! The rules are those that `kubectl rollout status` and the kstatus library follow, with one aim more: the reason must help
//! somebody who knows nothing of Kubernetes.

mod condition;
mod definition;
mod pod;
#[cfg(test)]
mod tests;
mod workload;

use std::fmt;

use serde_json::Value;

use super::health;

/// How far an object has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It does what it is there for.
    Ready,
    /// It is on its way; waiting may help.
    Progressing {
        /// What it waits for.
        reason: String,
    },
    /// It will not get there without a change.
    Failed {
        /// What is wrong.
        reason: String,
    },
}

/// Judges an object as it was read from the cluster. An object that the cluster does not report on is ready.
///
/// - A PersistentVolumeClaim is ready when it is bound. One that no pod uses may never be, with a class that waits for a consumer.
/// - An Ingress is ready at once: many ingress controllers never write a status, and the check of the URL says more.
/// - A Job is ready when it is complete, and failed as soon as its controller has given it up. A suspended one waits for somebody.
/// - A definition of custom resources and an APIService are ready when the API server serves them, so that what they define can be applied.
/// - What bears a rule of its bundle for its health ([`health`]) is judged by that.
/// - A resource of an unknown kind is judged by `observedGeneration` and by the conditions `Ready`, `Available`, `Succeeded`,
///   `Stalled`, `Failed` and `Reconciling`.
pub fn assess(body: &Value) -> Readiness {
    if body.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()) {
        return match group_and_kind(body) {
            ("", "Namespace") => condition::ending_namespace(body),
            _ => Readiness::progressing("is being deleted"),
        };
    }
    if let Some(judged) = health::of(body).and_then(|health| health.assess(body)) {
        return match is_unobserved(body) {
            true => Readiness::progressing("waits for its controller to see the newest change"),
            false => judged,
        };
    }
    match group_and_kind(body) {
        ("", "Pod") => pod::assess(body),
        ("", "PersistentVolumeClaim") => assess_claim(body),
        ("", "Service") => assess_service(body),
        ("apps", "Deployment") => workload::deployment(body),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workload::replica_set(body),
        ("apps", "StatefulSet") => workload::stateful_set(body),
        ("apps", "DaemonSet") => workload::daemon_set(body),
        ("batch", "Job") => workload::job(body),
        ("batch", "CronJob") | ("networking.k8s.io", "Ingress") | ("autoscaling", "HorizontalPodAutoscaler") => Readiness::Ready,
        ("policy", "PodDisruptionBudget") => definition::disruption_budget(body),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::custom_resource(body),
        ("apiregistration.k8s.io", "APIService") => definition::api_service(body),
        _ => condition::assess(body),
    }
}

fn group_and_kind(body: &Value) -> (&str, &str) {
    let version = text(body, "/apiVersion").unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    (group, text(body, "/kind").unwrap_or_default())
}

fn assess_claim(body: &Value) -> Readiness {
    match text(body, "/status/phase") {
        Some("Bound") => Readiness::Ready,
        Some("Lost") => Readiness::failed("has lost its volume, and the data with it"),
        _ => Readiness::progressing("waits for a volume, or for the first pod that uses it"),
    }
}

fn assess_service(body: &Value) -> Readiness {
    let has_address = body
        .pointer("/status/loadBalancer/ingress")
        .and_then(Value::as_array)
        .is_some_and(|ingress| !ingress.is_empty());
    if text(body, "/spec/type") == Some("LoadBalancer") && !has_address {
        return Readiness::progressing("waits for the cluster to give it an address");
    }
    Readiness::Ready
}

// === impl Readiness ===

impl Readiness {
    fn progressing(reason: impl Into<String>) -> Self {
        Self::Progressing { reason: reason.into() }
    }

    fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into() }
    }

    /// Whether nothing is left to wait for.
    pub fn is_ready(&self) -> bool {
        *self == Self::Ready
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => formatter.write_str("is ready"),
            Self::Progressing { reason } | Self::Failed { reason } => formatter.write_str(reason),
        }
    }
}

// === reading ===

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

pub(super) fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether the controller has not yet seen the newest change.
fn is_unobserved(body: &Value) -> bool {
    match (number(body, "/metadata/generation"), number(body, "/status/observedGeneration")) {
        (Some(generation), Some(observed)) => observed < generation,
        _ => false,
    }
}
