//! What a deployment would change, as people read it: the live objects beside the manifests.
//!
//! Of a live object, only the fields that are ours are compared. Server-side apply records them, so what the API server defaulted and
//! what other field managers set is no difference; and no dry run is needed, which would take the right to write.

mod owned;
mod secret;
mod shared;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;
use similar::TextDiff;

use super::manifest::ObjectKey;
use super::observed::is_secret;
use super::plan::{Apply, Because, Plan, deploy};
use super::render::to_yaml;
pub use owned::{owned, owned_by};

/// Objects as the API server shows them, whole.
pub type Live = BTreeMap<ObjectKey, Value>;

/// How many lines that are the same are shown around those that differ.
const CONTEXT: usize = 3;

/// One object that a deployment would write or delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which object.
    pub key: ObjectKey,
    /// What would happen to it.
    pub change: Change,
    /// A unified diff of YAML, without a header. The values of a Secret are not in it.
    pub hunks: String,
}

/// What would happen to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It would come into being.
    Create,
    /// Fields of it would change.
    Update,
    /// It would go, once everything else is ready.
    Delete,
}

/// Who applies objects.
#[derive(Debug, Clone, Copy)]
pub struct Applier<'a> {
    /// The field manager of what is one environment's alone.
    pub field_manager: &'a str,
    /// The environment, which is an owner of what it shares under a field manager of its own.
    pub environment: &'a str,
}

/// What carrying out `plan` would change of `live`, with what it would delete at last.
///
/// An apply that would change no field (an answer to an earlier one was lost, for example) is no difference.
pub fn differences(plan: &Plan, stale: &[ObjectKey], live: &Live, applier: Applier<'_>) -> Vec<Difference> {
    let written = plan.applies().filter_map(|apply| {
        let key = &apply.manifest.key;
        let (before, after) = applied(apply, live.get(key), applier);
        compare(key, before, Some(after))
    });
    let deleted = stale.iter().filter_map(|key| {
        let (before, after) = removed(live.get(key)?, applier);
        compare(key, Some(before), after)
    });
    written.chain(deleted).collect()
}

/// An object before and after an apply.
fn applied(apply: &Apply, live: Option<&Value>, applier: Applier<'_>) -> (Option<Value>, Value) {
    let body = || Value::clone(&apply.manifest.body);
    match live {
        Some(object) if apply.because == Because::Wished => (
            Some(shared::held(object, applier.environment)),
            Value::clone(&deploy::wish(&apply.manifest, object).body),
        ),
        Some(object) if apply.manifest.owner().is_some() => (Some(shared::held(object, applier.environment)), body()),
        live => (live.map(|object| owned(object, applier.field_manager)), body()),
    }
}

/// An object before and after its removal: what environments share stays for its other owners.
fn removed(object: &Value, applier: Applier<'_>) -> (Value, Option<Value>) {
    if shared::is_owned_by(object, applier.environment) {
        let before = shared::held(object, applier.environment);
        return (before, shared::released(object, applier.environment));
    }
    (owned(object, applier.field_manager), None)
}

fn compare(key: &ObjectKey, mut before: Option<Value>, mut after: Option<Value>) -> Option<Difference> {
    if is_secret(key) {
        secret::mask(&mut before, &mut after);
    }
    let text = |side: &Option<Value>| side.as_ref().map(to_yaml).unwrap_or_default();
    let (old, new) = (text(&before), text(&after));
    let change = match (&before, &after) {
        (None, None) => return None,
        (None, Some(_)) => Change::Create,
        (Some(_), None) => Change::Delete,
        (Some(_), Some(_)) if old == new => return None,
        (Some(_), Some(_)) => Change::Update,
    };
    let hunks = TextDiff::from_lines(&old, &new).unified_diff().context_radius(CONTEXT).to_string();
    Some(Difference {
        key: key.clone(),
        change,
        hunks,
    })
}
