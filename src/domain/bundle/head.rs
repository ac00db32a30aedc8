//! Every problem of a `bundle.yaml` that cannot be read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::entry::{Entry, Fields, place};
use super::{Head, Input, Problem, yaml};
use crate::domain::health::{HealthError, HealthRule, MAX_RULES};
use crate::domain::name::check_label;
use crate::domain::render::mark;

/// What is wrong with the fields; nothing where it is no mapping of fields at all.
pub(super) fn problems(text: &str) -> Vec<Problem> {
    let Ok(mut head) = yaml::read_one::<Entry>(text) else {
        return Vec::new();
    };
    let inputs = head.value.remove("inputs");
    // Read by itself, with the lines of its rules.
    head.value.remove("health");
    let fields = fields(
        text,
        "bundle.yaml",
        &["name", "version", "description", "inputs", "chart", "health"],
        &["name", "version"],
    );
    let mut problems = fields.problems::<Head>(&head, &least(json!({ "name": "x", "version": "1" })));
    if let Some(name) = head.value.get("name")
        && let Some(Err(rule)) = name.value.as_str().map(check_label)
    {
        problems.push(Problem::at("bundle.yaml", place(name), format!("name: {} {rule}", name.value)));
    }
    if inputs.is_some() {
        problems.extend(of_inputs(text));
    }
    problems
}

fn of_inputs(text: &str) -> Vec<Problem> {
    #[derive(serde::Deserialize)]
    struct Inputs {
        inputs: Vec<Entry>,
    }
    let fields = fields(text, "an input", &["name", "description", "required"], &["name"]);
    match yaml::read_one::<Inputs>(text) {
        Ok(Inputs { inputs }) => {
            let problems = inputs
                .iter()
                .flat_map(|input| fields.problems::<Input>(input, &least(json!({ "name": "x" }))));
            problems.collect()
        }
        Err(error) => super::yaml_problem("bundle.yaml", error),
    }
}

/// The rules for the health of objects; an absent file has none, and one that is no YAML is told of elsewhere.
pub(super) fn health(texts: &BTreeMap<&str, &str>) -> Result<Vec<HealthRule>, Vec<Problem>> {
    #[derive(serde::Deserialize)]
    struct Rules {
        #[serde(default)]
        health: Vec<Entry>,
    }
    const FILE: &str = "bundle.yaml";
    let Some(text) = texts.get(FILE) else { return Ok(Vec::new()) };
    let Ok(head) = yaml::read_one::<Entry>(text) else {
        return Ok(Vec::new());
    };
    if !head.value.contains_key("health") {
        return Ok(Vec::new());
    }
    let Rules { health } = yaml::read_one(text).map_err(|error| super::yaml_problem(FILE, error))?;
    if let Some(rule) = health.get(MAX_RULES) {
        let message = format!("health: has {} rules: at most {MAX_RULES} are allowed", health.len());
        return Err(vec![Problem::at(FILE, place(rule), message)]);
    }
    let mut rules = Vec::new();
    let mut problems = Vec::new();
    for written in &health {
        match rule(written) {
            Ok(rule) => rules.push(rule),
            Err(error) => {
                let at = written.value.get(error.field()).map_or_else(|| place(written), place);
                problems.push(Problem::at(FILE, at, format!("health: {error}")));
            }
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

fn rule(written: &Entry) -> Result<HealthRule, HealthError> {
    let resolved = |value: &Value| mark::resolve(value.clone(), &mut usize::MAX.clone()).unwrap_or(Value::Null);
    let fields = written.value.iter().map(|(name, value)| (name.clone(), resolved(&value.value)));
    HealthRule::read(&fields.collect())
}

fn fields<'a>(text: &'a str, what: &'a str, names: &'a [&'a str], required: &'a [&'a str]) -> Fields<'a> {
    Fields {
        file: "bundle.yaml",
        text,
        what,
        names,
        required,
    }
}

fn least(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(least) => least,
        _ => Map::new(),
    }
}
