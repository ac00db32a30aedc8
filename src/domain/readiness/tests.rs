//! Bodies as clusters show them, and what they mean.

use serde_json::{Value, json};

use super::*;

fn check(body: &Value, wanted: &str) {
    let readiness = assess(body);
    let prefix = match readiness {
        Readiness::Ready => "ready",
        Readiness::Progressing { .. } => "progressing",
        Readiness::Failed { .. } => "failed",
    };
    let found = if readiness.is_ready() {
        prefix.to_owned()
    } else {
        format!("{prefix}: {readiness}")
    };
    assert_eq!(found, wanted, "{body}");
}

fn object(version: &str, kind: &str, spec: Value, status: Value) -> Value {
    json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "x", "generation": 2 }, "spec": spec, "status": status })
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message })
}

#[test]
fn deployments() {
    let deployment = |spec: Value, status: Value| object("apps/v1", "Deployment", spec, status);
    let progressing = condition("Progressing", "True", "ReplicaSetUpdated", "ReplicaSet \"x-1\" is progressing.");
    for (spec, status, wanted) in [
        (
            json!({ "replicas": 2 }),
            json!({}),
            "progressing: waits for its controller to see the newest change",
        ),
        (
            json!({ "replicas": 2 }),
            json!({ "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 }),
            "progressing: waits for its controller to see the newest change",
        ),
        (
            json!({ "replicas": 2 }),
            json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2, "conditions": [progressing] }),
            "progressing: 1 of 2 pods are of the newest version",
        ),
        (
            json!({ "replicas": 2 }),
            json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2 }),
            "progressing: 1 pods of the version before still run",
        ),
        (
            json!({ "replicas": 2 }),
            json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1 }),
            "progressing: 1 of 2 pods are available",
        ),
        (
            json!({}),
            json!({ "observedGeneration": 2, "unavailableReplicas": 1, "conditions": [
                condition("ReplicaFailure", "True", "FailedCreate", "pods \"x-1\" is forbidden: exceeded quota: compute"),
            ] }),
            "progressing: the cluster refuses to make its pods: pods \"x-1\" is forbidden: exceeded quota: compute",
        ),
        (
            json!({ "replicas": 2 }),
            json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "conditions": [
                condition("Progressing", "False", "ProgressDeadlineExceeded", "ReplicaSet \"x-1\" has timed out progressing."),
            ] }),
            "failed: ReplicaSet \"x-1\" has timed out progressing.",
        ),
        (
            json!({ "replicas": 2 }),
            json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2 }),
            "ready",
        ),
        (json!({ "replicas": 0 }), json!({ "observedGeneration": 2 }), "ready"),
    ] {
        check(&deployment(spec, status), wanted);
    }
}

