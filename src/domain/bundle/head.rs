//! Every problem of a `bundle.yaml` that cannot be read.

use serde_json::{Map, Value, json};

use super::entry::{Entry, Fields, place};
use super::{Head, Input, Problem, yaml};
use crate::domain::name::check_label;

/// What is wrong with the fields; nothing where it is no mapping of fields at all.
pub(super) fn problems(text: &str) -> Vec<Problem> {
    let Ok(mut head) = yaml::read_one::<Entry>(text) else {
        return Vec::new();
    };
    let inputs = head.value.remove("inputs");
    let fields = fields(
        text,
        "bundle.yaml",
        &["name", "version", "description", "inputs", "chart"],
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
