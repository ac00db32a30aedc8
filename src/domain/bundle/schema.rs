//! `values.schema.json`: read and compiled once, applied to the values of every environment.
//!
//! It comes from outside and may ask for nothing from elsewhere: a reference leads into the file itself, never to a URL or a file.
//! Patterns run on an engine whose time is linear in the text.

mod place;
mod words;

use std::fmt;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::Problem;
pub(crate) use words::Violation;

const FILE: &str = "values.schema.json";

/// The dialects that are understood. Without `$schema`, it is the first.
const DIALECTS: [&str; 5] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
];

/// More errors than this help nobody.
const MAX_ERRORS: usize = 30;

/// The most bytes that a compiled pattern may take.
const PATTERN_SIZE: usize = 1024 * 1024;

/// A schema that has been checked and compiled. Clones share it.
#[derive(Clone)]
pub(crate) struct Schema {
    text: Arc<str>,
    document: Arc<Value>,
    validator: Arc<Validator>,
}

impl Schema {
    /// Reads and compiles a schema.
    ///
    /// # Errors
    /// Everything that is wrong with it, with the places.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let document: Value = serde_json::from_str(text).map_err(|error| vec![not_json(&error)])?;
        if !document.is_object() {
            return Err(vec![Problem::at_line(FILE, 1, "must be a JSON object")]);
        }
        check_dialect(text, &document)?;
        check_form(text, &document)?;
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE))
            .build(&document)
            .map_err(|error| vec![cannot_compile(text, &error)])?;
        Ok(Self {
            text: text.into(),
            document: Arc::new(document),
            validator: Arc::new(validator),
        })
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with merged values; at most [`MAX_ERRORS`].
    pub(crate) fn violations(&self, values: &Map<String, Value>) -> Vec<Violation> {
        let values = Value::Object(values.clone());
        let errors = self.validator.iter_errors(&values);
        errors
            .take(MAX_ERRORS)
            .flat_map(|error| words::violations(&self.document, &error))
            .take(MAX_ERRORS)
            .collect()
    }
}

/// A bundle's schema may be long; the bundle's digest says which it is.
impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Schema").finish_non_exhaustive()
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    let full = error.to_string();
    let message = full.rfind(" at line ").map_or(full.as_str(), |end| &full[..end]);
    Problem::at(FILE, (error.line(), error.column()), message)
}

fn check_dialect(text: &str, document: &Value) -> Result<(), Vec<Problem>> {
    let Some(dialect) = document.get("$schema") else { return Ok(()) };
    let name = dialect.as_str().map(|name| name.trim_end_matches('#'));
    if name.is_some_and(|name| DIALECTS.contains(&name)) {
        return Ok(());
    }
    let message = format!("$schema: {dialect} is not understood: leave it out, or write \"{}\"", DIALECTS[0]);
    Err(vec![at(text, "/$schema", message)])
}

/// Every place where the document is no schema by the rules of its dialect.
fn check_form(text: &str, document: &Value) -> Result<(), Vec<Problem>> {
    let rules = jsonschema::meta::validator_for(document).map_err(|error| vec![cannot_compile(text, &error)])?;
    let problems: Vec<_> = rules
        .iter_errors(document)
        .take(MAX_ERRORS)
        .map(|error| at(text, error.instance_path().as_str(), words::of_schema(&error)))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The schema has the right form and cannot be used all the same: a reference that leads nowhere or elsewhere, or a pattern.
fn cannot_compile(text: &str, error: &ValidationError<'_>) -> Problem {
    if let ValidationErrorKind::Referencing(cause) = error.kind() {
        let message = format!("{cause}: a schema may only refer to itself, by #/… or by the $id of one of its parts");
        return match place::of_reference(text, &cause.to_string()) {
            Some(place) => Problem::at(FILE, place, message),
            None => Problem::in_file(FILE, message),
        };
    }
    let message = format!(
        "{}: look-around and back-references are not supported in patterns",
        words::of_schema(error)
    );
    match error.kind() {
        ValidationErrorKind::Format { .. } | ValidationErrorKind::Pattern { .. } => at(text, error.instance_path().as_str(), message),
        _ => at(text, error.instance_path().as_str(), words::of_schema(error)),
    }
}

fn at(text: &str, pointer: &str, message: String) -> Problem {
    match place::of_pointer(text, pointer) {
        Some(place) => Problem::at(FILE, place, message),
        None => Problem::in_file(FILE, message),
    }
}

#[cfg(test)]
mod tests;
