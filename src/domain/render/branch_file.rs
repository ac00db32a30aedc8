//! `.graftling.yaml` of a branch: values that whoever may push to it sets, as far as the Project allows.
//!
//! The file grants nothing. It holds values and nothing else, and only those whose keys the Project names: everything that decides
//! what an environment may do is in the cluster.

mod lines;

use serde_json::{Map, Value};

use super::context::{Layer, Origin};
use super::path::ValuePath;
use super::suggest::did_you_mean;
use crate::domain::bundle::{Problem, yaml};
use crate::domain::policy::AllowedKeys;
use lines::Lines;

/// Where the file is in the repository.
pub const BRANCH_FILE: &str = ".graftling.yaml";

/// The most bytes of the file.
pub const MAX_BRANCH_FILE: usize = 64 * 1024;

/// The only key of the file.
const VALUES: &str = "values";

/// More problems than this help nobody.
const MAX_PROBLEMS: usize = 20;

/// Reads the file from its bytes.
///
/// # Errors
/// Every problem with its line: the file is too large, not one YAML mapping of `values` alone, or sets what `allowed` does not cover.
pub fn read_branch_file(bytes: &[u8], allowed: &AllowedKeys) -> Result<Layer, Vec<Problem>> {
    if bytes.len() > MAX_BRANCH_FILE {
        let message = format!("has {} bytes: at most {MAX_BRANCH_FILE} are allowed", bytes.len());
        return Err(vec![Problem::in_file(BRANCH_FILE, message)]);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| vec![Problem::in_file(BRANCH_FILE, "is not UTF-8 text")])?;
    let shape = "must be a mapping with the key \"values\"";
    let mapping = yaml::read_mapping(BRANCH_FILE, text, super::MAX_OUTPUT, shape).map_err(|problem| vec![problem])?;
    let lines = Lines::read(text);
    let at = |path: &ValuePath, message: String| match lines.of(path) {
        Some(line) => Problem::at_line(BRANCH_FILE, line, message),
        None => Problem::in_file(BRANCH_FILE, message),
    };
    let mut problems: Vec<Problem> = mapping
        .keys()
        .filter(|key| *key != VALUES)
        .map(|key| at(&ValuePath::new([key]), unknown(key)))
        .collect();
    let values = match mapping.get(VALUES) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(values)) => values.clone(),
        Some(_) => {
            problems.push(at(
                &ValuePath::new([VALUES]),
                "values: must be a mapping of names to values".to_owned(),
            ));
            Map::new()
        }
    };
    let mut refused = Vec::new();
    collect_refused(&values, &mut ValuePath::default(), allowed, &mut refused);
    problems.extend(refused.iter().map(|path| {
        let place = ValuePath::new([VALUES.to_owned()].iter().chain(path.names()));
        at(
            &place,
            format!("values.{path}: a branch of this Project may not set it; it may set {allowed}"),
        )
    }));
    problems.truncate(MAX_PROBLEMS);
    if problems.is_empty() {
        Ok(Layer::new(Origin::BranchFile, values))
    } else {
        Err(problems)
    }
}

fn unknown(key: &str) -> String {
    let hint = did_you_mean(key, [VALUES]);
    format!(
        "{key:?} is unknown: the file holds \"{VALUES}\" and nothing else{hint}; everything that grants something is set in the Project"
    )
}

/// The leaves that are not allowed. What is allowed as a whole is not looked into.
fn collect_refused(values: &Map<String, Value>, path: &mut ValuePath, allowed: &AllowedKeys, refused: &mut Vec<ValuePath>) {
    for (name, value) in values {
        path.0.push(name.clone());
        match value {
            _ if allowed.allow(path) => {}
            Value::Object(entries) if !entries.is_empty() => collect_refused(entries, path, allowed, refused),
            _ => refused.push(path.clone()),
        }
        path.0.pop();
    }
}

#[cfg(test)]
mod tests;
