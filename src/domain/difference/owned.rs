//! The fields of a live object that a field manager has applied, as `metadata.managedFields` records them (`FieldsV1`).

use serde_json::{Map, Value, json};

use crate::domain::manifest::RUN_ANNOTATION;

/// What `manager` has applied of `object`, in the shape of a manifest: identity, and its own fields.
///
/// Of an object that the manager has never applied, the identity alone is left.
pub fn owned(object: &Value, manager: &str) -> Value {
    owned_by(object, |name| name == manager)
}

/// What the field managers that `is_one` accepts have applied of `object` together, in the shape of [`owned`].
pub fn owned_by(object: &Value, is_one: impl Fn(&str) -> bool) -> Value {
    let mut all = Map::new();
    for fields in fields(object, is_one) {
        unite(&mut all, fields);
    }
    let mut own = match all.is_empty() {
        true => json!({}),
        false => project(object, &as_stored(&all)),
    };
    for field in ["apiVersion", "kind"] {
        own[field] = object[field].clone();
    }
    for field in ["name", "namespace"] {
        if let Some(value) = object["metadata"].get(field) {
            own["metadata"][field] = value.clone();
        }
    }
    // Which run wrote it is no part of what was wished.
    if let Some(annotations) = own.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(RUN_ANNOTATION);
        if annotations.is_empty()
            && let Some(metadata) = own["metadata"].as_object_mut()
        {
            metadata.remove("annotations");
        }
    }
    own
}

fn fields(object: &Value, is_one: impl Fn(&str) -> bool) -> impl Iterator<Item = &Map<String, Value>> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let own = entries.into_iter().flatten().filter(move |entry| {
        entry["manager"].as_str().is_some_and(&is_one) && entry["operation"].as_str() == Some("Apply") && entry.get("subresource").is_none()
    });
    own.filter_map(|entry| entry.get("fieldsV1")?.as_object())
}

/// Adds the fields of one set to another. The recursion is as deep as the object.
fn unite(all: &mut Map<String, Value>, fields: &Map<String, Value>) {
    for (key, inner) in fields {
        match (all.get_mut(key).and_then(Value::as_object_mut), inner.as_object()) {
            (Some(known), Some(inner)) => unite(known, inner),
            _ => drop(all.insert(key.clone(), inner.clone())),
        }
    }
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
