//! Which kinds an environment may consist of, and in which order they are applied.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::ObjectKey;
use super::scope;
use crate::domain::name::NameError;
use crate::domain::policy::{ClaimPolicy, ClusterScoped, Permission, Project};
use crate::domain::render::suggest::did_you_mean;

/// A kind of some API group, whatever the version. Written `group/Kind`, or `Kind` for the core.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// The API group, empty for the core.
    pub group: String,
    /// The kind.
    pub kind: String,
}

/// The kinds that the objects of an environment may have: those every application needs, and those that the Project adds.
///
/// Some are never allowed, whatever the Project says. Whether a kind from a custom resource definition is namespaced cannot be
/// known here: the Project says so, and whoever applies it must ask the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedKinds {
    added: BTreeSet<GroupKind>,
    cluster: BTreeSet<GroupKind>,
    pub(super) cluster_scoped: ClusterScoped,
    pub(super) claims: ClaimPolicy,
    pub(super) retain: Permission,
}

/// When an object is applied, earlier ones first. A teardown goes the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wave {
    /// Who the workloads are: ServiceAccounts and Roles; and what belongs to no namespace, such as classes.
    Identity,
    /// What the workloads need to be there, and what leads to them: RoleBindings, ConfigMaps, Secrets, claims, policies, Services (a pod
    /// learns only of those that were there before it) and Ingresses. The API server refuses a RoleBinding whose Role it does not know
    /// yet.
    Configuration,
    /// Everything else.
    Workload,
}

