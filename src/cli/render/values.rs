//! Values from files and from `--set`, laid over one another.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::domain::bundle::{Problem, yaml};
use crate::domain::render::{Layer, Origin, ValuePath};

/// One `--set`: where a value goes, and what it is.
///
/// Written `key=value`. Dots lead into mappings (`web.replicas=2`), `\.` is a dot of the key itself. A value that reads as JSON is that
/// (`2`, `true`, `null`, `"2"`, `[1, 2]`), any other is a text: `012`, `1.10.3` and `yes` are never bent into a number or a truth value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    path: Vec<String>,
    value: Value,
}

/// Why values cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// `--set` without a key or a value.
    #[error("must have the form key=value")]
    SplitAssignment,
    /// A key with nothing between two dots.
    #[error("has a key with an empty part")]
    SplitKey,
    /// A file that is not there or not text.
    #[error("could not read the values in {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file that is not one YAML mapping.
    #[error("{0}")]
    ParseFile(Problem),
}

impl FromStr for Assignment {
    type Err = ValuesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or(ValuesError::SplitAssignment)?;
        let path = ValuePath::split(key).names().to_vec();
        if path.iter().any(String::is_empty) {
            return Err(ValuesError::SplitKey);
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(Self { path, value })
    }
}

/// The layers of values, weakest first: the files in their order, then the assignments in theirs.
///
/// # Errors
/// A file cannot be read.
pub fn layers(files: &[PathBuf], assignments: &[Assignment]) -> Result<Vec<Layer>, ValuesError> {
    let from_file = |path: &PathBuf| Ok(Layer::new(Origin::File(path.display().to_string()), read(path)?));
    let mut layers = files.iter().map(from_file).collect::<Result<Vec<_>, _>>()?;
    layers.extend(assignments.iter().map(|assignment| Layer::new(Origin::Argument, layer(assignment))));
    Ok(layers)
}

/// Read as a bundle's own `values.yaml` is, so that a value means the same in both.
fn read(path: &Path) -> Result<Map<String, Value>, ValuesError> {
    let text = std::fs::read_to_string(path).map_err(|source| ValuesError::ReadFile {
        path: path.to_owned(),
        source,
    })?;
    let file = path.display().to_string();
    yaml::read_mapping(&file, &text, usize::MAX, "must be a mapping of names to values").map_err(ValuesError::ParseFile)
}

fn layer(assignment: &Assignment) -> Map<String, Value> {
    let Some((first, rest)) = assignment.path.split_first() else {
        return Map::new();
    };
    let value = rest.iter().rev().fold(assignment.value.clone(), |value, part| {
        Value::Object(Map::from_iter([(part.clone(), value)]))
    });
    Map::from_iter([(first.clone(), value)])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "values that cannot be read are the test's failure")]

    use serde_json::json;

    use super::*;
    use crate::domain::render::merge_values;

    fn merged(files: &[PathBuf], texts: &[&str]) -> Value {
        let assignments: Vec<Assignment> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let layers = layers(files, &assignments).unwrap();
        Value::Object(layers.iter().map(|layer| &layer.values).fold(Map::new(), merge_values))
    }

    fn set(texts: &[&str]) -> Value {
        merged(&[], texts)
    }

    #[test]
    fn a_value_that_reads_as_json_is_that_and_any_other_is_a_text() {
        for (text, expected) in [
            ("a=2", json!(2)),
            ("a=true", json!(true)),
            ("a=\"2\"", json!("2")),
            ("a=[1,2]", json!([1, 2])),
            ("a=012", json!("012")),
            ("a=1.10.3", json!("1.10.3")),
            ("a=yes", json!("yes")),
            ("a=", json!("")),
            ("a=b=c", json!("b=c")),
            ("a=b: c", json!("b: c")),
        ] {
            assert_eq!(set(&[text])["a"], expected, "{text}");
        }
    }

    #[test]
    fn dots_lead_into_mappings_and_an_escaped_dot_does_not() {
        let values = set(&["web.replicas=2", "web.image=nginx", "hosts.a\\.b=1"]);
        assert_eq!(values, json!({ "web": { "replicas": 2, "image": "nginx" }, "hosts": { "a.b": 1 } }));
    }

    #[test]
    fn a_later_assignment_wins() {
        assert_eq!(set(&["a=1", "a=2"]), json!({ "a": 2 }));
        assert_eq!(set(&["a=1", "a.b=2"]), json!({ "a": { "b": 2 } }));
        assert_eq!(set(&["a.b=1", "a.c=2", "a.b=null"]), json!({ "a": { "c": 2 } }));
    }

    #[test]
    fn an_assignment_without_a_key_or_a_value_is_refused() {
        for text in ["a", "=1", "a.=1", ".a=1", "a..b=1"] {
            assert!(text.parse::<Assignment>().is_err(), "{text}");
        }
    }

    #[test]
    fn files_are_laid_over_one_another_and_assignments_over_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = [
            file("1.yaml", "web: {replicas: 1, image: nginx}\nlist: [1, 2]\n"),
            file("2.yaml", "web: {replicas: 2.0}\nlist: [3]\n"),
            file("3.yaml", "# nothing\n"),
        ];
        assert_eq!(
            merged(&files, &["web.port=80"]),
            json!({ "web": { "replicas": 2, "image": "nginx", "port": 80 }, "list": [3] })
        );
    }

    #[test]
    fn a_file_that_holds_no_mapping_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.yaml");
        std::fs::write(&path, "- 1\n").unwrap();
        let message = layers(&[path], &[]).unwrap_err().to_string();
        assert!(message.contains("list.yaml:1: must be a mapping"), "{message}");
        let message = layers(&[folder.path().join("missing.yaml")], &[]).unwrap_err().to_string();
        assert!(message.contains("missing.yaml"), "{message}");
    }
}
