//! The fields of a live object that a field manager has applied, as `metadata.managedFields` records them (`FieldsV1`).

use serde_json::{Map, Value, json};

/// What `manager` has applied of `object`, in the shape of a manifest: identity, and its own fields.
///
/// Of an object that the manager has never applied, the identity alone is left.
pub fn owned(object: &Value, manager: &str) -> Value {
    let mut own = match fields(object, manager) {
        Some(fields) => project(object, &as_stored(fields)),
        None => json!({}),
    };
    for field in ["apiVersion", "kind"] {
        own[field] = object[field].clone();
    }
    for field in ["name", "namespace"] {
        if let Some(value) = object["metadata"].get(field) {
            own["metadata"][field] = value.clone();
        }
    }
    own
}

fn fields<'a>(object: &'a Value, manager: &str) -> Option<&'a Map<String, Value>> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let own = entries.iter().find(|entry| {
        entry["manager"].as_str() == Some(manager) && entry["operation"].as_str() == Some("Apply") && entry.get("subresource").is_none()
    })?;
    own.get("fieldsV1")?.as_object()
}

/// What was applied as a Secret's `stringData` is recorded under that name and stored as `data`.
fn as_stored(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut stored = fields.clone();
    if let Some(Value::Object(plain)) = stored.remove("f:stringData") {
        let data = stored.entry("f:data").or_insert_with(|| json!({}));
        if let Some(data) = data.as_object_mut() {
            data.extend(plain);
        }
    }
    stored
}

/// The part of `value` that `fields` name; all of it where they go no deeper. The recursion is as deep as the object.
fn project(value: &Value, fields: &Map<String, Value>) -> Value {
    let mut below = fields.iter().filter(|(key, _)| *key != ".").peekable();
    if below.peek().is_none() {
        return value.clone();
    }
    match value {
        Value::Object(entries) => {
            let named = below.filter_map(|(key, inner)| {
                let name = key.strip_prefix("f:")?;
                Some((name.to_owned(), descend(entries.get(name)?, inner)))
            });
            Value::Object(named.collect())
        }
        Value::Array(items) => {
            let selectors: Vec<_> = below.collect();
            let chosen = items.iter().enumerate().filter_map(|(index, item)| {
                let (_, inner) = selectors.iter().find(|(selector, _)| selects(selector, index, item))?;
                Some(descend(item, inner))
            });
            Value::Array(chosen.collect())
        }
        scalar => scalar.clone(),
    }
}

fn descend(value: &Value, inner: &Value) -> Value {
    match inner.as_object() {
        Some(fields) => project(value, fields),
        None => value.clone(),
    }
}

/// `k:{"name":"web"}` selects by keys, `v:"x"` a scalar by its value, `i:0` by place.
fn selects(selector: &str, index: usize, item: &Value) -> bool {
    let Some((form, text)) = selector.split_once(':') else {
        return false;
    };
    let Ok(wanted) = serde_json::from_str::<Value>(text) else {
        return false;
    };
    match form {
        "k" => wanted
            .as_object()
            .is_some_and(|keys| keys.iter().all(|(key, value)| item.get(key) == Some(value))),
        "v" => *item == wanted,
        "i" => wanted.as_u64() == u64::try_from(index).ok(),
        _ => false,
    }
}
