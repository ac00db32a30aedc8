//! The texts of `pipeline.yaml` that are templates.
//!
//! A text gives text, whatever its values are: `--branch={{branch}}`. One that consists of a single tag gives what the tag gives, as a
//! value of a template's YAML does: `{{values.retries}}` is a number if the value is one, true and false stay what they are. Text stays
//! text, also where it looks like a number. A list or a mapping is given as text (`{{toYaml …}}`), never as one: what a stage is told
//! has the structure that is written.

use serde_json::{Number, Value};

use super::{Pass, mark, unresolved};
use crate::domain::bundle::Problem;
use crate::domain::bundle::pipeline::{Leaf, Pipeline, PipelineFile};

impl Pass<'_> {
    /// The pipeline of an environment.
    ///
    /// # Errors
    /// Every problem of every text, or what is wrong with what the stages are told then.
    pub(super) fn pipeline(&mut self, file: &PipelineFile) -> Result<Pipeline, Vec<Problem>> {
        let mut values = Vec::with_capacity(file.leaves().len());
        let mut problems = Vec::new();
        for leaf in file.leaves() {
            match self.leaf(leaf) {
                Ok(value) => values.push(value),
                Err(found) => problems.extend(found.into_iter().map(|problem| file.explain(problem))),
            }
        }
        if !problems.is_empty() {
            problems.sort();
            return Err(problems);
        }
        let mut pipeline = file.filled(values);
        if let Some(values) = self.context.data().get("values").and_then(Value::as_object) {
            pipeline.settle_values(values);
        }
        match file.check(&pipeline) {
            problems if problems.is_empty() => Ok(pipeline),
            problems => Err(problems),
        }
    }

    fn leaf(&mut self, leaf: &Leaf) -> Result<Value, Vec<Problem>> {
        let text = self.text(&leaf.name)?;
        let (text, _) = mark::take_line_marks(&text, 0);
        let value = match scalar(&text) {
            Some(scalar) if is_single_tag(&leaf.source) => scalar,
            _ => Value::String(text),
        };
        mark::resolve(value, &mut self.strings_left).map_err(|error| vec![Problem::in_file(&leaf.name, unresolved(&error))])
    }
}

/// Whether nothing stands beside the one tag.
fn is_single_tag(source: &str) -> bool {
    let source = source.trim();
    source.starts_with("{{") && source.ends_with("}}") && source.matches("{{").count() == 1
}

/// What a tag gave, unless it is plain text. Text from values is in marks, so it cannot be taken for a number here.
fn scalar(text: &str) -> Option<Value> {
    let text = text.trim();
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        // What `quote` gives: YAML would take the quotes away.
        _ if mark::is_quoted(text) => Some(Value::String(text[1..text.len() - 1].to_owned())),
        _ => text.parse::<Number>().ok().map(Value::Number),
    }
}
