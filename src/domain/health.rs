//! When an object of a kind that only its bundle knows does its work, as the bundle says it: `health` of `bundle.yaml`.
//!
//! A rule travels with the objects that it is about, in the annotation [`HEALTH_ANNOTATION`]: so a live object can be judged wherever it is
//! seen, also after its bundle is gone, and a changed rule is a changed object.
//!
//! Whoever writes a bundle is not trusted with the server's time. A rule is a small tree of comparisons over paths, without loops and
//! patterns; judging looks at each of its at most [`MAX_TESTS`] comparisons once, and a path visits at most one list item by item a segment.

mod path;
mod test;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::readiness::Readiness;
pub use path::{HealthPath, MAX_PATH};
pub use test::{MAX_TESTS, Test};

/// Annotation: how to tell whether the object that bears it does its work. Its value is JSON: `ready`, `failed` and `message` of a rule.
pub const HEALTH_ANNOTATION: &str = "graftling.dev/health";

/// The most rules of a bundle.
pub const MAX_RULES: usize = 32;
/// The longest annotation, in bytes.
pub const MAX_RULE: usize = 8 * 1024;
/// How many characters of a message are shown.
const MAX_MESSAGE: usize = 240;

/// When objects of one kind are ready or have failed.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthRule {
    /// The API group; empty for the core.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// How to tell.
    pub health: Health,
}

/// How to tell whether one object does its work.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Holds while it does its work. Nothing: what is known of its kind decides.
    ready: Option<Test>,
    /// Holds once it cannot without a change; looked at first.
    failed: Option<Test>,
    /// Where the object says what is wrong or what it waits for.
    message: Option<HealthPath>,
}

/// What is wrong with a rule, beginning with the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HealthError(String);

impl HealthError {
    fn new(field: &str, reason: impl std::fmt::Display) -> Self {
        Self(format!("{field}: {reason}"))
    }

    /// The field inside the rule that is wrong, as far as its first part.
    pub fn field(&self) -> &str {
        self.0.split([':', '.', '[']).next().unwrap_or_default()
    }
}

impl HealthRule {
    /// Reads a rule as it is written.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(rule: &Map<String, Value>) -> Result<Self, HealthError> {
        let text = |field: &str| match rule.get(field) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(HealthError::new(field, "should be text")),
            None => Ok(None),
        };
        let kind = text("kind")?.ok_or_else(|| HealthError::new("kind", "is missing: a rule needs it"))?;
        let group = text("group")?.unwrap_or_default();
        if kind == "Secret" && group.is_empty() {
            return Err(HealthError::new("kind", "what a Secret holds is not looked at: remove the rule"));
        }
        let mut settings = rule.clone();
        settings.retain(|field, _| field != "kind" && field != "group");
        Ok(Self {
            group,
            kind,
            health: Health::read(&settings)?,
        })
    }

    fn is_about(&self, object: &Value) -> bool {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
        group == self.group && text("kind") == self.kind
    }
}

/// Puts each rule on the objects that it is about, members of a list included. The last rule about a kind counts.
pub fn mark(rules: &[HealthRule], object: &mut Value) {
    if rules.is_empty() {
        return;
    }
    if object.get("kind").and_then(Value::as_str) == Some("List") {
        let items = object.get_mut("items").and_then(Value::as_array_mut);
        items.into_iter().flatten().for_each(|item| mark_one(rules, item));
        return;
    }
    mark_one(rules, object);
}

fn mark_one(rules: &[HealthRule], object: &mut Value) {
    let Some(rule) = rules.iter().rev().find(|rule| rule.is_about(object)) else {
        return;
    };
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if annotations.is_null() {
        *annotations = json!({});
    }
    // Anything else is refused when the object is admitted; what its template says of its health itself is nearer to it.
    if let Some(annotations) = annotations.as_object_mut() {
        annotations
            .entry(HEALTH_ANNOTATION)
            .or_insert_with(|| Value::String(rule.health.to_json().to_string()));
    }
}

/// How a live object says that it is to be judged; nothing where it says nothing, or what cannot be read: then somebody has changed it,
/// and the difference to what was applied is put right as any other.
pub(super) fn of(body: &Value) -> Option<Health> {
    let text = body.get("metadata")?.get("annotations")?.get(HEALTH_ANNOTATION)?.as_str()?;
    Health::parse(text).ok()
}

// === impl Health ===

impl Health {
    /// Reads the value of the annotation.
    ///
    /// # Errors
    /// It is no JSON, too long, or no rule.
    pub fn parse(text: &str) -> Result<Self, HealthError> {
        if text.len() > MAX_RULE {
            return Err(HealthError::new(HEALTH_ANNOTATION, format!("has more than {MAX_RULE} bytes")));
        }
        let rule: Map<String, Value> = serde_json::from_str(text).map_err(|error| HealthError::new(HEALTH_ANNOTATION, error))?;
        Self::read(&rule)
    }

    fn read(rule: &Map<String, Value>) -> Result<Self, HealthError> {
        if let Some(field) = rule.keys().find(|field| !["ready", "failed", "message"].contains(&field.as_str())) {
            return Err(HealthError::new(
                field,
                "there is no such field: there are group, kind, ready, failed, message",
            ));
        }
        let mut left = MAX_TESTS;
        let mut test = |field: &str| rule.get(field).map(|test| Test::read(field, test, &mut left)).transpose();
        let (ready, failed) = (test("ready")?, test("failed")?);
        if ready.is_none() && failed.is_none() {
            return Err(HealthError::new("ready", "is missing: a rule needs ready or failed"));
        }
        let message = match rule.get("message") {
            Some(Value::String(path)) => Some(path.parse().map_err(|error| HealthError::new("message", error))?),
            Some(_) => return Err(HealthError::new("message", "should be a path: status.message")),
            None => None,
        };
        let health = Self { ready, failed, message };
        match health.to_json().to_string().len() {
            length if length > MAX_RULE => Err(HealthError::new("ready", format!("the rule is longer than {MAX_RULE} bytes"))),
            _ => Ok(health),
        }
    }

    fn to_json(&self) -> Value {
        let mut rule = Map::new();
        let tests = [("ready", &self.ready), ("failed", &self.failed)];
        for (field, test) in tests {
            if let Some(test) = test {
                rule.insert(field.to_owned(), test.to_json());
            }
        }
        if let Some(path) = &self.message {
            rule.insert("message".to_owned(), json!(path.to_string()));
        }
        Value::Object(rule)
    }

    /// Judges an object; nothing where the rule leaves it to what is known of its kind.
    pub(super) fn assess(&self, body: &Value) -> Option<Readiness> {
        let message = |otherwise: &str| {
            let said = self.message.as_ref().and_then(|path| path.find(body)).and_then(Value::as_str);
            said.filter(|said| !said.is_empty())
                .map_or_else(|| otherwise.to_owned(), |said| said.chars().take(MAX_MESSAGE).collect())
        };
        if self.failed.as_ref().is_some_and(|failed| failed.holds(body)) {
            return Some(Readiness::Failed {
                reason: message("has failed, as the bundle's rule for its health says"),
            });
        }
        match self.ready.as_ref()?.holds(body) {
            true => Some(Readiness::Ready),
            false => Some(Readiness::Progressing {
                reason: message("is not ready yet, as the bundle's rule for its health says"),
            }),
        }
    }
}
