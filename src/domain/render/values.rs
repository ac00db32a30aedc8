//! Laying values over one another, and checking what came of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::context::Layer;
use super::emit::FRAGMENT_KEY;
use super::layering::{Layered, layer_values};
use super::path::ValuePath;
use crate::domain::bundle::{Bundle, Problem};

/// Lays `over` on `base`, as a JSON merge patch (RFC 7386): mappings are merged key by key, null takes a key away, and everything
/// else, a list included, replaces what was there.
pub fn merge_values(base: Map<String, Value>, over: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = base;
    for (key, value) in over {
        match value {
            Value::Null => {
                merged.remove(key);
            }
            Value::Object(patch) => {
                let below = match merged.remove(key) {
                    Some(Value::Object(entries)) => entries,
                    _ => Map::new(),
                };
                merged.insert(key.clone(), Value::Object(merge_values(below, patch)));
            }
            other => {
                merged.insert(key.clone(), other.clone());
            }
        }
    }
    merged
}

/// The bundle's defaults with `layers` laid over them, checked by everything that the bundle says of its values.
///
/// # Errors
/// As [`value_problems`].
pub(super) fn checked_values(bundle: &Bundle, layers: &[Layer]) -> Result<Layered, Vec<Problem>> {
    let layered = layer_values(bundle.values(), layers);
    let problems = value_problems(bundle, &layered);
    if problems.is_empty() { Ok(layered) } else { Err(problems) }
}

/// Everything that `bundle` does not accept of merged values. Each problem names the path of the value and where it was written.
pub fn value_problems(bundle: &Bundle, layered: &Layered) -> Vec<Problem> {
    let values = layered.values();
    if values.values().any(has_reserved_key) || values.contains_key(FRAGMENT_KEY) {
        let message = "the values have a key that is the noncharacter U+FDD0: rename it";
        return vec![Problem::in_file("values.yaml", message)];
    }
    let missing = missing_inputs(bundle, layered);
    let violations = bundle.values_schema().map(|schema| schema.violations(values)).unwrap_or_default();
    let violations = violations.into_iter().filter(|violation| !missing.contains_key(&violation.path));
    let violations = violations.map(|violation| {
        let place = format!("values.{}", violation.path);
        Problem::in_file(&place, violation.message + &from(layered, &violation.path))
    });
    let violations: Vec<_> = violations.collect();
    missing.into_values().chain(violations).collect()
}

fn missing_inputs(bundle: &Bundle, layered: &Layered) -> BTreeMap<ValuePath, Problem> {
    let missing = bundle.inputs().iter().filter(|input| input.is_required).filter_map(|input| {
        let path = ValuePath::new(input.name.split('.'));
        is_missing(layered.get(&path)).then(|| {
            let from = from(layered, &path);
            let message = format!("the bundle needs the value \"{}\": {}{from}", input.name, input.description);
            (path, Problem::in_file("values.yaml", message))
        })
    });
    missing.collect()
}

/// ` (from …)`, for the end of a message.
fn from(layered: &Layered, path: &ValuePath) -> String {
    match layered.origin(path) {
        Some(origin) => format!(" (from {origin})"),
        None => String::new(),
    }
}

/// Whether a value is absent, null or the empty text.
fn is_missing(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_null() || value.as_str() == Some(""))
}

/// Whether some mapping in `value` has the key by which helpers know their own objects.
pub(super) fn has_reserved_key(value: &Value) -> bool {
    match value {
        Value::Object(entries) => entries.iter().any(|(key, entry)| key == FRAGMENT_KEY || has_reserved_key(entry)),
        Value::Array(items) => items.iter().any(has_reserved_key),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "the test's own literals are mappings")]

    use serde_json::json;

    use super::*;

    fn merge(base: Value, over: Value) -> Value {
        Value::Object(merge_values(base.as_object().unwrap().clone(), over.as_object().unwrap()))
    }

    #[test]
    fn feature_p1_mappings_are_merged_lists_replaced_and_null_deletes() {
        assert_eq!(
            merge(
                json!({ "a": { "x": 1, "y": 2 }, "b": [1, 2], "c": 1, "d": 1, "e": { "f": 1 } }),
                json!({ "a": { "y": 3, "z": null }, "b": [3], "c": null, "d": { "n": { "m": null } }, "g": 1 }),
            ),
            json!({ "a": { "x": 1, "y": 3 }, "b": [3], "d": { "n": {} }, "e": { "f": 1 }, "g": 1 })
        );
        assert_eq!(merge(json!({ "a": { "x": 1 } }), json!({ "a": [] })), json!({ "a": [] }));
        assert_eq!(merge(json!({ "a": 1 }), json!({})), json!({ "a": 1 }));
    }
}
