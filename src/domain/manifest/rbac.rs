//! What a bundle may say about rights: Roles of its own, bound to its own ServiceAccounts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::review::{Review, list, text};
use super::{Manifest, Refusal, refusal};
use crate::domain::policy::ClusterScoped;

const GROUP: &str = "rbac.authorization.k8s.io";

/// A Role gives neither everything nor the means to get more.
pub(super) fn check_role(review: &mut Review<'_>, body: &Value) {
    for (index, rule) in list(body, "/rules").iter().enumerate() {
        let words = |field: &str| list(rule, field).iter().filter_map(Value::as_str).collect::<Vec<_>>();
        for (field, name) in [("/verbs", "verbs"), ("/apiGroups", "apiGroups"), ("/resources", "resources")] {
            if words(field).iter().any(|word| word.contains('*')) {
                review.refuse(
                    format!("rules[{index}].{name}"),
                    "\"*\" gives more than anybody can know: list what is needed",
                );
            }
        }
        for verb in words("/verbs") {
            if ["escalate", "bind", "impersonate"]
                .iter()
                .any(|refused| verb.eq_ignore_ascii_case(refused))
            {
                review.refuse(
                    format!("rules[{index}].verbs"),
                    format!("{verb:?} is a way to more rights: remove it"),
                );
            }
        }
        if words("/resources")
            .iter()
            .any(|resource| resource.eq_ignore_ascii_case("serviceaccounts/token"))
        {
            review.refuse(
                format!("rules[{index}].resources"),
                "\"serviceaccounts/token\" makes tokens of every account in the namespace: remove it",
            );
        }
        if words("/resources")
            .iter()
            .any(|resource| resource.eq_ignore_ascii_case("pods/exec"))
        {
            review.refuse(
                format!("rules[{index}].resources"),
                "\"pods/exec\" runs commands in every container of the namespace, as whatever account it has: remove it",
            );
        }
    }
    if body.get("aggregationRule").is_some() {
        review.refuse("aggregationRule", "would collect rules that others write: list what is needed");
    }
}

/// A binding binds a Role of the bundle, or a ClusterRole of it where the Project lets there be any, to ServiceAccounts of the namespace. Whether the Role is there is seen at the end, by
/// [`unknown_roles`].
pub(super) fn check_binding(review: &mut Review<'_>, body: &mut Value) {
    let kind = text(body, "/roleRef/kind").unwrap_or_default();
    let wanted = match (review.key.namespace.is_some(), review.admission.kinds.cluster_scoped) {
        (true, ClusterScoped::Deny) => &["Role"][..],
        (true, ClusterScoped::Rename | ClusterScoped::Share) => &["Role", "ClusterRole"],
        (false, _) => &["ClusterRole"],
    };
    if !wanted.contains(&kind) {
        let reason = format!(
            "is {kind:?}, which reaches beyond this bundle: bind a {} of the bundle",
            wanted.join(" or ")
        );
        review.refuse("roleRef.kind", reason);
    }
    if text(body, "/roleRef/apiGroup") != Some(GROUP) {
        review.refuse("roleRef.apiGroup", format!("must be {GROUP}"));
    }
    let namespace = review.admission.namespace.as_str();
    let Some(subjects) = body.get_mut("subjects").and_then(Value::as_array_mut) else {
        return;
    };
    for (index, subject) in subjects.iter_mut().enumerate() {
        let field = format!("subjects[{index}]");
        if text(subject, "/kind") != Some("ServiceAccount") || text(subject, "/apiGroup").is_some_and(|group| !group.is_empty()) {
            review.refuse(
                format!("{field}.kind"),
                "must be ServiceAccount: users and groups are not of this environment",
            );
            continue;
        }
        match subject.get("namespace").and_then(Value::as_str) {
            None => subject["namespace"] = namespace.into(),
            Some(own) if own == namespace => {}
            Some(other) => {
                let reason = format!("is {other:?}, a foreign namespace: remove the field");
                review.refuse(format!("{field}.namespace"), reason);
            }
        }
    }
}

/// Bindings of roles that the bundle does not have: the cluster may have one of that name, and it is not the bundle's to give.
pub(super) fn unknown_roles(manifests: &[Manifest]) -> Vec<Refusal> {
    let of_group = || manifests.iter().filter(|manifest| manifest.key.group == GROUP);
    let roles: BTreeSet<(&str, &str)> = of_group()
        .map(|manifest| (manifest.key.kind.as_str(), manifest.key.name.as_str()))
        .collect();
    of_group()
        .filter(|manifest| matches!(manifest.key.kind.as_str(), "RoleBinding" | "ClusterRoleBinding"))
        .filter_map(|binding| {
            let part = |pointer| text(&binding.body, pointer).unwrap_or_default();
            let (kind, role) = (part("/roleRef/kind"), part("/roleRef/name"));
            let reason = format!("{role:?} is not a {kind} of this bundle: add the {kind}, or correct the name");
            (!roles.contains(&(kind, role))).then(|| refusal(&binding.source, &binding.key.to_string(), "roleRef.name", reason))
        })
        .collect()
}
