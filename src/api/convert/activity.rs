//! When something last happened to an environment, and when it expires therefore.
//!
//! Every time here is the API server's, except that of a deployment's end and that of an extension: those can only make life longer.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::api::environment::EnvironmentStatus;
use crate::api::{Environment, keys};
use crate::domain::deadline;

/// The latest of the creation, the last push (or change of the pull request), a deployment that became ready, and an extension.
pub fn latest(environment: &Environment, status: Option<&EnvironmentStatus>) -> Option<Timestamp> {
    let created = environment.creation_timestamp().map(|time| time.0);
    let ready = status.and_then(|status| status.history.iter().find(|run| run.result == "Ready").map(|run| run.at.0));
    let extended = environment.annotations().get(keys::EXTENDED_ANNOTATION);
    let extended = extended.and_then(|text| text.parse::<Timestamp>().ok());
    [created, written(environment), ready, extended].into_iter().flatten().max()
}

/// When the environment expires unless something happens before; never, while it is pinned.
pub fn expires_at(environment: &Environment, status: &EnvironmentStatus, ttl: Option<Duration>) -> Option<Time> {
    let latest = latest(environment, Some(status)).filter(|_| !environment.spec.pinned)?;
    Some(Time(deadline::add(latest, ttl?)))
}

/// When what the Git host decides was last changed. The API server sets this time, and only when the change was one.
fn written(environment: &Environment) -> Option<Timestamp> {
    let entries = environment.metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| {
        let manager = entry.manager.as_deref() == Some(keys::FIELD_MANAGER) && entry.operation.as_deref() == Some("Apply");
        manager && entry.subresource.as_deref().unwrap_or_default().is_empty()
    });
    ours.filter_map(|entry| entry.time.as_ref().map(|time| time.0)).max()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an unreadable example is the test's failure")]

    use serde_json::json;

    use super::*;

    fn environment(annotations: serde_json::Value) -> Environment {
        serde_json::from_value(json!({
            "apiVersion": "graftling.dev/v1alpha1",
            "kind": "Environment",
            "metadata": {
                "name": "shop-a-aaaaaaaaaa", "namespace": "team", "creationTimestamp": "2026-01-01T01:00:00Z",
                "annotations": annotations,
                "managedFields": [
                    { "manager": "graftling", "operation": "Apply", "time": "2026-01-01T02:00:00Z" },
                    { "manager": "graftling", "operation": "Update", "time": "2026-01-01T09:00:00Z" },
                    { "manager": "graftling-status", "operation": "Apply", "subresource": "status", "time": "2026-01-01T09:00:00Z" },
                    { "manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T09:00:00Z" },
                ],
            },
            "spec": { "projectRef": { "name": "shop" }, "branch": "a", "repositoryId": "1", "revision": "ab".repeat(20) },
            "status": { "history": [
                { "revision": "ab".repeat(20), "at": "2026-01-01T05:00:00Z", "result": "Failed", "changed": 1 },
                { "revision": "ab".repeat(20), "at": "2026-01-01T03:00:00Z", "result": "Ready", "changed": 1 },
                { "revision": "cd".repeat(20), "at": "2026-01-01T02:30:00Z", "result": "Ready", "changed": 1 },
            ]},
        }))
        .unwrap()
    }

    fn hour(environment: &Environment) -> String {
        latest(environment, environment.status.as_ref()).unwrap().to_string()
    }

    #[test]
    fn feature_l1_activity_is_the_latest_of_creation_push_ready_deployment_and_extension() {
        let mut one = environment(json!({}));
        assert_eq!(
            hour(&one),
            "2026-01-01T03:00:00Z",
            "the deployment, and neither its failure nor a status of ours"
        );
        one.status = None;
        assert_eq!(hour(&one), "2026-01-01T02:00:00Z", "the push");
        one.metadata.managed_fields = None;
        assert_eq!(hour(&one), "2026-01-01T01:00:00Z", "the creation");
        let extended = environment(json!({ (keys::EXTENDED_ANNOTATION): "2026-01-01T04:00:00Z" }));
        assert_eq!(hour(&extended), "2026-01-01T04:00:00Z");
        let nonsense = environment(json!({ (keys::EXTENDED_ANNOTATION): "tomorrow" }));
        assert_eq!(hour(&nonsense), "2026-01-01T03:00:00Z");
    }

    #[test]
    fn feature_l1_the_deadline_is_a_ttl_after_the_last_activity_and_absent_without_one() {
        let environment = environment(json!({}));
        let status = environment.status.clone().unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let expires = expires_at(&environment, &status, Some(day)).unwrap();
        assert_eq!(expires.0.to_string(), "2026-01-02T03:00:00Z");
        assert_eq!(expires_at(&environment, &status, None), None);
    }
}
