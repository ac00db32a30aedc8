//! What the stages of a pipeline are told, kind by kind, as types.
//!
//! `pipeline.yaml` is read twice: [`crate::domain::bundle::pipeline`] reads the graph when the bundle is read, and this module reads what
//! each stage is told, once its texts are rendered for an environment. `lint` reads it as well, before anything is rendered: then a text
//! with `{{ }}` in it counts as text of any form.

pub mod approve;
pub mod check;
pub mod checkout;
pub mod container;
mod facts;
mod fields;
pub mod job;
mod mapping;
pub mod objects;
pub mod outputs;
pub mod resource;
mod security;
pub mod steps;
#[cfg(test)]
mod tests;
pub mod wait;
pub mod webhook;
pub mod workload;

use serde_json::Value;

use super::bundle::pipeline::Action;
pub use facts::{JobFacts, job_name};
use outputs::{Form, Outputs};

/// What a stage is told, as far as it is told more than its name.
#[derive(Debug, Clone, PartialEq)]
pub enum Settings {
    /// Which templates it applies is all that it is told.
    Apply,
    /// One container that must succeed.
    Job(Box<job::Job>),
    /// Containers one after the other in one workspace.
    Steps(Box<steps::Steps>),
    /// Whether something answers.
    Check(Box<check::Check>),
    /// A person's word.
    Approve(approve::Approve),
    /// A call to somebody else's service.
    Webhook(Box<webhook::Webhook>),
    /// A custom resource and its condition.
    Resource(Box<resource::Resource>),
    /// Something outside of the environment.
    Wait(Box<wait::Wait>),
}

/// Reads what a stage is told.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(action: &Action) -> Result<Settings, Vec<String>> {
    match action {
        Action::Apply(_) => Ok(Settings::Apply),
        Action::Job(settings) => job::read(settings).map(|job| Settings::Job(Box::new(job))),
        Action::Steps(settings) => steps::read(settings).map(|steps| Settings::Steps(Box::new(steps))),
        Action::Check(settings) => check::read(settings).map(|check| Settings::Check(Box::new(check))),
        Action::Approve(settings) => approve::read(settings).map(Settings::Approve),
        Action::Webhook(settings) => webhook::read(settings).map(|webhook| Settings::Webhook(Box::new(webhook))),
        Action::Resource(settings) => resource::read(settings).map(|resource| Settings::Resource(Box::new(resource))),
        Action::Wait(settings) => wait::read(settings).map(|wait| Settings::Wait(Box::new(wait))),
    }
}

/// Reads what a stage is told with the outputs of earlier stages in their places. This is what a stage is started with.
///
/// # Errors
/// Every output that is not known, or every problem of the settings, each beginning with the field that it is about.
pub fn with_outputs(action: &Action, outputs: &Outputs) -> Result<Settings, Vec<String>> {
    let mut action = action.clone();
    let form = match action {
        Action::Job(_) | Action::Steps(_) => Form::Expanded,
        _ => Form::Plain,
    };
    if let Some(settings) = action.settings_mut() {
        outputs::substitute(settings, outputs, form)?;
    }
    read(&action)
}

impl Settings {
    /// Whether the stage runs only once in the life of an environment.
    pub fn once(&self) -> bool {
        match self {
            Self::Job(job) => job.once,
            Self::Steps(steps) => steps.once,
            _ => false,
        }
    }
}

/// Whether a text is still to be rendered, so that its form says nothing.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Whether a text of a stage's settings is never rendered: others refer to it by what is written, or it says where templates are.
pub(crate) fn is_fixed(kind: &str, pointer: &str) -> bool {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    matches!(
        (kind, &steps[..]),
        ("job", ["outputs", _]) | ("resource", ["templates", ..]) | ("steps", [.., "name"] | [.., "outputs", _])
    )
}

/// A step of a path to a field: `.key`, or `["a key"]` where that is no plain word.
pub(crate) fn step(key: &str) -> String {
    let is_word = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_word { format!(".{key}") } else { format!("[{key:?}]") }
}

/// Gives every text of a stage's settings with its place: as a JSON pointer, and as people write it, beginning with the kind.
pub(crate) fn texts(kind: &str, settings: &Value, found: &mut impl FnMut(&str, &str, &str)) {
    collect(settings, &mut String::new(), &mut kind.to_owned(), found);
}

/// The depth is bounded by what YAML may have.
fn collect(value: &Value, pointer: &mut String, field: &mut String, found: &mut impl FnMut(&str, &str, &str)) {
    let (pointer_length, field_length) = (pointer.len(), field.len());
    match value {
        Value::String(text) => found(text, pointer, field),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                field.push_str(&format!("[{index}]"));
                collect(item, pointer, field, found);
                pointer.truncate(pointer_length);
                field.truncate(field_length);
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")));
                field.push_str(&step(key));
                collect(entry, pointer, field, found);
                pointer.truncate(pointer_length);
                field.truncate(field_length);
            }
        }
        _ => {}
    }
}
