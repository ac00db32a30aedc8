//! What a bundle may say about rights: Roles over its own namespace, bound to its own ServiceAccounts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::review::{Review, list, text};
use super::{Manifest, Refusal, refusal};

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
    }
    if body.get("aggregationRule").is_some() {
        review.refuse("aggregationRule", "belongs to ClusterRoles: remove it");
    }
}

/// A RoleBinding binds a Role of the bundle to ServiceAccounts of the namespace. Whether the Role is there is seen at the end, by
/// [`unknown_roles`].
pub(super) fn check_binding(review: &mut Review<'_>, body: &mut Value) {
    let kind = text(body, "/roleRef/kind").unwrap_or_default();
    if kind != "Role" {
        review.refuse(
            "roleRef.kind",
            format!("is {kind:?}, which reaches beyond this bundle: bind a Role of the bundle"),
        );
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

/// RoleBindings to Roles that the bundle does not have: the cluster may have one of that name, and it is not the bundle's to give.
pub(super) fn unknown_roles(manifests: &[Manifest]) -> Vec<Refusal> {
    let of_kind = |kind: &'static str| {
        manifests
            .iter()
            .filter(move |manifest| manifest.key.group == GROUP && manifest.key.kind == kind)
    };
    let roles: BTreeSet<&str> = of_kind("Role").map(|manifest| manifest.key.name.as_str()).collect();
    of_kind("RoleBinding")
        .filter_map(|binding| {
            let role = text(&binding.body, "/roleRef/name").unwrap_or_default();
            let reason = format!("{role:?} is not a Role of this bundle: add the Role, or correct the name");
            (!roles.contains(role)).then(|| refusal(&binding.source, &binding.key.to_string(), "roleRef.name", reason))
        })
        .collect()
}
