//! What templates see, as a table for people: generated from the type that is rendered, so that it cannot be wrong.

use serde_json::Value;

use super::view::View;

const HEAD: &str = "\
<!-- Generated from src/domain/render/context/view.rs. To renew it: INSTA_UPDATE=always cargo test --test it templates_see -->

# What templates see

A name that is not here is an error, in `{{#if}}` too. Every template of every bundle sees the same names.

| name | type | meaning | example |
|---|---|---|---|
";

const TAIL: &str = "
`values` holds what the bundle's `values.yaml` says, with these laid over it, each over the ones before:

1. `spec.values` of the Project
2. `values` of each rule in `spec.rules` of the Project that has a glob for the branch, in their order
3. `values` of the file `.graftling.yaml` of the branch, where `spec.branchFile.allow` of the Project names the key
4. `spec.values` of the Environment

Mappings are merged key by key, everything else is replaced, a list included, and null takes a key away. Something else in the place of a
mapping, or the reverse, replaces it, too: `graftling values` warns of it, and a `values.schema.json` can forbid it. `graftling values` shows
each key with where it came from.
";

/// The Markdown page on what templates see.
pub fn context_page() -> String {
    let schema = schemars::schema_for!(View<'static>);
    let mut rows = Vec::new();
    collect(schema.as_value(), "", &mut rows);
    format!("{HEAD}{}{TAIL}", rows.concat())
}

fn collect(schema: &Value, prefix: &str, rows: &mut Vec<String>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let name = format!("{prefix}{name}");
        rows.push(row(&name, property));
        collect(&present(property), &format!("{name}."), rows);
    }
}

fn row(name: &str, property: &Value) -> String {
    let text = |key: &str| property.get(key).and_then(Value::as_str).unwrap_or_default();
    let meaning = text("description").split_whitespace().collect::<Vec<_>>().join(" ");
    let example = property
        .pointer("/examples/0")
        .map_or_else(String::new, |example| format!("`{example}`"));
    format!("| `{name}` | {} | {meaning} | {example} |\n", kind(property))
}

fn kind(property: &Value) -> String {
    let schema = present(property);
    let name = match schema.get("type") {
        Some(Value::Array(types)) => types.first().and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    let kind = match name.unwrap_or_default() {
        "string" => "text",
        "integer" | "number" => "number",
        "boolean" => "true or false",
        "array" => "list of texts",
        _ => "mapping",
    };
    let or_null = if is_nullable(property) { ", or null" } else { "" };
    format!("{kind}{or_null}")
}

/// The schema of a property where it is not null.
fn present(property: &Value) -> Value {
    let alternatives = property.get("anyOf").and_then(Value::as_array);
    let present = alternatives.and_then(|all| all.iter().find(|one| one["type"] != "null"));
    present.unwrap_or(property).clone()
}

fn is_nullable(property: &Value) -> bool {
    let in_type = property
        .get("type")
        .and_then(Value::as_array)
        .is_some_and(|types| types.contains(&"null".into()));
    let alternatives = property.get("anyOf").and_then(Value::as_array);
    in_type || alternatives.is_some_and(|all| all.iter().any(|one| one["type"] == "null"))
}
