//! Objects that environments own together: each applies under a field manager of its own, and what counts is what all of them hold.

use serde_json::Value;

use super::owned_by;
use crate::domain::manifest::scope::{OWNER_ANNOTATION_PREFIX, OWNER_MANAGER_PREFIX, owner_manager};

/// Whether an environment is an owner of `object`.
pub(super) fn is_owned_by(object: &Value, environment: &str) -> bool {
    applies(object, |manager| manager == owner_manager(environment))
}

/// What the owners of `object` hold; of the owners' annotations, that of `environment` alone.
pub(super) fn held(object: &Value, environment: &str) -> Value {
    let held = owned_by(object, |manager| manager.starts_with(OWNER_MANAGER_PREFIX));
    without_owners_but(held, environment)
}

/// What stays of `object` once `environment` has let go of it; `None` if that was its last owner.
pub(super) fn released(object: &Value, environment: &str) -> Option<Value> {
    let own = owner_manager(environment);
    let is_other = |manager: &str| manager.starts_with(OWNER_MANAGER_PREFIX) && manager != own;
    applies(object, is_other).then(|| without_owners_but(owned_by(object, is_other), environment))
}

fn applies(object: &Value, is_one: impl Fn(&str) -> bool) -> bool {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut managers = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry["operation"].as_str() == Some("Apply"))
        .filter_map(|entry| entry["manager"].as_str());
    managers.any(is_one)
}

/// What other owners want is no difference of ours.
fn without_owners_but(mut body: Value, environment: &str) -> Value {
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else {
        return body;
    };
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| key.strip_prefix(OWNER_ANNOTATION_PREFIX).is_none_or(|owner| owner == environment));
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    body
}
