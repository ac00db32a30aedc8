//! Where objects say what pods run, and what a pod may not take.

use serde_json::Value;

use super::ObjectKey;
use super::review::{Review, is_set, list, text};
use crate::domain::policy::Permission;

/// Where in an object of a kind the pod's spec is, as a JSON pointer.
pub(in crate::domain) fn spec_pointer(key: &ObjectKey) -> Option<&'static str> {
    match (key.group.as_str(), key.kind.as_str()) {
        ("", "Pod") => Some("/spec"),
        ("apps", "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet") | ("batch", "Job") | ("", "ReplicationController") => {
            Some("/spec/template/spec")
        }
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template/spec"),
        _ => None,
    }
}

/// Every container of a pod's spec, with the field that it is in.
pub(in crate::domain) fn containers(spec: &Value) -> impl Iterator<Item = (String, &Value)> {
    let fields = ["containers", "initContainers", "ephemeralContainers"];
    fields.into_iter().flat_map(move |field| {
        let all = list(spec, &format!("/{field}")).iter().enumerate();
        all.map(move |(index, container)| (format!("{field}[{index}]"), container))
    })
}

/// Pods run under accounts of the bundle, and take no port of a node unless the Project says so. Everything else that a pod could take
/// of its node is fenced by the Pod Security level of the namespace.
pub(super) fn check(review: &mut Review<'_>, body: &Value) {
    let Some(pointer) = spec_pointer(review.key) else { return };
    let Some(spec) = body.pointer(pointer) else { return };
    let path = pointer.trim_start_matches('/').replace('/', ".");
    for field in ["serviceAccountName", "serviceAccount"] {
        if text(spec, &format!("/{field}")).is_some_and(|name| name.starts_with("graftling-")) {
            review.refuse(
                format!("{path}.{field}"),
                "names that begin with \"graftling-\" are kept for the system: use a ServiceAccount of the bundle",
            );
        }
    }
    if review.admission.kinds.claims.host_ports == Permission::Allow {
        return;
    }
    for (field, container) in containers(spec) {
        for (index, port) in list(container, "/ports").iter().enumerate() {
            if is_set(port, "/hostPort") {
                review.refuse(
                    format!("{path}.{field}.ports[{index}].hostPort"),
                    "takes a port of the node: use a Service, or let the Project allow it with policy.claims.hostPorts (and \
                     guardrails.podSecurity: privileged, as the other levels refuse it as well)",
                );
            }
        }
    }
}
