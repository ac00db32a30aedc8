//! What a schema refuses, and which schemas are refused.
#![allow(clippy::unwrap_used, reason = "a schema that cannot be read is the test's failure")]

use serde_json::json;

use super::*;

fn violations(schema: &Value, values: Value) -> Vec<String> {
    let schema = Schema::parse(&schema.to_string()).unwrap();
    let told = |violation: Violation| format!("{}: {}", violation.path, violation.message);
    schema.violations(values.as_object().unwrap()).into_iter().map(told).collect()
}

fn problems(text: &str) -> Vec<String> {
    let problems = Schema::parse(text).unwrap_err();
    problems.iter().map(|problem| format!("{problem:#}")).collect()
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_its_path() {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["image"],
        "properties": {
            "image": { "type": "string" },
            "web": { "$ref": "#/$defs/web" },
            "ports": { "type": "array", "items": { "type": "integer", "maximum": 65535 } },
            "policy": { "enum": ["Always", "Never"] },
            "size": { "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^[0-9]+Gi$" }] },
            "database": { "type": "object", "properties": { "password": { "type": "string", "minLength": 8 } } },
            "env": { "type": "object", "propertyNames": { "pattern": "^[A-Z]+$" } },
        },
        "$defs": {
            "web": {
                "type": "object",
                "additionalProperties": false,
                "properties": { "replicas": { "type": "integer" }, "port": { "type": "integer" } }
            }
        }
    });
    let values = json!({
        "web": { "replicas": "two", "replcas": 2 },
        "ports": [80, 70000],
        "policy": "Sometimes",
        "size": "big",
        "database": { "password": "hush" },
        "env": { "a": 1 },
        "webb": {},
    });
    let mut found = violations(&schema, values);
    found.sort();
    assert_eq!(
        found,
        [
            "database.password: *** is shorter than 8 characters",
            "env: has a name that is not allowed: \"a\" does not match \"^[A-Z]+$\"",
            "image: is missing: the bundle's schema requires it",
            "policy: \"Sometimes\" is not one of \"Always\" or \"Never\"",
            "ports.1: 70000 is greater than the maximum of 65535",
            "size: fits none of the alternatives: \"big\" is not of type \"integer\"; or \"big\" does not match \"^[0-9]+Gi$\"",
            "web.replcas: is unknown to the bundle's schema (did you mean \"replicas\"?)",
            "web.replicas: \"two\" is not of type \"integer\"",
            "webb: is unknown to the bundle's schema (did you mean \"web\"?)",
        ]
    );
}

#[test]
fn no_message_holds_a_secret() {
    let schema = json!({
        "properties": {
            "token": { "type": "integer" },
            "appSecrets": { "additionalProperties": { "type": "integer" }, "maxProperties": 0 },
            "any": { "oneOf": [{ "properties": { "password": { "const": 1 } } }, { "type": "string" }] },
            "list": { "items": { "properties": { "key": { "not": { "type": "string" } } } }, "uniqueItems": true },
        }
    });
    let values = json!({
        "token": "hush",
        "appSecrets": { "A": "hush" },
        "any": { "password": "hush" },
        "list": [{ "key": "hush" }, { "key": "hush" }],
    });
    let found = violations(&schema, values);
    assert!(found.len() >= 5, "{found:?}");
    assert!(found.iter().all(|message| !message.contains("hush")), "{found:?}");
}

#[test]
fn errors_are_bounded_in_number() {
    let schema = json!({ "additionalProperties": { "type": "integer" } });
    let values: Map<String, Value> = (0..500).map(|number| (format!("v{number}"), json!("x"))).collect();
    assert_eq!(violations(&schema, Value::Object(values)).len(), MAX_ERRORS);
    let schema = json!({ "properties": { "a": {} }, "additionalProperties": false });
    let values: Map<String, Value> = (0..500).map(|number| (format!("v{number}"), json!("x"))).collect();
    assert_eq!(violations(&schema, Value::Object(values)).len(), MAX_ERRORS);
}

#[test]
fn an_invalid_schema_is_told_with_every_place() {
    assert_eq!(
        problems("{\n  \"type\": \"objekt\",\n  \"properties\": {\n    \"a\": { \"minLength\": -1 }\n  }\n}"),
        [
            "values.schema.json:4:25: minLength: -1 is less than the minimum of 0",
            "values.schema.json:2:11: type: fits none",
        ]
        .map(|line| line.replace(
            "type: fits none",
            "type: \"objekt\" is none of array, boolean, integer, null, number, object, string, or a list of them"
        ))
    );
    assert_eq!(problems("{\n  \"a\": }"), ["values.schema.json:2:8: expected value"]);
    assert_eq!(problems("true"), ["values.schema.json:1: must be a JSON object"]);
}

#[test]
fn threat_t29_a_schema_reaches_nothing_outside_of_itself() {
    for target in [
        "http://169.254.169.254/latest/meta-data",
        "https://example.com/schema.json",
        "file:///etc/passwd",
        "other.json",
        "../values.yaml#/x",
        "#/$defs/nowhere",
    ] {
        let found = problems(&format!(
            "{{\n  \"properties\": {{\n    \"a\": {{ \"$ref\": \"{target}\" }}\n  }}\n}}"
        ));
        assert_eq!(found.len(), 1, "{target}: {found:?}");
        assert!(found[0].starts_with("values.schema.json:3:20: "), "{target}: {found:?}");
        assert!(found[0].contains("may only refer to itself"), "{target}: {found:?}");
    }
    assert!(problems(r#"{"$schema": "https://example.com/meta"}"#)[0].starts_with("values.schema.json:1:13: $schema: "));
}

#[test]
fn a_part_may_be_referred_to_by_its_id() {
    let schema = json!({
        "properties": { "a": { "$ref": "https://example.com/port" } },
        "$defs": { "port": { "$id": "https://example.com/port", "type": "integer" } },
    });
    assert_eq!(violations(&schema, json!({ "a": "x" })), ["a: \"x\" is not of type \"integer\""]);
}

#[test]
fn older_dialects_are_understood_by_their_name() {
    for dialect in DIALECTS {
        for end in ["", "#"] {
            let schema = json!({ "$schema": format!("{dialect}{end}"), "properties": { "a": { "type": "integer" } } });
            assert_eq!(violations(&schema, json!({ "a": "x" })).len(), 1, "{dialect}{end}");
        }
    }
}

#[test]
fn threat_t28_a_pattern_costs_linear_time_and_one_that_could_not_is_refused() {
    let found = problems("{\"properties\": {\"a\": {\"pattern\": \"(?=x)y\"}}}");
    assert!(found[0].starts_with("values.schema.json:1:"), "{found:?}");
    assert!(found[0].contains("look-around"), "{found:?}");
    // On an engine that goes back, this takes longer than the universe has lasted.
    let schema = json!({ "properties": { "a": { "pattern": "^(a+)+$" } } });
    assert_eq!(violations(&schema, json!({ "a": format!("{}b", "a".repeat(5000)) })).len(), 1);
}

#[test]
fn threat_t28_a_schema_that_refers_to_itself_without_end_ends() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#" } } }),
    ] {
        assert_eq!(violations(&schema, json!({ "a": 1 })), Vec::<String>::new());
    }
}
