//! Mappings.

use serde_json::{Map, Value};

use super::arguments::Arguments;
use super::{Function, MANY, Undefined, function, is_truthy};
use crate::domain::render::emit;
use crate::domain::render::suggest::did_you_mean;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "dict",
        (0, 2 * MANY),
        "{{dict KEY VALUE…}}",
        "A mapping of these keys to these values.",
        dict,
    ),
    function(
        "get",
        (2, 2),
        "{{get MAPPING KEY}}",
        "The value of KEY, \"\" where there is none.",
        |args| Ok(entry(args, 0, 1)?.cloned().unwrap_or_else(|| "".into())),
    )
    .undefined(Undefined::First),
    function(
        "hasKey",
        (2, 2),
        "{{#if (hasKey MAPPING KEY)}}",
        "Whether MAPPING is defined and has KEY.",
        |args| Ok(entry(args, 0, 1)?.is_some().into()),
    )
    .undefined(Undefined::First),
    function(
        "dig",
        (3, MANY),
        "{{dig KEY… FALLBACK MAPPING}}",
        "The value that the KEYs lead to one below the other, or FALLBACK where one is missing.",
        dig,
    )
    .undefined(Undefined::Last),
    function(
        "keys",
        (1, MANY),
        "{{keys MAPPING…}}",
        "The keys of all mappings, sorted.",
        |args| {
            let mut keys = Vec::new();
            for index in 0..args.len() {
                keys.extend(args.mapping(index)?.keys().cloned());
            }
            keys.sort();
            Ok(keys.into())
        },
    ),
    function(
        "values",
        (1, MANY),
        "{{values MAPPING…}}",
        "The values of all mappings, sorted by their keys.",
        |args| {
            let mut entries = Vec::new();
            for index in 0..args.len() {
                entries.extend(args.mapping(index)?);
            }
            entries.sort_by_key(|(key, _)| *key);
            Ok(entries.into_iter().map(|(_, value)| value.clone()).collect())
        },
    ),
    function(
        "pluck",
        (2, MANY),
        "{{pluck KEY MAPPING…}}",
        "The values of KEY in those mappings that have it.",
        |args| {
            let key = args.text(0)?;
            let mut found = Vec::new();
            for index in 1..args.len() {
                found.extend(args.mapping(index)?.get(&key).cloned());
            }
            Ok(found.into())
        },
    ),
    function(
        "pick",
        (2, MANY),
        "{{pick MAPPING KEY…}}",
        "MAPPING with these keys only.",
        |args| filtered(args, true),
    ),
    function("omit", (2, MANY), "{{omit MAPPING KEY…}}", "MAPPING without these keys.", |args| {
        filtered(args, false)
    }),
    function(
        "merge",
        (1, MANY),
        "{{merge MAPPING…}}",
        "All mappings as one, key by key at every level; the first one that has a value for a key wins, where an empty one is none.",
        |args| merged(args, |over, below| if is_truthy(&over) { over } else { below }),
    ),
    function(
        "mergeOverwrite",
        (1, MANY),
        "{{mergeOverwrite MAPPING…}}",
        "All mappings as one, key by key at every level; the last one that has a value for a key wins.",
        |args| merged(args, |_, below| below),
    ),
    function(
        "lookup",
        (2, 2),
        "{{lookup LIST-OR-MAPPING KEY}}",
        "The entry with this number or key, which must be there. It is Handlebars' own; nothing looks into the cluster.",
        lookup,
    ),
];

fn entry<'a>(args: &Arguments<'a>, mapping: usize, key: usize) -> Result<Option<&'a Value>, String> {
    let key = args.text(key)?;
    if args.value(mapping).is_null() {
        return Ok(None);
    }
    Ok(args.mapping(mapping)?.get(&key))
}

fn dict(args: &Arguments<'_>) -> Result<Value, String> {
    if !args.len().is_multiple_of(2) {
        return Err("the last key has no value".into());
    }
    let mut entries = Map::new();
    for index in (0..args.len()).step_by(2) {
        entries.insert(args.text(index)?, args.value(index + 1).clone());
    }
    Ok(entries.into())
}

fn dig(args: &Arguments<'_>) -> Result<Value, String> {
    let last = args.len() - 1;
    if !matches!(args.value(last), Value::Object(_) | Value::Null) {
        return Err(args.wrong(last, "a mapping"));
    }
    let mut found = args.value(last);
    for index in 0..last - 1 {
        match found.get(args.text(index)?) {
            Some(below) => found = below,
            None => return Ok(args.value(last - 1).clone()),
        }
    }
    Ok(found.clone())
}

fn filtered(args: &Arguments<'_>, wanted: bool) -> Result<Value, String> {
    let keys: Vec<String> = (1..args.len()).map(|index| args.text(index)).collect::<Result<_, _>>()?;
    let entries = args.mapping(0)?.iter().filter(|(key, _)| keys.contains(key) == wanted);
    Ok(Value::Object(entries.map(|(key, value)| (key.clone(), value.clone())).collect()))
}

fn merged(args: &Arguments<'_>, choose: fn(Value, Value) -> Value) -> Result<Value, String> {
    let mut merged = args.mapping(0)?.clone();
    for index in 1..args.len() {
        lay_below(&mut merged, args.mapping(index)?, choose);
    }
    Ok(merged.into())
}

fn lay_below(over: &mut Map<String, Value>, below: &Map<String, Value>, choose: fn(Value, Value) -> Value) {
    for (key, value) in below {
        let chosen = match (over.remove(key), value) {
            (Some(Value::Object(mut entries)), Value::Object(others)) => {
                lay_below(&mut entries, others, choose);
                Value::Object(entries)
            }
            (Some(first), second) => choose(first, second.clone()),
            (None, second) => second.clone(),
        };
        over.insert(key.clone(), chosen);
    }
}

fn lookup(args: &Arguments<'_>) -> Result<Value, String> {
    let (collection, key) = (args.value(0), args.value(1));
    let found = match collection {
        Value::Array(items) => key.as_u64().and_then(|index| items.get(usize::try_from(index).ok()?)),
        Value::Object(entries) => key.as_str().and_then(|key| entries.get(key)),
        _ => return Err(args.wrong(0, "a list or a mapping")),
    };
    found.cloned().ok_or_else(|| {
        let key = emit::text(key).unwrap_or_default();
        let keys = collection.as_object().into_iter().flat_map(|entries| entries.keys());
        format!("\"{key}\" is not defined{}", did_you_mean(&key, keys.map(String::as_str)))
    })
}
