//! The namespace and what fences it, before anything runs in it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::manifest::{Manifest, ObjectKey, Source, own_labels};
use super::name::{EnvironmentName, ObjectName, ProjectKey};
use super::policy::Guardrails;
use super::record::ROOM;

/// Everything that the objects of this stage depend on.
#[derive(Debug, Clone, Copy)]
pub struct Fence<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The UID of its Environment object.
    pub environment_uid: &'a str,
    /// The raw branch name.
    pub branch: &'a str,
    /// Its Project.
    pub project: &'a ProjectKey,
    /// The Project's settings.
    pub guardrails: &'a Guardrails,
    /// The ServiceAccount that applies the bundle's objects.
    pub deployer: &'a ObjectName,
    /// The ClusterRole that says what it may do inside the namespace.
    pub deployer_role: &'a ObjectName,
}

/// The namespace, with the Pod Security labels that no bundle can change.
pub fn namespace(fence: &Fence<'_>) -> Manifest {
    let level = fence.guardrails.pod_security;
    let mut labels = labels(fence);
    for mode in ["enforce", "audit", "warn"] {
        labels[format!("pod-security.kubernetes.io/{mode}")] = json!(level);
    }
    manifest(
        fence,
        "",
        "Namespace",
        fence.environment.as_str(),
        json!({
            "metadata": {
                "labels": labels,
                "annotations": {
                    "graftling.dev/branch": fence.branch,
                    "graftling.dev/environment-uid": fence.environment_uid,
                },
            },
        }),
    )
}

/// Quota, limits, network policies and the deployer's RoleBinding.
pub fn guardrails(fence: &Fence<'_>) -> Vec<Manifest> {
    let mut manifests = vec![deployer_binding(fence)];
    let settings = fence.guardrails;
    if !settings.quota.is_empty() {
        let spec = json!({"spec": {"hard": with_room(&settings.quota)}});
        manifests.push(manifest(fence, "", "ResourceQuota", "graftling-quota", spec));
    }
    if !settings.default_limits.is_empty() || !settings.default_requests.is_empty() {
        let limit = json!({"type": "Container", "default": settings.default_limits, "defaultRequest": settings.default_requests});
        manifests.push(manifest(
            fence,
            "",
            "LimitRange",
            "graftling-limits",
            json!({"spec": {"limits": [limit]}}),
        ));
    }
    if let Some(ingress_from) = &settings.ingress_from {
        manifests.push(ingress_policy(fence, &[ingress_from, &settings.checks_from]));
        manifests.push(egress_policy(fence));
    }
    manifests
}

/// A quota of Secrets counts the bundle's: run records have room beside it, or a run that is recorded could not begin.
fn with_room(quota: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let room = |(name, hard): (&String, &String)| {
        let counts_secrets = matches!(name.as_str(), "secrets" | "count/secrets");
        let hard = match hard.parse::<usize>() {
            Ok(number) if counts_secrets => number.saturating_add(ROOM).to_string(),
            _ => hard.clone(),
        };
        (name.clone(), hard)
    };
    quota.iter().map(room).collect()
}

/// The binding without which nothing of the bundle can be applied, read or removed. It does not depend on the Project's settings.
pub fn deployer_binding(fence: &Fence<'_>) -> Manifest {
    manifest(
        fence,
        "rbac.authorization.k8s.io",
        "RoleBinding",
        "graftling-deployer",
        json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": fence.deployer_role.as_str()},
            "subjects": [{
                "kind": "ServiceAccount",
                "name": fence.deployer.as_str(),
                "namespace": fence.project.namespace.as_str(),
            }],
        }),
    )
}

/// The environment itself may connect, and the namespaces that bear one of these sets of labels: none by an empty one, for an empty
/// selector would select every namespace of the cluster.
fn ingress_policy(fence: &Fence<'_>, namespaces: &[&BTreeMap<String, String>]) -> Manifest {
    let mut from = vec![json!({"podSelector": {}})];
    for labels in namespaces.iter().filter(|labels| !labels.is_empty()) {
        from.push(json!({"namespaceSelector": {"matchLabels": labels}}));
    }
    manifest(
        fence,
        "networking.k8s.io",
        "NetworkPolicy",
        "graftling-ingress",
        json!({"spec": {
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": from}],
        }}),
    )
}

/// DNS, the environment itself and, unless the Project's class leaves it out, the public Internet; no private network, no link-local
/// metadata service.
fn egress_policy(fence: &Fence<'_>) -> Manifest {
    let private = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];
    let mut egress = vec![
        json!({"to": [{"podSelector": {}}]}),
        json!({
            "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        }),
    ];
    if fence.guardrails.internet {
        egress.push(json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": private}}]}));
    }
    manifest(
        fence,
        "networking.k8s.io",
        "NetworkPolicy",
        "graftling-egress",
        json!({"spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": egress,
        }}),
    )
}

/// The labels that every object of an environment bears.
fn labels(fence: &Fence<'_>) -> Value {
    json!(BTreeMap::from(own_labels(fence.environment, fence.project)))
}

fn manifest(fence: &Fence<'_>, group: &str, kind: &str, name: &str, rest: Value) -> Manifest {
    let namespaced = kind != "Namespace";
    let key = ObjectKey {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: namespaced.then(|| fence.environment.as_str().to_owned()),
        name: name.to_owned(),
    };
    let mut body = rest;
    body["apiVersion"] = json!(key.api_version());
    body["kind"] = json!(kind);
    body["metadata"]["name"] = json!(name);
    if namespaced {
        body["metadata"]["namespace"] = json!(fence.environment.as_str());
        body["metadata"]["labels"] = labels(fence);
    }
    Manifest::new(
        key,
        body,
        Source {
            file: "graftling".to_owned(),
            line: 1,
        },
    )
}

#[cfg(test)]
mod tests;
