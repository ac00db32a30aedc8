//! Objects that belong to the whole cluster: which an environment may bring at all, under which name, and who owns them.

mod reference;
mod rename;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::{Admission, GroupKind, MANAGED_BY_LABEL, Manifest, digest_of};
use crate::domain::policy::ClusterScoped;
pub(super) use rename::Renames;

/// The label of an object that several environments own together. It bears no environment's label.
pub const SHARED_LABEL: &str = "graftling.dev/shared";
/// What an annotation begins with that names an owner of a shared object; the environment follows. Its value is a digest of what that
/// environment wants the object to be.
pub const OWNER_ANNOTATION_PREFIX: &str = "owner.graftling.dev/";
/// The annotation with a digest of the content that a shared object has: that of the wish which its owners last agreed on.
pub const SHARED_CONTENT_ANNOTATION: &str = "graftling.dev/shared-content";
/// What the field manager of an owner of a shared object begins with; the environment follows. Each owner applies under its own, so that
/// the API server keeps what any of them wants.
pub const OWNER_MANAGER_PREFIX: &str = "graftling:";

/// Group and kind of what belongs to no namespace in a cluster as it comes.
pub(super) const CLUSTER_SCOPED: [(&str, &str); 39] = [
    ("", "ComponentStatus"),
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("authentication.k8s.io", "SelfSubjectReview"),
    ("authentication.k8s.io", "TokenReview"),
    ("authorization.k8s.io", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "SelfSubjectRulesReview"),
    ("authorization.k8s.io", "SubjectAccessReview"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("certificates.k8s.io", "ClusterTrustBundle"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("internal.apiserver.k8s.io", "StorageVersion"),
    ("networking.k8s.io", "IPAddress"),
    ("networking.k8s.io", "IngressClass"),
    ("networking.k8s.io", "ServiceCIDR"),
    ("node.k8s.io", "RuntimeClass"),
    ("policy", "PodSecurityPolicy"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("resource.k8s.io", "DeviceClass"),
    ("resource.k8s.io", "ResourceSlice"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "CSINode"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttachment"),
    ("storage.k8s.io", "VolumeAttributesClass"),
    ("storagemigration.k8s.io", "StorageVersionMigration"),
];

/// Of these, what an environment may have for itself: nothing else in the cluster changes by their being there.
const OWN: [(&str, &str); 8] = [
    ("", "PersistentVolume"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "StorageClass"),
];

/// What can only be one environment's: a volume has one claim, and a binding names accounts of one namespace.
const NEVER_SHARED: [(&str, &str); 2] = [("", "PersistentVolume"), ("rbac.authorization.k8s.io", "ClusterRoleBinding")];

/// Whether Kubernetes itself has the kind, outside of namespaces.
pub(super) fn is_known(kind: &GroupKind) -> bool {
    CLUSTER_SCOPED.contains(&pair(kind))
}

/// Whether a cluster-scoped kind may be used under a policy; the error says why not, and what to do.
pub(super) fn check_kind(kind: &GroupKind, policy: ClusterScoped) -> Result<(), String> {
    let name = &kind.kind;
    let reach = format!("{name} belongs to the whole cluster, and an environment only to its namespace");
    if is_known(kind) && !OWN.contains(&pair(kind)) {
        return Err(format!(
            "{reach}: {}; have it installed by who runs the cluster",
            never(kind.kind.as_str())
        ));
    }
    match policy {
        ClusterScoped::Deny => Err(format!(
            "{reach}: have it installed by who runs the cluster, or let the Project allow it with policy.clusterScoped"
        )),
        ClusterScoped::Share if NEVER_SHARED.contains(&pair(kind)) => Err(format!(
            "a {name} cannot be shared: it needs policy.clusterScoped: Rename in the Project"
        )),
        ClusterScoped::Share | ClusterScoped::Rename => Ok(()),
    }
}

/// Why no policy allows a kind.
fn never(kind: &str) -> &'static str {
    match kind {
        "MutatingWebhookConfiguration"
        | "ValidatingWebhookConfiguration"
        | "MutatingAdmissionPolicy"
        | "MutatingAdmissionPolicyBinding"
        | "ValidatingAdmissionPolicy"
        | "ValidatingAdmissionPolicyBinding" => "it would decide about requests of everybody",
        "CustomResourceDefinition" => "its end would take every object of the kind with it, whoever made them",
        "APIService" => "it would answer requests for the API server",
        "Node" | "CSINode" | "CSIDriver" => "it would stand for a machine that others run on",
        "FlowSchema" | "PriorityLevelConfiguration" => "it would decide whose requests are served",
        _ => "it acts beyond any one environment",
    }
}

fn pair(kind: &GroupKind) -> (&str, &str) {
    (kind.group.as_str(), kind.kind.as_str())
}

/// The labels and annotations of a shared object, with `environment` as an owner.
pub(super) fn share(body: &mut Value, admission: &Admission<'_>) {
    let digest = digest_of(body);
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let labels = [(MANAGED_BY_LABEL, "graftling"), (SHARED_LABEL, "true")];
    insert(metadata, "labels", labels);
    let owner = format!("{OWNER_ANNOTATION_PREFIX}{}", admission.environment);
    let annotations = [(owner.as_str(), digest.as_str()), (SHARED_CONTENT_ANNOTATION, digest.as_str())];
    insert(metadata, "annotations", annotations);
}

/// Puts entries into a mapping of the metadata, which is made if it is not there.
pub(super) fn insert<'e>(metadata: &mut Map<String, Value>, field: &str, entries: impl IntoIterator<Item = (&'e str, &'e str)>) {
    let mapping = metadata.entry(field).or_insert(Value::Null);
    if !mapping.is_object() {
        *mapping = json!({});
    }
    for (key, value) in entries {
        mapping[key] = value.into();
    }
}

impl Manifest {
    /// The environment that wants to own a shared object, and a digest of what it wants the object to be; `None` for what is not shared.
    pub fn owner(&self) -> Option<(&str, &str)> {
        let annotations = self.body.pointer("/metadata/annotations")?.as_object()?;
        annotations
            .iter()
            .find_map(|(key, value)| Some((key.strip_prefix(OWNER_ANNOTATION_PREFIX)?, value.as_str()?)))
    }
}

/// The field manager under which an environment owns shared objects.
pub fn owner_manager(environment: &str) -> String {
    format!("{OWNER_MANAGER_PREFIX}{environment}")
}
