//! `resource`: objects that others act upon, and the conditions that say when they are done.

use serde_json::Value;

use super::fields::{Fields, as_text, unless};
use crate::domain::manifest::{ObjectKey, Wave, wave};

/// What the stage is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Globs over the templates whose objects the stage creates, as those of `apply`.
    pub templates: Vec<String>,
    /// All of these must hold.
    pub ready: Vec<Condition>,
    /// As soon as one of these holds, the stage has failed.
    pub failed: Vec<Condition>,
}

/// Something that can be seen at a live object.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Only objects of this kind are asked; none: all that do work, so neither accounts nor configuration.
    pub kind: Option<String>,
    /// What is looked at.
    pub test: Test,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// A condition in `status.conditions`.
    Condition {
        /// Its type.
        kind: String,
        /// What its status must be.
        status: String,
    },
    /// A field.
    Field {
        /// The way to it, for example `status.phase`.
        path: String,
        /// What it must hold; true, numbers and text count as their text.
        equals: String,
    },
}

/// What can be said of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Ready,
    /// It goes on; what is awaited.
    Pending(String),
    /// It has failed; why.
    Failed(String),
}

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Resource, Vec<String>> {
    let mut fields = Fields::new("", settings);
    let resource = Resource {
        templates: fields.texts("templates"),
        ready: conditions(&mut fields, "ready"),
        failed: conditions(&mut fields, "failed"),
    };
    if resource.templates.is_empty() {
        fields.refuse("templates", "is missing: write which templates hold the objects");
    }
    if fields.get("ready").is_none() {
        fields.refuse(
            "ready",
            "is missing: write {condition: Ready}, or {path: status.phase, equals: Bound}",
        );
    }
    unless(fields.finish(), resource)
}

/// What can be said of the object `key` from what the cluster holds of it; `None`: it is not there.
pub fn judge(resource: &Resource, key: &ObjectKey, live: Option<&Value>) -> Verdict {
    let Some(live) = live else {
        return Verdict::Pending(format!("{key} is not there yet"));
    };
    let concerns = |condition: &&Condition| match &condition.kind {
        Some(kind) => *kind == key.kind,
        None => wave(key) == Wave::Workload,
    };
    if let Some(failed) = resource.failed.iter().filter(concerns).find(|condition| condition.test.holds(live)) {
        return Verdict::Failed(format!("{key}: {}{}", failed.test.describe(), failed.test.words(live)));
    }
    match resource.ready.iter().filter(concerns).find(|condition| !condition.test.holds(live)) {
        Some(missing) => Verdict::Pending(format!(
            "waits until {key} has {}{}",
            missing.test.describe(),
            missing.test.words(live)
        )),
        None => Verdict::Ready,
    }
}

// === impl Test ===

impl Test {
    fn holds(&self, live: &Value) -> bool {
        match self {
            Self::Condition { kind, status } => {
                let found = condition(live, kind);
                // A condition that was concluded from an older generation says nothing of this one.
                let generation = |value: &Value, pointer| value.pointer(pointer).and_then(Value::as_i64);
                let is_stale = |found: &Value| match generation(found, "/observedGeneration") {
                    Some(observed) => generation(live, "/metadata/generation").is_some_and(|current| observed < current),
                    None => false,
                };
                found.is_some_and(|found| found.get("status").and_then(Value::as_str) == Some(status) && !is_stale(found))
            }
            Self::Field { path, equals } => field(live, path).and_then(as_text).as_ref() == Some(equals),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Condition { kind, status } => format!("condition {kind} = {status}"),
            Self::Field { path, equals } => format!("{path} = {equals}"),
        }
    }

    /// What the object itself says of it.
    fn words(&self, live: &Value) -> String {
        let text = |value: &Value, key| {
            value
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let said = match self {
            Self::Condition { kind, .. } => {
                condition(live, kind).and_then(|found| text(found, "message").or_else(|| text(found, "reason")))
            }
            Self::Field { path, equals } => field(live, path)
                .and_then(as_text)
                .filter(|found| found != equals)
                .map(|found| format!("it is {found}"))
                .or_else(|| live.get("status").and_then(|status| text(status, "message"))),
        };
        said.map_or_else(String::new, |said| format!(" ({said})"))
    }
}

fn condition<'a>(live: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = live.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

/// The value at a path like `status.phase` or `status.items[0].name`.
fn field<'a>(live: &'a Value, path: &str) -> Option<&'a Value> {
    steps(path)?.into_iter().try_fold(live, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The parts of a path, if it is one.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for part in path.trim_start_matches('.').split('.') {
        let (key, mut rest) = part.find('[').map_or((part, ""), |begin| part.split_at(begin));
        if key.is_empty() {
            return None;
        }
        steps.push(Step::Key(key));
        while !rest.is_empty() {
            let (index, behind) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = behind;
        }
    }
    Some(steps)
}

fn conditions(fields: &mut Fields<'_>, name: &'static str) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for (path, value) in fields.list(name) {
        let mut entry = Fields::new(&path, value);
        let kind = entry.text("kind");
        let (condition, status) = (entry.text("condition"), entry.text("status"));
        let (field, equals) = (entry.text("path"), entry.text("equals"));
        let test = match (condition, field) {
            (Some(kind), None) => {
                if equals.is_some() {
                    entry.refuse("equals", "belongs to path: write status, which is \"True\" if nothing is said");
                }
                Some(Test::Condition {
                    kind,
                    // YAML reads True as a truth value.
                    status: match status.as_deref() {
                        None | Some("true") => "True".to_owned(),
                        Some("false") => "False".to_owned(),
                        Some(other) => other.to_owned(),
                    },
                })
            }
            (None, Some(path)) => {
                if steps(&path).is_none() {
                    entry.refuse("path", format!("{path:?} is no path: status.phase, status.items[0].name"));
                }
                if equals.is_none() {
                    entry.refuse("equals", "is missing: write what the field must hold");
                }
                Some(Test::Field {
                    path,
                    equals: equals.unwrap_or_default(),
                })
            }
            _ => {
                entry.refuse("condition", "write either condition, or path and equals");
                None
            }
        };
        fields.absorb(entry.finish());
        conditions.extend(test.map(|test| Condition { kind, test }));
    }
    conditions
}
