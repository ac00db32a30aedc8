//! Reading settings field by field, so that one mistake does not hide another.
//!
//! A text with `{{ }}` in it counts as what is wanted: its form is only known when it is rendered, and then everything is read again.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{is_template, step};
use crate::domain::render::suggest::did_you_mean;

/// A mapping of settings that is being read.
pub(super) struct Fields<'a> {
    path: String,
    entries: Option<&'a Map<String, Value>>,
    known: Vec<&'static str>,
    /// It is no mapping at all: then that is all there is to say.
    is_broken: bool,
    problems: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Begins to read `value`, which is at `path` of the settings: empty for the settings themselves.
    pub(super) fn new(path: &str, value: &'a Value) -> Self {
        let mut fields = Self {
            path: path.to_owned(),
            entries: value.as_object(),
            known: Vec::new(),
            is_broken: !value.is_object() && !value.is_null(),
            problems: Vec::new(),
        };
        if fields.is_broken {
            let place = if path.is_empty() { "settings" } else { path };
            fields.problems.push(format!("{place}: should be a mapping"));
        }
        fields
    }

    /// The value of a field; null is none.
    pub(super) fn get(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.entries?.get(name).filter(|value| !value.is_null())
    }

    /// The path of a field, from the settings on.
    pub(super) fn path(&self, name: &str) -> String {
        below(&self.path, name)
    }

    /// Says what is wrong with a field; the path may go on below it.
    pub(super) fn refuse(&mut self, name: &str, message: impl AsRef<str>) {
        if self.is_broken {
            return;
        }
        let path = self.path(name);
        self.problems.push(format!("{path}: {}", message.as_ref()));
    }

    /// Takes over the problems of something that was read by itself.
    pub(super) fn absorb(&mut self, problems: Vec<String>) {
        self.problems.extend(problems);
    }

    /// A text; numbers and truth values are taken as they are written.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.get(name)?;
        let text = as_text(value);
        if text.is_none() {
            self.refuse(name, "should be text");
        }
        text
    }

    /// A text that has to be there; `hint` says what to write.
    pub(super) fn required(&mut self, name: &'static str, hint: &str) -> String {
        let before = self.problems.len();
        match self.text(name) {
            Some(text) if !text.is_empty() => return text,
            _ if self.problems.len() > before => {}
            Some(_) => self.refuse(name, format!("is empty: {hint}")),
            None => self.refuse(name, format!("is missing: {hint}")),
        }
        String::new()
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&mut self, name: &'static str) -> Vec<String> {
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                let mut texts = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    match as_text(item) {
                        Some(text) => texts.push(text),
                        None => self.refuse(&format!("{name}[{index}]"), "should be text"),
                    }
                }
                texts
            }
            Some(value) => match as_text(value) {
                Some(text) => vec![text],
                None => {
                    self.refuse(name, "should be a list of texts");
                    Vec::new()
                }
            },
        }
    }

    /// A list of anything; what is no list is a list of one.
    pub(super) fn list(&mut self, name: &'static str) -> Vec<(String, &'a Value)> {
        let path = self.path(name);
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (format!("{path}[{index}]"), item))
                .collect(),
            Some(value) => vec![(path, value)],
        }
    }

    /// A mapping, with the path of each entry.
    pub(super) fn mapping(&mut self, name: &'static str) -> Vec<(&'a str, String, &'a Value)> {
        let path = self.path(name);
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Object(entries)) => {
                let with_path = |(key, entry): (&'a String, &'a Value)| (key.as_str(), format!("{path}{}", step(key)), entry);
                entries.iter().map(with_path).collect()
            }
            Some(_) => {
                self.refuse(name, "should be a mapping");
                Vec::new()
            }
        }
    }

    /// True or false; nothing is said: nothing.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if is_template(text) => None,
            _ => {
                self.refuse(name, "should be true or false");
                None
            }
        }
    }

    /// A whole number with `s`, `m`, `h` or `d` behind it.
    pub(super) fn duration(&mut self, name: &'static str, most: Duration) -> Option<Duration> {
        let text = self.text(name)?;
        if is_template(&text) {
            return None;
        }
        let duration = duration(&text).filter(|duration| *duration <= most);
        if duration.is_none() {
            let days = most.as_secs() / 86_400;
            self.refuse(
                name,
                format!("should be a whole number with s, m, h or d behind it, at most {days}d: 30m, 2h"),
            );
        }
        duration
    }

    /// Every problem, once all fields that there are were asked for.
    pub(super) fn finish(mut self) -> Vec<String> {
        for key in self.entries.into_iter().flat_map(Map::keys) {
            if !self.known.contains(&key.as_str()) {
                let hint = did_you_mean(key, self.known.iter().copied());
                let known = if hint.is_empty() {
                    format!(": there are {}", self.known.join(", "))
                } else {
                    hint
                };
                let path = below(&self.path, key);
                self.problems.push(format!("{path}: there is no such field{known}"));
            }
        }
        self.problems
    }
}

/// `value`, unless there are problems.
pub(super) fn unless<T>(problems: Vec<String>, value: T) -> Result<T, Vec<String>> {
    if problems.is_empty() { Ok(value) } else { Err(problems) }
}

fn below(path: &str, name: &str) -> String {
    let (key, rest) = name.split_once('[').map_or((name, ""), |(key, _)| (key, &name[key.len()..]));
    let full = format!("{path}{}{rest}", step(key));
    full.trim_start_matches('.').to_owned()
}

/// A scalar as text.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (digits, factor) = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<u64>().ok()?.checked_mul(factor)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}
