//! The rules for single kinds.

use serde_json::Value;

use super::review::{Review, is_set, list, text};
use super::{hosts, pods, rbac, volumes};
use crate::domain::policy::Permission;

/// Checks what only objects of this kind can do wrong.
pub(super) fn check(review: &mut Review<'_>, body: &mut Value) {
    hosts::check_annotations(review, body);
    pods::check(review, body);
    let key = review.key;
    match (key.group.as_str(), key.kind.as_str()) {
        ("", "Service") => check_service(review, body),
        ("", "Secret") => check_secret(review, body),
        ("", "PersistentVolumeClaim") => volumes::check_claim(review, body),
        ("", "PersistentVolume") => volumes::check_volume(review, body),
        ("scheduling.k8s.io", "PriorityClass") | ("storage.k8s.io", "StorageClass") | ("networking.k8s.io", "IngressClass") => {
            volumes::check_class(review, body);
        }
        ("networking.k8s.io", "Ingress") => hosts::check_ingress(review, body),
        ("gateway.networking.k8s.io", "HTTPRoute" | "GRPCRoute" | "TLSRoute") => hosts::check_route(review, body),
        ("gateway.networking.k8s.io", "Gateway") => hosts::check_gateway(review, body),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => rbac::check_role(review, body),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => rbac::check_binding(review, body),
        _ => {}
    }
}

/// A Service leads to pods of the namespace, and takes what the cluster has only once if the Project says so.
fn check_service(review: &mut Review<'_>, body: &Value) {
    let claims = review.admission.kinds.claims;
    let allows_ports = claims.node_ports == Permission::Allow;
    let allows_balancers = claims.load_balancers == Permission::Allow;
    match text(body, "/spec/type") {
        Some("ExternalName") => review.refuse("spec.type", "ExternalName would lead out of the environment: use a selector"),
        Some("NodePort") if !allows_ports => review.refuse(
            "spec.type",
            "NodePort takes a port of every node: use ClusterIP and an Ingress, or let the Project allow it with policy.claims.nodePorts",
        ),
        Some("LoadBalancer") if !allows_balancers => review.refuse(
            "spec.type",
            "LoadBalancer takes an address of the cloud: use ClusterIP and an Ingress, or let the Project allow it with \
             policy.claims.loadBalancers (the quota services.loadbalancers counts as well)",
        ),
        _ => {}
    }
    for (field, allowed, reason) in [
        ("externalName", false, "would lead out of the environment: use a selector"),
        ("externalIPs", false, "would take over addresses of others: remove them"),
        ("healthCheckNodePort", allows_ports, "takes a port of every node: remove it"),
        (
            "loadBalancerIP",
            allows_balancers,
            "takes an address that the cluster has only once: remove it",
        ),
    ] {
        if !allowed && is_set(body, &format!("/spec/{field}")) {
            review.refuse(format!("spec.{field}"), reason);
        }
    }
    for (index, port) in list(body, "/spec/ports").iter().enumerate() {
        if !allows_ports && is_set(port, "/nodePort") {
            review.refuse(
                format!("spec.ports[{index}].nodePort"),
                "two environments cannot share a port of the nodes: remove it, or let the Project allow it with policy.claims.nodePorts",
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
