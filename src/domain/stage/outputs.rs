//! Outputs: small results that a stage hands on to later ones.
//!
//! A container writes lines `NAME=value` to the file that `GRAFTLING_OUTPUTS` names, which is where Kubernetes takes the last words of a
//! container from. A later stage has them as variables `GRAFTLING_OUTPUT_<STAGE>_<NAME>`, and says `$(outputs.STAGE.NAME)` in its
//! settings or in the manifests that it applies. `$$(outputs.…)` is left as it is.

pub mod manifests;

use std::collections::BTreeMap;

use serde_json::Value;

/// The outputs of stages, by stage and name.
pub type Outputs = BTreeMap<String, BTreeMap<String, String>>;

/// The most bytes that a container may write: what Kubernetes keeps.
pub const MAX_MESSAGE: usize = 4096;
/// The most bytes of one value, since all of them stand in the Environment's status.
pub const MAX_VALUE: usize = 512;
/// The most outputs of one pipeline.
pub const MAX_OUTPUTS: usize = 32;

/// Where a container writes its outputs.
pub const FILE: &str = "/dev/termination-log";

/// What begins a place where an output goes.
const BEGIN: &str = "$(outputs.";

/// A place where an output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The stage that hands it on.
    pub stage: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// What becomes of values on their way into a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// They are put in as they are.
    Plain,
    /// Every `$` is doubled, for texts in which Kubernetes takes `$(NAME)` for a variable and `$$` for `$`.
    Expanded,
}

/// Whether a text can be the name of an output; the error says how one looks.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || name.len() > 63 || name.starts_with(|first: char| first.is_ascii_digit()) || !is_word {
        return Err(format!(
            "{name:?} is no name of an output: letters, digits and _, no digit first, at most 63 characters"
        ));
    }
    Ok(())
}

/// The outputs in what the containers of a stage said at their ends, of those that are declared. Of a name that is there twice, the last
/// one counts.
///
/// # Errors
/// What is wrong, worded to follow "the job has succeeded, but ".
pub fn parse(messages: &[String], declared: &[String]) -> Result<BTreeMap<String, String>, String> {
    if declared.is_empty() {
        return Ok(BTreeMap::new());
    }
    if messages.iter().any(|message| message.len() >= MAX_MESSAGE) {
        return Err(format!(
            "its outputs have {MAX_MESSAGE} bytes or more, of which Kubernetes keeps no more: write less to $GRAFTLING_OUTPUTS"
        ));
    }
    let lines = messages
        .iter()
        .flat_map(|message| message.lines())
        .filter_map(|line| line.split_once('='));
    let outputs: BTreeMap<String, String> = lines
        .filter(|(name, _)| declared.iter().any(|declared| declared == name))
        .map(|(name, value)| (name.to_owned(), value.trim_end_matches('\r').to_owned()))
        .collect();
    if let Some(missing) = declared.iter().find(|name| !outputs.contains_key(*name)) {
        return Err(format!(
            "it did not write its output {missing}: write a line {missing}=VALUE to the file that $GRAFTLING_OUTPUTS names"
        ));
    }
    for (name, value) in &outputs {
        if value.len() > MAX_VALUE {
            return Err(format!(
                "its output {name} has more than {MAX_VALUE} bytes: hand on less, for example the name of a file"
            ));
        }
        if value.chars().any(char::is_control) {
            return Err(format!("its output {name} contains a control character: hand on printable text"));
        }
    }
    Ok(outputs)
}

/// The outputs that a stage of these settings declares; of settings that cannot be read, as far as it can be seen.
pub fn declared(settings: &Value) -> Vec<&str> {
    match settings.as_array().or_else(|| settings.get("run")?.as_array()) {
        Some(steps) => steps.iter().flat_map(declared_by).collect(),
        None => declared_by(settings),
    }
}

fn declared_by(container: &Value) -> Vec<&str> {
    match container.get("outputs") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(name)) => vec![name],
        _ => Vec::new(),
    }
}

/// The variable that later stages have an output in.
pub fn variable(stage: &str, name: &str) -> String {
    format!(
        "GRAFTLING_OUTPUT_{}_{}",
        stage.to_ascii_uppercase().replace('-', "_"),
        name.to_ascii_uppercase()
    )
}

/// Every place of a text where an output goes. One that is not written as one is given with an empty stage and its text as name.
pub fn references(text: &str) -> Vec<Reference<'_>> {
    parts(text)
        .into_iter()
        .filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Output(reference) => Some(reference),
        })
        .collect()
}

/// Whether an output goes anywhere into a value.
pub fn is_used_in(value: &Value) -> bool {
    match value {
        Value::String(text) => !references(text).is_empty(),
        Value::Array(items) => items.iter().any(is_used_in),
        Value::Object(entries) => entries.values().any(is_used_in),
        _ => false,
    }
}

/// Puts outputs into every text of a value. Nothing but texts changes, and each stays text, so an output cannot change a structure.
///
/// # Errors
/// The places whose output is not known, each worded as a whole sentence. The value is to be thrown away then.
pub fn substitute(value: &mut Value, outputs: &Outputs, form: Form) -> Result<(), Vec<String>> {
    let mut missing = Vec::new();
    put(value, outputs, form, &mut missing);
    missing.dedup();
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

fn put(value: &mut Value, outputs: &Outputs, form: Form, missing: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains(BEGIN) => *text = put_into(text, outputs, form, missing),
        Value::Array(items) => items.iter_mut().for_each(|item| put(item, outputs, form, missing)),
        Value::Object(entries) => entries.values_mut().for_each(|entry| put(entry, outputs, form, missing)),
        _ => {}
    }
}

pub(super) fn put_into(text: &str, outputs: &Outputs, form: Form, missing: &mut Vec<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Output(Reference { stage, name }) => match outputs.get(stage).and_then(|outputs| outputs.get(name)) {
                Some(value) if form == Form::Expanded => filled.push_str(&value.replace('$', "$$")),
                Some(value) => filled.push_str(value),
                None => missing.push(format!("there is no output {name} of the stage {stage} in this run")),
            },
        }
    }
    filled
}

enum Part<'a> {
    Text(&'a str),
    Output(Reference<'a>),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut begin, mut from) = (0, 0);
    while let Some(offset) = text[from..].find(BEGIN) {
        let start = from + offset;
        from = start + BEGIN.len();
        let dollars = text[..start].bytes().rev().take_while(|byte| *byte == b'$').count();
        if dollars % 2 == 1 {
            continue;
        }
        let end = text[from..].find(')').map_or(text.len(), |length| from + length);
        let inner = &text[from..end];
        let reference = match inner.split_once('.') {
            Some((stage, name)) if check_name(name).is_ok() => Reference { stage, name },
            _ => Reference { stage: "", name: inner },
        };
        parts.push(Part::Text(&text[begin..start]));
        parts.push(Part::Output(reference));
        begin = (end + 1).min(text.len());
        from = begin;
    }
    parts.push(Part::Text(&text[begin..]));
    parts
}
