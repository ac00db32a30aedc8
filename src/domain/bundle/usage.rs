//! What a bundle declares and does not use, and what it uses and does not declare: warnings, as far as it can be known from the text.
//!
//! Templates are looked at as text. What only a comment mentions counts as used, and a value that is reached in a way that cannot
//! be followed (`lookup`, a whole mapping given to a helper) counts as used with everything below it: rather no warning than a wrong one.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::layout::gives_objects;
use super::pipeline::Pipeline;
use super::template::partial_name;
use super::{BundleFiles, BundleSummary, Input, Layout, Problem};

/// A tag of a template.
static TAG: LazyLock<Regex> = LazyLock::new(|| regex(r"\{\{[^}]*\}\}"));
/// A value in a tag: what follows `values`.
static VALUE: LazyLock<Regex> = LazyLock::new(|| regex(r"(?:^|[^\w./-]|@root\.|\.\./)values((?:\.(?:[\w-]+|\[[^\]]*\]))*)"));
/// Helpers with which a template asks for a value that may be missing.
static TOLERANT: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(default|required|coalesce|hasKey|get|dig|empty)\b"));
static TPL: LazyLock<Regex> = LazyLock::new(|| regex(r"\{\{[^}]*\btpl\s"));

/// A place where a template names a value.
struct Use {
    file: String,
    line: usize,
    path: Vec<String>,
    /// Whether the tag copes with a missing value.
    is_tolerant: bool,
}

/// Partials that nothing includes, values that no template uses, values that nothing declares, inputs without a use, and templates
/// that no stage applies, with all else that a pipeline may not mean. Of a Helm chart no more than that is known: its templates are
/// helm's, and it may take any value.
pub fn warnings(files: &BundleFiles, summary: &BundleSummary) -> Vec<Problem> {
    let paths = || files.files().keys().map(String::as_str);
    if Layout::of(paths()) == Layout::Chart || paths().any(|path| path.starts_with("chart/")) {
        return pipeline_warnings(files, summary);
    }
    let templates: Vec<(&str, &str)> = files
        .files()
        .iter()
        .filter(|(file, _)| file.starts_with("templates/"))
        .filter_map(|(file, bytes)| Some((file.as_str(), std::str::from_utf8(bytes).ok()?)))
        .collect();
    let text = files.files().get("values.yaml").and_then(|bytes| std::str::from_utf8(bytes).ok());
    let text = text.unwrap_or_default();
    let mut uses = uses_in(&templates);
    let pipeline = files.files().get("pipeline.yaml").and_then(|bytes| std::str::from_utf8(bytes).ok());
    uses.extend(uses_in(&[("pipeline.yaml", pipeline.unwrap_or_default())]));
    uses.extend(summary.pipeline.iter().flat_map(uses_in_conditions));
    let mut problems = unused_partials(&templates);
    problems.extend(undeclared(&uses, summary));
    if templates.iter().any(|(_, template)| TPL.is_match(template)) {
        // A value may be a template itself, and use others.
        uses.extend(uses_in(&[("values.yaml", text)]));
    }
    problems.extend(unused_inputs(&uses, summary));
    if uses.iter().all(|used| !used.path.is_empty()) {
        unused(&summary.values, &mut Vec::new(), &uses, text, &mut problems);
    }
    problems.extend(pipeline_warnings(files, summary));
    problems.into_iter().map(Problem::as_warning).collect()
}

/// What the pipeline of a bundle may not mean, templates that no stage applies among it.
pub fn pipeline_warnings(files: &BundleFiles, summary: &BundleSummary) -> Vec<Problem> {
    let files: Vec<&str> = files
        .files()
        .keys()
        .map(String::as_str)
        .filter(|file| gives_objects(file))
        .collect();
    let pipeline = summary.pipeline.iter();
    pipeline.flat_map(|pipeline| pipeline.warnings(&files, summary)).collect()
}

/// The inputs that have no default: a Project has to give them.
pub fn missing_inputs(summary: &BundleSummary) -> Vec<&Input> {
    let is_missing = |input: &&Input| {
        let mut parts = input.name.split('.');
        let first = parts.next().and_then(|part| summary.values.get(part));
        let value = parts.fold(first, |value, part| value?.get(part));
        value.is_none_or(|value| value.is_null() || value.as_str() == Some(""))
    };
    summary.inputs.iter().filter(|input| input.is_required).filter(is_missing).collect()
}

fn uses_in(templates: &[(&str, &str)]) -> Vec<Use> {
    let mut uses = Vec::new();
    for (file, text) in templates {
        for tag in TAG.find_iter(text) {
            let line = 1 + text[..tag.start()].matches('\n').count();
            let is_tolerant = TOLERANT.is_match(tag.as_str());
            for found in VALUE.captures_iter(tag.as_str()) {
                let path = found[1].split('.').filter(|part| !part.is_empty());
                uses.push(Use {
                    file: (*file).to_owned(),
                    line,
                    path: path.map(|part| part.trim_matches(['[', ']']).to_owned()).collect(),
                    is_tolerant,
                });
            }
        }
    }
    uses
}

