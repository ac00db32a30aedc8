//! Reading YAML the way Kubernetes does, within limits that a hostile text cannot exceed.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Problem;
use crate::domain::render::mark;

/// Why a text is not the YAML it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// Line and column, counted from 1, where known.
    pub(crate) place: Option<(usize, usize)>,
    /// What is wrong, in one line.
    pub(crate) message: String,
}

impl YamlError {
    /// As a problem of `file`.
    pub(crate) fn in_file(self, file: &str) -> Problem {
        match self.place {
            Some(place) => Problem::at(file, place, self.message),
            None => Problem::in_file(file, self.message),
        }
    }
}

/// One document of a stream.
#[derive(Debug)]
pub(crate) struct YamlDocument {
    /// The line of its first node.
    pub(crate) line: usize,
    /// What it says.
    pub(crate) value: Value,
}

/// Reads every document of a stream; empty ones and `null` are left out.
pub(crate) fn read_all(text: &str) -> Result<Vec<YamlDocument>, YamlError> {
    let documents: Vec<serde_saphyr::Spanned<Value>> =
        serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| explain(&error))?;
    Ok(documents
        .into_iter()
        .map(|document| YamlDocument {
            line: usize::try_from(document.referenced.line()).unwrap_or(1),
            value: document.value,
        })
        .collect())
}

/// Reads a file that is one mapping, or nothing. `shape` ends the sentence that refuses anything else; its strings together hold at
/// most `left` bytes.
///
/// Numbers without a fraction become integers here as they do in manifests.
pub(crate) fn read_mapping(file: &str, text: &str, mut left: usize, shape: &str) -> Result<Map<String, Value>, Problem> {
    let mut documents = read_all(text).map_err(|error| error.in_file(file))?;
    if let Some(second) = documents.get(1) {
        return Err(Problem::at_line(file, second.line, "has a second document: write one"));
    }
    let Some(document) = documents.pop() else { return Ok(Map::new()) };
    match mark::resolve(document.value, &mut left) {
        Ok(Value::Object(mapping)) => Ok(mapping),
        _ => Err(Problem::at_line(file, document.line, shape)),
    }
}

/// Reads the single document of a text.
pub(crate) fn read_one<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| explain(&error))
}

/// YAML 1.1 numbers as Kubernetes reads them, duplicate keys refused, and budgets that stop an alias bomb early: 50 000 nodes
/// are some hundred times a large bundle.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: 50_000,
            max_events: 200_000,
            max_depth: 64,
            flow_nesting_limit: 64,
            max_documents: 600,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: 50_000,
            max_recorded_anchor_bytes: 8 * 1024 * 1024,
            max_total_scalar_bytes: 32 * 1024 * 1024,
            max_merge_keys: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

fn explain(error: &serde_saphyr::Error) -> YamlError {
    let place = error
        .location()
        .filter(|location| location.line() > 0)
        .and_then(|location| Some((usize::try_from(location.line()).ok()?, usize::try_from(location.column()).ok()?)));
    let full = error.to_string();
    let message = full.lines().next().unwrap_or_default();
    let message = if message.starts_with("budget breached") {
        "too large, where an alias counts as what it stands for"
    } else {
        without_place(message)
    };
    YamlError {
        place,
        message: message.to_owned(),
    }
}

/// The parser's message without the place that it ends with (the place is shown in front, in terms of the template) and without
/// its advice to whoever calls the parser.
fn without_place(message: &str) -> &str {
    let ends = [" at line ", ", set DuplicateKeyPolicy", "; use Option<String>"];
    let end = ends.iter().filter_map(|end| message.find(end)).min();
    &message[..end.unwrap_or(message.len())]
}
