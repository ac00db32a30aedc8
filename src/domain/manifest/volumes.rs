//! What a bundle may say about volumes and classes of the whole cluster.

use serde_json::Value;

use super::review::{Review, is_set, text};
use crate::domain::policy::Permission;

/// A claim takes what its class gives, unless the Project lets it name a volume.
pub(super) fn check_claim(review: &mut Review<'_>, body: &Value) {
    if is_set(body, "/spec/volumeName") && review.admission.kinds.claims.static_volumes == Permission::Deny {
        review.refuse(
            "spec.volumeName",
            "could claim a volume with somebody else's data: remove it, or let the Project allow it with policy.claims.staticVolumes",
        );
    }
}

/// A volume is for one claim of this environment, and never a folder of a node.
pub(super) fn check_volume(review: &mut Review<'_>, body: &mut Value) {
    if review.admission.kinds.claims.static_volumes == Permission::Deny {
        review.refuse(
            "kind",
            "could hold somebody else's data: use a claim with a class, or let the Project allow it with policy.claims.staticVolumes",
        );
    }
    for field in ["hostPath", "local"] {
        if body.pointer(&format!("/spec/{field}")).is_some() {
            review.refuse(
                format!("spec.{field}"),
                "would open a folder of a node to a pod, which no level of Pod Security sees: remove it",
            );
        }
    }
    let own = review.admission.namespace.as_str();
    if text(body, "/spec/claimRef/name").is_none() {
        return review.refuse(
            "spec.claimRef.name",
            "is missing: name the claim of this environment that the volume is for",
        );
    }
    match text(body, "/spec/claimRef/namespace") {
        None => body["spec"]["claimRef"]["namespace"] = own.into(),
        Some(namespace) if namespace == own => {}
        Some(namespace) => {
            let reason = format!("is {namespace:?}, a foreign namespace: remove the field");
            review.refuse("spec.claimRef.namespace", reason);
        }
    }
}

/// A class is used by those who name it, never by everybody.
pub(super) fn check_class(review: &mut Review<'_>, body: &Value) {
    for annotation in [
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
        "ingressclass.kubernetes.io/is-default-class",
    ] {
        let annotations = body.pointer("/metadata/annotations");
        if annotations.and_then(|annotations| annotations.get(annotation)).is_some() {
            review.refuse(
                format!("metadata.annotations[{annotation:?}]"),
                "would change objects of everybody who names no class: remove it",
            );
        }
    }
    if body.get("globalDefault") == Some(&Value::Bool(true)) {
        review.refuse("globalDefault", "would change pods of everybody who names no class: remove it");
    }
}
