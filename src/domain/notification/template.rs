//! A body that the platform engineer writes: JSON with names in it.
//!
//! Of Handlebars only what can neither grow nor nest without bound: `{{name}}`, `{{#if name}}`, `{{#unless name}}` and `{{else}}`. The
//! text is looked through before Handlebars sees it, which reads tags by recursion. Values are escaped for JSON, so that none can end
//! the text that it stands in.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use handlebars::Handlebars;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::body::names;
use super::{Event, Kind, Removed, Told, ToldRun};
use crate::domain::run::RunState;

/// The most bytes of a template.
const MAX_LENGTH: usize = 8 * 1024;
/// The most conditions inside one another.
const MAX_DEPTH: usize = 4;
/// The most tags.
const MAX_TAGS: usize = 200;
/// The most bytes of what comes of it.
const MAX_BODY: usize = 64 * 1024;
const NAME: &str = "body";

/// A template that was looked through and tried.
#[derive(Clone)]
pub struct Template(Arc<Handlebars<'static>>);

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl Template {
    /// Reads a template and tries it with every kind of event.
    ///
    /// # Errors
    /// It is too long or too deep, has a tag that is not known, or does not make JSON.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        look_through(text)?;
        let mut engine = Handlebars::new();
        engine.set_strict_mode(true);
        engine.register_escape_fn(escaped);
        let compiled = engine.register_template_string(NAME, text);
        compiled.map_err(|error| TemplateError(format!("cannot be read: {}", error.reason())))?;
        let template = Self(Arc::new(engine));
        for (environment, event) in samples() {
            let tried = template.render(&names(&environment, &event));
            tried.map_err(|error| TemplateError(format!("with the event {}: {error}", event.kind)))?;
        }
        Ok(template)
    }

    /// What comes of it: JSON, in the form in which it is sent.
    ///
    /// # Errors
    /// It is no JSON, or too long.
    pub(super) fn render(&self, names: &Map<String, Value>) -> Result<String, TemplateError> {
        let rendered = self.0.render(NAME, names);
        let text = rendered.map_err(|error| TemplateError(format!("cannot be rendered: {}", error.reason())))?;
        if text.len() > MAX_BODY {
            return Err(TemplateError(format!("makes more than {} KiB", MAX_BODY / 1024)));
        }
        let value: Value = serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            TemplateError(format!("what it makes is no JSON at line {line}, column {column}"))
        })?;
        Ok(value.to_string())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Template")
    }
}

/// Whether there is nothing in the text but what is known.
fn look_through(text: &str) -> Result<(), TemplateError> {
    let wrong = |problem: String| Err(TemplateError(problem));
    if text.len() > MAX_LENGTH {
        return wrong(format!("has more than {} KiB", MAX_LENGTH / 1024));
    }
    let known: BTreeSet<String> = names_of_templates();
    let (mut open, mut tags, mut rest) = (Vec::new(), 0, text);
    while let Some(begin) = rest.find("{{") {
        let after = &rest[begin + 2..];
        let Some(end) = after.find("}}") else {
            return wrong("has a {{ without }}".to_owned());
        };
        let tag = after[..end].trim();
        rest = &after[end + 2..];
        tags += 1;
        // A third brace would leave a value as it is.
        if rest.starts_with('}') && tag.starts_with('{') {
            return wrong("has {{{ … }}}, which escapes nothing: write {{ … }}".to_owned());
        }
        let words: Vec<&str> = tag.split_whitespace().collect();
        match words.as_slice() {
            ["else"] if !open.is_empty() => {}
            [name] if known.contains(*name) => {}
            [block @ ("#if" | "#unless"), name] if known.contains(*name) => open.push(&block[1..]),
            [close] if close.strip_prefix('/').is_some_and(|name| open.last() == Some(&name)) => {
                open.pop();
            }
            _ => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return wrong(format!(
                    "has the tag {{{{{tag}}}}}; known are {{{{#if NAME}}}}, {{{{#unless NAME}}}}, {{{{else}}}} and the names {}",
                    known.join(", ")
                ));
            }
        }
        if open.len() > MAX_DEPTH || tags > MAX_TAGS {
            return wrong(format!(
                "has more than {MAX_DEPTH} conditions inside one another, or more than {MAX_TAGS} tags"
            ));
        }
    }
    match open.last() {
        Some(block) => wrong(format!("has {{{{#{block}}}}} without {{{{/{block}}}}}")),
        None => Ok(()),
    }
}

/// The inside of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn names_of_templates() -> BTreeSet<String> {
    let first = samples().into_iter().next();
    first
        .map(|(environment, event)| names(&environment, &event).into_iter().map(|(name, _)| name).collect())
        .unwrap_or_default()
}

/// An event of each kind, with texts that would do harm unescaped.
fn samples() -> Vec<(Told, Event)> {
    let run = |number, state| ToldRun {
        number,
        revision: "0".repeat(40),
        started: Timestamp::UNIX_EPOCH,
        ended: Some((Timestamp::UNIX_EPOCH, state)),
        message: Some("\"quoted\" \\ and more".to_owned()),
        removal: false,
    };
    let environment = Told {
        namespace: "team".to_owned(),
        project: "shop".to_owned(),
        name: "shop-feature-x".to_owned(),
        uid: "uid".to_owned(),
        branch: "feature/\"x\"".to_owned(),
        repository: "acme/shop".to_owned(),
        url: Some("https://shop.example.com".to_owned()),
        created: Some(Timestamp::UNIX_EPOCH),
        runs: vec![run(1, RunState::Failed), run(2, RunState::Succeeded)],
        removed: Some(Removed {
            at: Timestamp::UNIX_EPOCH,
            revision: Some("0".repeat(40)),
            because: "the branch was deleted".to_owned(),
        }),
    };
    let mut events = environment.events();
    let mut seen = BTreeSet::<Kind>::new();
    events.retain(|event| seen.insert(event.kind) || event.kind == Kind::RunFinished);
    events.into_iter().map(|event| (environment.clone(), event)).collect()
}
