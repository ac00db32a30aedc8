//! What a deployment would change, as people read it: the live objects beside the manifests.
//!
//! Of a live object, only the fields that are ours are compared. Server-side apply records them, so what the API server defaulted and
//! what other field managers set is no difference; and no dry run is needed, which would take the right to write.

mod owned;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;
use similar::TextDiff;

use super::manifest::ObjectKey;
use super::observed::is_secret;
use super::plan::{Plan, Step};
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

/// What carrying out `plan` would change of `live`, with what it would delete at last.
///
/// An apply that would change no field (an answer to an earlier one was lost, for example) is no difference.
pub fn differences(plan: &Plan, stale: &[ObjectKey], live: &Live, field_manager: &str) -> Vec<Difference> {
    let applies = plan.steps.iter().flat_map(|step| match step {
        Step::Apply(applies) => applies.as_slice(),
        Step::Delete(_) => &[],
    });
    let written = applies.filter_map(|apply| {
        let key = &apply.manifest.key;
        let before = live.get(key).map(|object| owned(object, field_manager));
        compare(key, before, Some(apply.manifest.body.clone()))
    });
    let deleted = stale
        .iter()
        .filter_map(|key| compare(key, live.get(key).map(|object| owned(object, field_manager)), None));
    written.chain(deleted).collect()
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