/// Group and kind of what every application may have.
const ORDINARY: [(&str, &str); 16] = [
    ("", "ConfigMap"),
    ("", "PersistentVolumeClaim"),
    ("", "Pod"),
    ("", "Secret"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("batch", "CronJob"),
    ("batch", "Job"),
    ("networking.k8s.io", "Ingress"),
    ("policy", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
];

/// The wave in which an object is applied.
pub fn wave(key: &ObjectKey) -> Wave {
    match (key.group.as_str(), key.kind.as_str()) {
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => Wave::Configuration,
        // What belongs to no namespace is what others refer to: classes, roles, volumes.
        _ if key.namespace.is_none() => Wave::Identity,
        ("", "ServiceAccount") | ("rbac.authorization.k8s.io", "Role") => Wave::Identity,
        ("", "ConfigMap" | "Secret" | "PersistentVolumeClaim" | "Service")
        | ("policy", "PodDisruptionBudget")
        | ("networking.k8s.io", "Ingress" | "NetworkPolicy")
        | ("rbac.authorization.k8s.io", "RoleBinding") => Wave::Configuration,
        _ => Wave::Workload,
    }
}

// === impl AllowedKinds ===

impl AllowedKinds {
    /// The ordinary kinds and these.
    pub fn with(added: impl IntoIterator<Item = GroupKind>) -> Self {
        Self {
            added: added.into_iter().collect(),
            ..Self::default()
        }
    }

    /// What a Project's policy allows.
    ///
    /// # Errors
    /// One of its kinds is not written as a kind.
    pub fn of(project: &Project) -> Result<Self, NameError> {
        let read = |kinds: &[String]| kinds.iter().map(|text| text.parse()).collect::<Result<Vec<GroupKind>, _>>();
        let allowed = Self::with(read(&project.kinds)?);
        Ok(allowed
            .cluster_scoped(project.cluster_scoped, read(&project.cluster_kinds)?)
            .claims(project.claims)
            .retain(project.retain))
    }

    /// The same, and these.
    #[must_use]
    pub fn and(mut self, added: impl IntoIterator<Item = GroupKind>) -> Self {
        self.added.extend(added);
        self
    }

    /// The same, with what becomes of cluster-scoped objects: of the built-in kinds that may be renamed or shared, and of `kinds`, which
    /// custom resource definitions make.
    #[must_use]
    pub fn cluster_scoped(mut self, policy: ClusterScoped, kinds: impl IntoIterator<Item = GroupKind>) -> Self {
        self.cluster_scoped = policy;
        self.cluster = kinds.into_iter().collect();
        self
    }

    /// The same, with what may be claimed.
    #[must_use]
    pub fn claims(mut self, claims: ClaimPolicy) -> Self {
        self.claims = claims;
        self
    }

    /// The same, with whether objects may ask to outlive their environment.
    #[must_use]
    pub fn retain(mut self, retain: Permission) -> Self {
        self.retain = retain;
        self
    }

    /// Whether objects of a kind belong to no namespace, as far as it can be known without a cluster.
    pub fn is_cluster_scoped(&self, kind: &GroupKind) -> bool {
        scope::is_known(kind) || self.cluster.contains(kind)
    }

    /// Whether a kind may be used; the error says why not, and what to do.
    pub fn check(&self, kind: &GroupKind) -> Result<(), String> {
        if let Some(reason) = never_allowed(kind) {
            return Err(reason);
        }
        if self.is_cluster_scoped(kind) {
            return scope::check_kind(kind, self.cluster_scoped);
        }
        let pair = (kind.group.as_str(), kind.kind.as_str());
        if ORDINARY.contains(&pair) || self.added.contains(kind) {
            return Ok(());
        }
        if let Some((group, _)) = ORDINARY.iter().find(|(_, ordinary)| *ordinary == kind.kind) {
            let group = if group.is_empty() { "the core, as in v1" } else { group };
            return Err(format!("{kind} is not allowed: {} belongs to the API group {group}", kind.kind));
        }
        if pair == ("networking.k8s.io", "NetworkPolicy") {
            return Err(
                "NetworkPolicies come from the Project's guardrails: a Project that lists the kind in policy.kinds allows more".into(),
            );
        }
        let hint = did_you_mean(&kind.kind, ORDINARY.iter().map(|(_, ordinary)| *ordinary));
        Err(format!("{kind} is not allowed: the Project can allow it in policy.kinds{hint}"))
    }
}

fn never_allowed(kind: &GroupKind) -> Option<String> {
    let pair = (kind.group.as_str(), kind.kind.as_str());
    match pair {
        ("", "Namespace") => Some("the environment's namespace is made by graftling: remove this object".into()),
        ("", "ResourceQuota" | "LimitRange") => Some("quotas and limits come from the Project's guardrails: set them there".into()),
        ("", "Endpoints") | ("discovery.k8s.io", "EndpointSlice") => {
            Some("hand-written endpoints could lead anywhere: use a Service with a selector".into())
        }
        _ if kind.group == "graftling.dev" || kind.group.ends_with(".graftling.dev") => {
            Some("an environment must not define environments: remove this object".into())
        }
        _ => None,
    }
}

// === impl GroupKind ===

impl GroupKind {
    /// The group and kind of an object.
    pub fn of(key: &ObjectKey) -> Self {
        Self {
            group: key.group.clone(),
            kind: key.kind.clone(),
        }
    }
}

impl FromStr for GroupKind {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (group, kind) = text.rsplit_once('/').unwrap_or(("", text));
        let is_kind = kind.starts_with(|first: char| first.is_ascii_uppercase()) && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_group = group.is_empty() || crate::domain::name::check_subdomain(group).is_ok();
        if !is_kind || !is_group {
            return Err(NameError::new(
                "kind",
                text,
                "must have the form Kind or group/Kind, without a version",
            ));
        }
        Ok(Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
        })
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            formatter.write_str(&self.kind)
        } else {
            write!(formatter, "{}/{}", self.group, self.kind)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn threat_t15_what_belongs_to_the_cluster_is_refused_even_when_the_project_lists_it() {
        let everything = scope::CLUSTER_SCOPED.iter().map(|(group, kind)| GroupKind {
            group: (*group).to_owned(),
            kind: (*kind).to_owned(),
        });
        let kinds = AllowedKinds::with(everything.clone());
        for kind in everything {
            assert!(kinds.check(&kind).is_err(), "{kind} was allowed");
        }
        for text in [
            "ResourceQuota",
            "LimitRange",
            "Endpoints",
            "discovery.k8s.io/EndpointSlice",
            "graftling.dev/Project",
        ] {
            let kind: GroupKind = text.parse().unwrap();
            assert!(AllowedKinds::with([kind.clone()]).check(&kind).is_err(), "{kind} was allowed");
        }
    }

    #[test]
    fn other_kinds_are_allowed_when_the_project_lists_them() {
        for text in [
            "networking.k8s.io/NetworkPolicy",
            "kafka.strimzi.io/KafkaTopic",
            "external-secrets.io/SecretStore",
            "ReplicationController",
        ] {
            let kind: GroupKind = text.parse().unwrap();
            assert_eq!(kind.to_string(), text);
            assert!(AllowedKinds::default().check(&kind).is_err());
            assert_eq!(AllowedKinds::with([kind.clone()]).check(&kind), Ok(()));
        }
        let wrong: GroupKind = "extensions/Ingress".parse().unwrap();
        assert_eq!(
            AllowedKinds::default().check(&wrong),
            Err("extensions/Ingress is not allowed: Ingress belongs to the API group networking.k8s.io".into())
        );
        for text in ["", "apps/v1/Deployment", "deployment", "apps/", "/Pod x", "a b/C"] {
            assert!(text.parse::<GroupKind>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn identities_come_before_configuration_and_that_before_workloads() {
        let wave_of = |group: &str, kind: &str| {
            wave(&ObjectKey {
                group: group.into(),
                version: "v1".into(),
                kind: kind.into(),
                namespace: Some("n".into()),
                name: "x".into(),
            })
        };
        assert_eq!(wave_of("", "ServiceAccount"), Wave::Identity);
        assert_eq!(wave_of("rbac.authorization.k8s.io", "Role"), Wave::Identity);
        assert_eq!(wave_of("rbac.authorization.k8s.io", "RoleBinding"), Wave::Configuration);
        assert_eq!(wave_of("", "Secret"), Wave::Configuration);
        assert_eq!(wave_of("", "Service"), Wave::Configuration);
        assert_eq!(wave_of("networking.k8s.io", "Ingress"), Wave::Configuration);
        assert_eq!(wave_of("apps", "Deployment"), Wave::Workload);
        assert_eq!(wave_of("example.com", "Secret"), Wave::Workload);
        assert!(Wave::Identity < Wave::Configuration && Wave::Configuration < Wave::Workload);
    }
}
