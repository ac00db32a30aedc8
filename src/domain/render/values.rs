//! Laying values over one another.

use serde_json::{Map, Value};

use super::emit::FRAGMENT_KEY;

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