#[test]
fn stateful_sets() {
    for (spec, status, wanted) in [
        (
            json!({}),
            json!({}),
            "progressing: waits for its controller to see the newest change",
        ),
        (
            json!({ "replicas": 3 }),
            json!({ "observedGeneration": 2, "replicas": 3, "readyReplicas": 1 }),
            "progressing: 1 of 3 pods are ready",
        ),
        (
            json!({ "replicas": 3, "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } } }),
            json!({ "observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "x-1", "updateRevision": "x-2" }),
            "progressing: 1 of 3 pods are of the newest version",
        ),
        (
            json!({ "replicas": 3, "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 2 } } }),
            json!({ "observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "x-1", "updateRevision": "x-2" }),
            "ready",
        ),
        (
            json!({ "replicas": 1, "updateStrategy": { "type": "OnDelete" } }),
            json!({ "observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "currentRevision": "x-1", "updateRevision": "x-2" }),
            "ready",
        ),
        (
            json!({ "replicas": 1 }),
            json!({ "observedGeneration": 2, "replicas": 2, "readyReplicas": 2 }),
            "progressing: has more pods than wanted",
        ),
        (
            json!({ "replicas": 1 }),
            json!({ "observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "currentRevision": "x-2", "updateRevision": "x-2" }),
            "ready",
        ),
    ] {
        check(&object("apps/v1", "StatefulSet", spec, status), wanted);
    }
}

#[test]
fn daemon_sets_and_replica_sets() {
    for (kind, spec, status, wanted) in [
        (
            "DaemonSet",
            json!({ "updateStrategy": { "type": "RollingUpdate" } }),
            json!({ "observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 1, "numberAvailable": 3 }),
            "progressing: 1 of 3 pods are of the newest version",
        ),
        (
            "DaemonSet",
            json!({}),
            json!({ "observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2 }),
            "progressing: 2 of 3 pods are available",
        ),
        (
            "DaemonSet",
            json!({ "updateStrategy": { "type": "OnDelete" } }),
            json!({ "observedGeneration": 2, "desiredNumberScheduled": 3, "numberAvailable": 3 }),
            "ready",
        ),
        (
            "DaemonSet",
            json!({}),
            json!({ "observedGeneration": 2, "desiredNumberScheduled": 0 }),
            "ready",
        ),
        (
            "ReplicaSet",
            json!({ "replicas": 2 }),
            json!({ "observedGeneration": 2, "replicas": 2, "availableReplicas": 1 }),
            "progressing: 1 of 2 pods are available",
        ),
        (
            "ReplicaSet",
            json!({ "replicas": 0 }),
            json!({ "observedGeneration": 2, "replicas": 1 }),
            "progressing: has more pods than wanted",
        ),
        (
            "ReplicaSet",
            json!({ "replicas": 1 }),
            json!({ "observedGeneration": 2, "replicas": 1, "availableReplicas": 1 }),
            "ready",
        ),
    ] {
        check(&object("apps/v1", kind, spec, status), wanted);
    }
}

#[test]
fn jobs() {
    for (spec, status, wanted) in [
        (json!({}), json!({}), "progressing: has not started yet"),
        (json!({}), json!({ "active": 1 }), "progressing: is running"),
        (
            json!({}),
            json!({ "active": 1, "failed": 2 }),
            "progressing: is running again after 2 failed attempts",
        ),
        (json!({ "suspend": true }), json!({}), "progressing: is suspended"),
        (
            json!({}),
            json!({ "failed": 3, "conditions": [condition("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")] }),
            "failed: Job has reached the specified backoff limit",
        ),
        (
            json!({}),
            json!({ "succeeded": 1, "conditions": [condition("SuccessCriteriaMet", "True", "", ""), condition("Complete", "True", "CompletionsReached", "")] }),
            "ready",
        ),
    ] {
        check(&object("batch/v1", "Job", spec, status), wanted);
    }
    check(&object("batch/v1", "CronJob", json!({}), json!({})), "ready");
}

#[test]
fn pods() {
    let container =
        |state: Value, last: Value| json!([{ "name": "web", "image": "shop:1", "ready": false, "state": state, "lastState": last }]);
    let waiting = |reason: &str| json!({ "waiting": { "reason": reason, "message": "secret \"db\" not found" } });
    for (status, wanted) in [
        (json!({ "phase": "Pending" }), "progressing: is starting"),
        (
            json!({ "phase": "Pending", "conditions": [condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu.")] }),
            "progressing: waits for a node: 0/3 nodes are available: 3 Insufficient cpu.",
        ),
        (
            json!({ "phase": "Running", "containerStatuses": container(json!({ "running": {} }), json!({})) }),
            "progressing: waits for its containers: web",
        ),
        (
            json!({ "phase": "Pending", "containerStatuses": container(waiting("ContainerCreating"), json!({})) }),
            "progressing: waits for its containers: web",
        ),
        (
            json!({ "phase": "Running", "containerStatuses": container(waiting("CrashLoopBackOff"), json!({ "terminated": { "exitCode": 1, "reason": "Error" } })) }),
            "failed: container web starts and ends again and again, last with exit code 1",
        ),
        (
            json!({ "phase": "Running", "containerStatuses": container(waiting("CrashLoopBackOff"), json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } })) }),
            "failed: container web starts and ends again and again, last because it used more memory than its limit",
        ),
        (
            json!({ "phase": "Pending", "containerStatuses": container(waiting("ImagePullBackOff"), json!({})) }),
            "failed: the image shop:1 of container web cannot be pulled: does it exist, and may the cluster read it?",
        ),
        (
            json!({ "phase": "Pending", "initContainerStatuses": container(waiting("ErrImagePull"), json!({})) }),
            "failed: the image shop:1 of container web cannot be pulled: does it exist, and may the cluster read it?",
        ),
        (
            json!({ "phase": "Pending", "containerStatuses": container(waiting("CreateContainerConfigError"), json!({})) }),
            "failed: container web cannot be started: secret \"db\" not found",
        ),
        (
            json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory." }),
            "failed: The node was low on resource: memory.",
        ),
        (
            json!({ "phase": "Failed", "containerStatuses": container(json!({ "terminated": { "exitCode": 3 } }), json!({})) }),
            "failed: container web ended with exit code 3",
        ),
        (json!({ "phase": "Succeeded" }), "ready"),
        (
            json!({ "phase": "Running", "conditions": [condition("Ready", "True", "", "")] }),
            "ready",
        ),
    ] {
        check(&object("v1", "Pod", json!({}), status), wanted);
    }
}

#[test]
fn claims_services_and_what_has_no_status() {
    for (version, kind, spec, status, wanted) in [
        ("v1", "PersistentVolumeClaim", json!({}), json!({ "phase": "Bound" }), "ready"),
        (
            "v1",
            "PersistentVolumeClaim",
            json!({}),
            json!({ "phase": "Pending" }),
            "progressing: waits for a volume, or for the first pod that uses it",
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            json!({}),
            json!({ "phase": "Lost" }),
            "failed: has lost its volume, and the data with it",
        ),
        (
            "v1",
            "Service",
            json!({ "type": "ClusterIP" }),
            json!({ "loadBalancer": {} }),
            "ready",
        ),
        (
            "v1",
            "Service",
            json!({ "type": "LoadBalancer" }),
            json!({ "loadBalancer": {} }),
            "progressing: waits for the cluster to give it an address",
        ),
        (
            "v1",
            "Service",
            json!({ "type": "LoadBalancer" }),
            json!({ "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } }),
            "ready",
        ),
        ("networking.k8s.io/v1", "Ingress", json!({}), json!({ "loadBalancer": {} }), "ready"),
        ("v1", "ConfigMap", json!({}), json!(null), "ready"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", json!({}), json!(null), "ready"),
    ] {
        check(&object(version, kind, spec, status), wanted);
    }
}

#[test]
fn custom_resources() {
    let custom = |status: Value| object("example.com/v1", "Widget", json!({}), status);
    for (status, wanted) in [
        (json!({}), "ready"),
        (
            json!({ "observedGeneration": 1, "conditions": [condition("Ready", "True", "", "")] }),
            "progressing: waits for its controller to see the newest change",
        ),
        (
            json!({ "observedGeneration": 2, "conditions": [condition("Ready", "True", "", "")] }),
            "ready",
        ),
        (
            json!({ "conditions": [condition("Ready", "False", "Installing", "step 2 of 3")] }),
            "progressing: step 2 of 3",
        ),
        (
            json!({ "conditions": [condition("Available", "Unknown", "Checking", "")] }),
            "progressing: Checking",
        ),
        (json!({ "conditions": [condition("Succeeded", "True", "", "")] }), "ready"),
        (
            json!({ "conditions": [condition("Ready", "False", "", ""), condition("Stalled", "True", "BadSpec", "no such plan")] }),
            "failed: no such plan",
        ),
        (json!({ "conditions": [condition("Failed", "True", "Boom", "")] }), "failed: Boom"),
        (
            json!({ "conditions": [condition("Failed", "False", "", ""), condition("Reconciling", "True", "Rolling", "")] }),
            "progressing: Rolling",
        ),
        (
            json!({ "conditions": [{ "type": "Ready", "status": "True", "observedGeneration": 1 }] }),
            "progressing: waits for its controller to see the newest change",
        ),
    ] {
        check(&custom(status), wanted);
    }
}

#[test]
fn what_is_being_deleted_is_never_ready() {
    let mut body = object("v1", "ConfigMap", json!({}), json!(null));
    body["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z".into();
    check(&body, "progressing: is being deleted");
}

#[test]
fn definitions_and_aggregated_apis_are_ready_when_the_api_server_serves_them() {
    let of = |version: &str, kind: &str, conditions: Value| object(version, kind, json!({}), json!({ "conditions": conditions }));
    let (crd, api) = ("apiextensions.k8s.io/v1", "apiregistration.k8s.io/v1");
    let definition = |conditions| of(crd, "CustomResourceDefinition", conditions);
    for (body, wanted) in [
        (definition(json!([])), "progressing: waits for the API server to establish it"),
        (
            definition(json!([condition(
                "Established",
                "False",
                "Installing",
                "the initial names have been accepted"
            )])),
            "progressing: the initial names have been accepted",
        ),
        (
            definition(json!([
                condition("NamesAccepted", "False", "PluralConflict", "\"shops\" is already in use"),
                condition("Established", "False", "NotAccepted", "not all names are accepted")
            ])),
            "failed: \"shops\" is already in use",
        ),
        (
            definition(json!([
                condition("NamesAccepted", "True", "", ""),
                condition("Established", "True", "", "")
            ])),
            "ready",
        ),
        (
            of(api, "APIService", json!([])),
            "progressing: waits for the API server to find out whether it answers",
        ),
        (
            of(
                api,
                "APIService",
                json!([condition("Available", "False", "MissingEndpoints", "no endpoints")]),
            ),
            "progressing: no endpoints",
        ),
        (
            of(api, "APIService", json!([condition("Available", "True", "Passed", "")])),
            "ready",
        ),
    ] {
        check(&body, wanted);
    }
}

#[test]
fn a_budget_that_its_controller_cannot_count_is_not_ready() {
    let budget = |status: Value| object("policy/v1", "PodDisruptionBudget", json!({}), status);
    check(&budget(json!({})), "ready");
    check(&budget(json!({ "observedGeneration": 2, "disruptionsAllowed": 0 })), "ready");
    check(
        &budget(json!({ "observedGeneration": 1 })),
        "progressing: waits for its controller to see the newest change",
    );
    let failed = condition("DisruptionAllowed", "False", "SyncFailed", "found no controllers for pod \"x\"");
    check(
        &budget(json!({ "observedGeneration": 2, "conditions": [failed] })),
        "progressing: found no controllers for pod \"x\"",
    );
}

#[test]
fn a_paused_deployment_and_a_job_whose_last_pods_end_say_what_they_wait_for() {
    let deployment = |updated: u32| {
        let status = json!({ "observedGeneration": 2, "replicas": updated, "updatedReplicas": updated, "availableReplicas": updated });
        object("apps/v1", "Deployment", json!({ "replicas": 2, "paused": true }), status)
    };
    check(&deployment(0), "progressing: is paused: spec.paused is true");
    check(&deployment(2), "ready");
    let met = condition("SuccessCriteriaMet", "True", "CompletionsReached", "");
    check(
        &object("batch/v1", "Job", json!({}), json!({ "terminating": 1, "conditions": [met] })),
        "progressing: has succeeded; its last pods are ending",
    );
}
