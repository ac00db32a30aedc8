//! The rules for single kinds.

use serde_json::Value;

use super::review::{Review, is_set, list, text};
use super::{hosts, rbac};

/// Checks what only objects of this kind can do wrong.
pub(super) fn check(review: &mut Review<'_>, body: &mut Value) {
    hosts::check_annotations(review, body);
    let key = review.key;
    match (key.group.as_str(), key.kind.as_str()) {
        ("", "Service") => check_service(review, body),
        ("", "Secret") => check_secret(review, body),
        ("", "PersistentVolumeClaim") => check_claim(review, body),
        ("networking.k8s.io", "Ingress") => hosts::check_ingress(review, body),
        ("gateway.networking.k8s.io", "HTTPRoute" | "GRPCRoute" | "TLSRoute") => hosts::check_route(review, body),
        ("rbac.authorization.k8s.io", "Role") => rbac::check_role(review, body),
        ("rbac.authorization.k8s.io", "RoleBinding") => rbac::check_binding(review, body),
        _ => {}
    }
}

/// A Service leads to pods of the namespace, and takes nothing that the cluster has only once.
fn check_service(review: &mut Review<'_>, body: &Value) {
    match text(body, "/spec/type") {
        Some("ExternalName") => review.refuse("spec.type", "ExternalName would lead out of the environment: use a selector"),
        Some("NodePort") => review.refuse("spec.type", "NodePort takes a port of every node: use ClusterIP and an Ingress"),
        _ => {}
    }
    for (field, reason) in [
        ("externalName", "would lead out of the environment: use a selector"),
        ("externalIPs", "would take over addresses of others: remove them"),
        ("healthCheckNodePort", "takes a port of every node: remove it"),
    ] {
        if is_set(body, &format!("/spec/{field}")) {
            review.refuse(format!("spec.{field}"), reason);
        }
    }
    for (index, port) in list(body, "/spec/ports").iter().enumerate() {
        if is_set(port, "/nodePort") {
            review.refuse(
                format!("spec.ports[{index}].nodePort"),
                "two environments cannot share a port of the nodes: remove it",
            );
        }
    }
}

fn check_secret(review: &mut Review<'_>, body: &Value) {
    match text(body, "/type") {
        Some("kubernetes.io/service-account-token") => review.refuse(
            "type",
            "would hold the token of a ServiceAccount: pods get theirs by themselves, or by a projected volume",
        ),
        Some("bootstrap.kubernetes.io/token") => review.refuse("type", "would let new nodes join the cluster: use Opaque"),
        _ => {}
    }
}

fn check_claim(review: &mut Review<'_>, body: &Value) {
    if is_set(body, "/spec/volumeName") {
        review.refuse("spec.volumeName", "could claim a volume with somebody else's data: remove it");
    }
}
