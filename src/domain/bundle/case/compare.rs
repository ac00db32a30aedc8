//! Objects against what a case expects of them.

use serde_json::{Map, Value};

use super::{Expectation, ExpectedObject};
use crate::domain::manifest::Manifest;

/// Everything in which the objects differ from what `count` and `objects` expect, as sentences.
pub fn mismatches(expect: &Expectation, objects: &[Manifest]) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(count) = expect.count.filter(|count| *count != objects.len()) {
        let names: Vec<String> = objects.iter().map(|object| object.key.to_string()).collect();
        found.push(format!("expected {count} objects, got {}: {}", objects.len(), names.join(", ")));
    }
    for expected in &expect.objects {
        found.extend(object(expected, objects));
    }
    found
}

fn object(expected: &ExpectedObject, objects: &[Manifest]) -> Vec<String> {
    let name = format!("{} {}", expected.kind, expected.name);
    let is_it = |manifest: &&Manifest| {
        let version = expected
            .api_version
            .as_ref()
            .is_none_or(|version| *version == manifest.key.api_version());
        version && manifest.key.kind == expected.kind && manifest.key.name == expected.name
    };
    match (objects.iter().find(is_it), expected.absent) {
        (None, true) => Vec::new(),
        (None, false) => vec![format!("there is no {name}")],
        (Some(_), true) => vec![format!("{name} should not be there")],
        (Some(manifest), false) => {
            let mut found = Vec::new();
            contains_map(&expected.contains, &manifest.body, "", &mut found);
            found.extend(
                expected
                    .without
                    .iter()
                    .filter(|path| field(&manifest.body, path).is_some())
                    .map(|path| format!("{path} should not be there")),
            );
            found.into_iter().map(|message| format!("{name}: {message}")).collect()
        }
    }
}

fn contains_map(expected: &Map<String, Value>, actual: &Value, path: &str, found: &mut Vec<String>) {
    let Some(actual) = actual.as_object() else {
        found.push(format!("{path}: expected a mapping, got {actual}"));
        return;
    };
    for (key, value) in expected {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match actual.get(key) {
            Some(actual) => contains(value, actual, &path, found),
            None => found.push(format!("{path} is missing, expected {value}")),
        }
    }
}

fn contains(expected: &Value, actual: &Value, path: &str, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(expected), actual) => contains_map(expected, actual, path, found),
        (Value::Array(expected), Value::Array(actual)) => contains_items(expected, actual, path, found),
        (expected, actual) if expected == actual => {}
        (expected, actual) => found.push(format!("{path}: expected {expected}, got {actual}")),
    }
}

/// A list of one entry on both sides is compared in depth, so that the message names the field.
fn contains_items(expected: &[Value], actual: &[Value], path: &str, found: &mut Vec<String>) {
    if let ([expected], [actual]) = (expected, actual) {
        return contains(expected, actual, &format!("{path}[0]"), found);
    }
    let mut rest = actual.iter();
    for item in expected {
        let is_it = |actual: &Value| {
            let mut differing = Vec::new();
            contains(item, actual, "", &mut differing);
            differing.is_empty()
        };
        if !rest.any(is_it) {
            found.push(format!("{path}: no entry (after those before it) is {item}"));
            return;
        }
    }
}

/// The value at a path such as `spec.rules[0].host`; a dot of a key itself is written `\.`.
fn field<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let escaped = path.replace("\\.", "\u{0}");
    escaped.split('.').try_fold(value, |value, part| {
        let part = part.replace('\u{0}', ".");
        let (key, indices) = part.split_once('[').unwrap_or((&part, ""));
        let start = if key.is_empty() { value } else { value.get(key)? };
        let numbers = indices.split(['[', ']']).filter(|number| !number.is_empty());
        numbers
            .into_iter()
            .try_fold(start, |value, number| value.get(number.parse::<usize>().ok()?))
    })
}