/// What conditions of stages ask for; one that is missing is told of the stage.
fn uses_in_conditions(pipeline: &Pipeline) -> Vec<Use> {
    let stages = pipeline.stages.iter().chain(&pipeline.teardown);
    let values = stages.filter_map(|stage| Some((stage.line, stage.when.value.as_ref()?)));
    let uses = values.map(|(line, value)| Use {
        file: "pipeline.yaml".to_owned(),
        line,
        path: value.split('.').map(str::to_owned).collect(),
        is_tolerant: true,
    });
    uses.collect()
}

fn unused_partials(templates: &[(&str, &str)]) -> Vec<Problem> {
    let is_included = |name: &str| {
        let call = regex(&format!(r#"(>|\binclude)\s*"?{}["\s}}~)]"#, regex::escape(name)));
        templates
            .iter()
            .any(|(_, text)| TAG.find_iter(text).any(|tag| call.is_match(tag.as_str())))
    };
    let unused = templates.iter().filter_map(|(file, _)| Some((file, partial_name(file)?)));
    unused
        .filter(|(_, name)| !is_included(name))
        .map(|(file, name)| {
            Problem::in_file(
                file,
                format!("nothing includes the partial \"{name}\": remove it, or write {{{{> {name}}}}}"),
            )
        })
        .collect()
}

/// Each name is told once, where it comes first.
fn undeclared(uses: &[Use], summary: &BundleSummary) -> Vec<Problem> {
    let mut told: Vec<&[String]> = Vec::new();
    let mut problems = Vec::new();
    for used in uses.iter().filter(|used| !used.is_tolerant) {
        let Some(length) = missing_at(&summary.values, &used.path) else {
            continue;
        };
        let path = &used.path[..length];
        let name = path.join(".");
        let is_input = summary
            .inputs
            .iter()
            .any(|input| input.name == name || input.name.starts_with(&format!("{name}.")));
        if is_input || told.contains(&path) {
            continue;
        }
        told.push(path);
        let message = format!("values.yaml has no \"{name}\": rendering fails where a Project does not give it");
        problems.push(Problem::at_line(&used.file, used.line, message));
    }
    problems
}

/// How many parts of a path lead to the first key that is not there; nothing where that is not a question of keys.
fn missing_at(values: &Map<String, Value>, path: &[String]) -> Option<usize> {
    let mut current = values;
    for (index, part) in path.iter().enumerate() {
        match current.get(part) {
            None => return Some(index + 1),
            Some(Value::Object(inner)) => current = inner,
            Some(_) => return None,
        }
    }
    None
}

fn unused_inputs(uses: &[Use], summary: &BundleSummary) -> Vec<Problem> {
    let is_used = |input: &&Input| {
        let path: Vec<&str> = input.name.split('.').collect();
        uses.iter().any(|used| used.path.iter().zip(&path).all(|(used, part)| used == part))
    };
    let unused = summary.inputs.iter().filter(|input| !is_used(input));
    unused
        .map(|input| Problem::in_file("bundle.yaml", format!("inputs: no template uses \"{}\"", input.name)))
        .collect()
}

/// The outermost values that no template reaches.
fn unused(values: &Map<String, Value>, path: &mut Vec<String>, uses: &[Use], text: &str, problems: &mut Vec<Problem>) {
    for (key, value) in values {
        path.push(key.clone());
        let is_used = uses.iter().any(|used| path.starts_with(&used.path));
        let is_entered = uses.iter().any(|used| used.path.starts_with(path));
        match value {
            _ if is_used => {}
            Value::Object(inner) if is_entered => unused(inner, path, uses, text, problems),
            _ if is_entered => {}
            _ => {
                let message = format!("no template uses \"{}\"", path.join("."));
                problems.push(match line_of(text, path) {
                    Some(line) => Problem::at_line("values.yaml", line, message),
                    None => Problem::in_file("values.yaml", message),
                });
            }
        }
        path.pop();
    }
}

/// The line of a key in block style, found by indentation.
fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let lines: Vec<(usize, usize, &str)> = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.len() - line.trim_start().len(), line.trim()))
        .filter(|(_, _, line)| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let mut rest = &lines[..];
    let mut found = None;
    for key in path {
        let level = rest.first()?.1;
        if found.is_some_and(|(_, parent)| level <= parent) {
            return None;
        }
        let is_key = |line: &str| line.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with(':'));
        let position = rest
            .iter()
            .take_while(|(_, indent, _)| *indent >= level)
            .position(|(_, indent, line)| *indent == level && is_key(line))?;
        found = Some((rest[position].0, level));
        rest = &rest[position + 1..];
    }
    found.map(|(line, _)| line)
}

#[expect(
    clippy::unwrap_used,
    reason = "the patterns are constants or escaped, and the tests use each of them"
)]
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}
