//! Plain YAML of a bundle: documents that are taken as they are written.

use std::collections::BTreeMap;

use super::layout::misplaced;
use super::problem::Problem;
use super::{yaml, yaml_problem};
use crate::domain::render::{Document, mark};

/// The documents of every file below `manifests/`, in the order of files and lines. Braces are text in them.
pub(super) fn read(texts: &BTreeMap<&str, &str>) -> Result<Vec<Document>, Vec<Problem>> {
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for (file, text) in texts.iter().filter(|(file, _)| file.starts_with("manifests/")) {
        match misplaced(file).map_or_else(|| read_file(file, text), |problem| Err(vec![problem])) {
            Ok(mut found) => documents.append(&mut found),
            Err(mut found) => problems.append(&mut found),
        }
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}

fn read_file(file: &str, text: &str) -> Result<Vec<Document>, Vec<Problem>> {
    let documents = yaml::read_all(text).map_err(|error| yaml_problem(file, error))?;
    Ok(documents
        .into_iter()
        .map(|document| Document {
            file: file.to_owned(),
            line: document.line,
            value: mark::with_integers(document.value),
        })
        .collect())
}
