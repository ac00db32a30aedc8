//! The order in which a teardown takes things down.

use crate::domain::inventory::{Entry, Stage};
use crate::domain::manifest::ObjectKey;

/// The order of a teardown. A tier begins when everything of the tiers before it is confirmed gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Custom resources: their controllers need what comes later to finish their work.
    Custom,
    /// What runs.
    Workload,
    /// Services and Ingresses: load balancers, names and certificates outside hang on them.
    Network,
    /// Volumes, configuration and the rest.
    Attachment,
    /// What belongs to no namespace: classes and volumes.
    Cluster,
    /// RoleBindings, Roles, their likes for the whole cluster, Secrets and NetworkPolicies.
    Access,
    /// ServiceAccounts.
    Identity,
    /// Our own fences: they hold until the namespace itself goes, and go with it.
    Guardrail,
    /// The namespace.
    Namespace,
}

impl Tier {
    /// All tiers in their order.
    pub const ALL: [Self; 9] = [
        Self::Custom,
        Self::Workload,
        Self::Network,
        Self::Attachment,
        Self::Cluster,
        Self::Access,
        Self::Identity,
        Self::Guardrail,
        Self::Namespace,
    ];

    /// The tiers that are emptied one by one while the namespace is active.
    pub(super) const DRAINED: [Self; 7] = [
        Self::Custom,
        Self::Workload,
        Self::Network,
        Self::Attachment,
        Self::Cluster,
        Self::Access,
        Self::Identity,
    ];

    /// The tier of an object of the inventory.
    pub(super) fn of_entry(key: &ObjectKey, entry: &Entry) -> Self {
        match entry.stage {
            Stage::Namespace => Self::Namespace,
            Stage::Guardrails => Self::Guardrail,
            Stage::Deploy => Self::of(key),
        }
    }

    /// The tier of a bundle's object, by its kind.
    pub fn of(key: &ObjectKey) -> Self {
        match (key.group.as_str(), key.kind.as_str()) {
            ("", "Namespace") => Self::Namespace,
            ("", "ServiceAccount") => Self::Identity,
            ("", "Secret") | ("rbac.authorization.k8s.io", _) | ("networking.k8s.io", "NetworkPolicy") => Self::Access,
            ("", "Pod" | "ReplicationController") | ("apps" | "batch", _) => Self::Workload,
            (group, _) if is_built_in(group) && key.namespace.is_none() => Self::Cluster,
            ("", "Service" | "Endpoints") | ("networking.k8s.io" | "discovery.k8s.io", _) => Self::Network,
            (group, _) if is_built_in(group) => Self::Attachment,
            _ => Self::Custom,
        }
    }
}

/// Kubernetes' own groups: all without a dot, and these. Others below `k8s.io` are custom resources of its special interest groups.
fn is_built_in(group: &str) -> bool {
    !group.contains('.')
        || matches!(
            group,
            "admissionregistration.k8s.io"
                | "apiextensions.k8s.io"
                | "apiregistration.k8s.io"
                | "certificates.k8s.io"
                | "flowcontrol.apiserver.k8s.io"
                | "networking.k8s.io"
                | "storage.k8s.io"
                | "discovery.k8s.io"
                | "coordination.k8s.io"
                | "scheduling.k8s.io"
                | "node.k8s.io"
                | "events.k8s.io"
                | "resource.k8s.io"
        )
}
