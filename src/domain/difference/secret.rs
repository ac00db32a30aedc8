//! Secrets in a difference: which keys differ is shown, what they hold is not.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Map, Value};

/// What stands in the place of a value that is the same on both sides.
const SAME: &str = "***";

/// Replaces the values of both sides; `stringData` becomes `data`, as the API server stores it.
pub(super) fn mask(before: &mut Option<Value>, after: &mut Option<Value>) {
    let old = before.as_mut().map(take_data).unwrap_or_default();
    let new = after.as_mut().map(take_data).unwrap_or_default();
    put_masked(before, &old, &new, "*** (before)");
    put_masked(after, &new, &old, "*** (after)");
}

fn take_data(secret: &mut Value) -> Map<String, Value> {
    let Some(fields) = secret.as_object_mut() else { return Map::new() };
    let mut data = match fields.remove("data") {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    if let Some(Value::Object(plain)) = fields.remove("stringData") {
        let encoded = plain.into_iter().map(|(key, value)| {
            let text = value.as_str().unwrap_or_default();
            (key, Value::String(BASE64.encode(text)))
        });
        data.extend(encoded);
    }
    data
}

fn put_masked(side: &mut Option<Value>, own: &Map<String, Value>, other: &Map<String, Value>, differs: &str) {
    let Some(secret) = side.as_mut().filter(|_| !own.is_empty()) else {
        return;
    };
    let masked = own.iter().map(|(key, value)| {
        let shown = match other.get(key) {
            Some(same) if same == value => SAME,
            Some(_) => differs,
            None => SAME,
        };
        (key.clone(), Value::String(shown.to_owned()))
    });
    secret["data"] = Value::Object(masked.collect());
}
