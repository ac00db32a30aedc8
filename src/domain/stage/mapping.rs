//! Reads settings field by field, so that one mistake does not hide another.
//!
//! A text that still has `{{ }}` in it counts as text of any form: then the field's default, or nothing, stands for it. A number may be
//! written as text, because that is what a rendered text is.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::is_template;
use crate::domain::render::suggest::did_you_mean;

/// What is wrong, each beginning with the field that it is about.
pub(super) type Problems = Vec<String>;

/// The fields of one mapping.
#[derive(Clone)]
pub(super) struct Fields<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of `value`, which stands at `path` (empty for the settings themselves); only those of `known` may be there.
    pub(super) fn read(path: &str, value: &'a Value, known: &[&str], problems: &mut Problems) -> Option<Self> {
        let Some(map) = value.as_object() else {
            problems.push(match path {
                "" => "should be a mapping of settings".to_owned(),
                path => format!("{path}: should be a mapping"),
            });
            return None;
        };
        let fields = Self {
            path: path.to_owned(),
            map,
        };
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            let hint = did_you_mean(name, known.iter().copied());
            problems.push(format!("{}: there is no such field{hint}", fields.at(name)));
        }
        Some(fields)
    }

    /// Where a field stands, as messages name it.
    pub(super) fn at(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    /// A field that is there.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The fields of the mapping under `name`.
    pub(super) fn section(&self, name: &str, known: &[&str], problems: &mut Problems) -> Option<Fields<'a>> {
        Fields::read(&self.at(name), self.get(name)?, known, problems)
    }

    /// The one of `names` that is there; there must be just one.
    pub(super) fn one_of(&self, names: &[&'static str], problems: &mut Problems) -> Option<&'static str> {
        let mut found = names.iter().copied().filter(|name| self.get(name).is_some());
        let (first, second) = (found.next(), found.next());
        let place = if self.path.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.path)
        };
        match (first, second) {
            (Some(first), None) => return Some(first),
            (None, _) => problems.push(format!("{place}write one of {}", names.join(", "))),
            (Some(first), Some(second)) => problems.push(format!("{place}{first} and {second} exclude each other: keep one")),
        }
        None
    }

    /// A text, if the field is there and is one; a number or a boolean counts as its text.
    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(bool) => Some(bool.to_string()),
            _ => {
                problems.push(format!("{}: should be text", self.at(name)));
                None
            }
        }
    }

    /// A text that must be there and must not be empty.
    pub(super) fn need(&self, name: &str, problems: &mut Problems) -> String {
        if self.get(name).is_none() {
            problems.push(format!("{}: is missing", self.at(name)));
            return String::new();
        }
        let text = self.text(name, problems);
        if text.as_deref() == Some("") {
            problems.push(format!("{}: is empty", self.at(name)));
        }
        text.unwrap_or_default()
    }

    /// A text that `form` accepts, unless it is still to be rendered.
    pub(super) fn checked(&self, name: &str, problems: &mut Problems, form: impl Fn(&str) -> Result<(), String>) -> Option<String> {
        let text = self.text(name, problems)?;
        if !is_template(&text)
            && let Err(rule) = form(&text)
        {
            problems.push(format!("{}: {text:?} {rule}", self.at(name)));
        }
        Some(text)
    }

    /// A whole number in `range`.
    pub(super) fn number(&self, name: &str, default: u32, range: RangeInclusive<u32>, problems: &mut Problems) -> u32 {
        let Some(text) = self.text(name, problems).filter(|text| !is_template(text)) else {
            return default;
        };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = (range.start(), range.end());
                problems.push(format!("{}: should be a whole number from {least} to {most}", self.at(name)));
                default
            }
        }
    }

    /// A duration such as `500ms`, `5s` or `2m`, in `range`.
    pub(super) fn duration(&self, name: &str, default: Duration, range: RangeInclusive<Duration>, problems: &mut Problems) -> Duration {
        let Some(text) = self.text(name, problems).filter(|text| !is_template(text)) else {
            return default;
        };
        match duration(&text).filter(|duration| range.contains(duration)) {
            Some(duration) => duration,
            None => {
                let (least, most) = (show(*range.start()), show(*range.end()));
                let at = self.at(name);
                problems.push(format!(
                    "{at}: should be a whole number with ms, s or m behind it, from {least} to {most}"
                ));
                default
            }
        }
    }

    /// A mapping of texts.
    pub(super) fn texts(&self, name: &str, problems: &mut Problems) -> BTreeMap<String, String> {
        let Some(value) = self.get(name) else {
            return BTreeMap::new();
        };
        let Some(map) = value.as_object() else {
            problems.push(format!("{}: should be a mapping of texts", self.at(name)));
            return BTreeMap::new();
        };
        let inner = Fields { path: self.at(name), map };
        map.keys()
            .filter_map(|key| Some((key.clone(), inner.text(key, problems)?)))
            .collect()
    }

    /// A list of texts, or one text.
    pub(super) fn list(&self, name: &str, problems: &mut Problems) -> Vec<String> {
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                let texts: Vec<String> = items.iter().filter_map(scalar).collect();
                if texts.len() != items.len() {
                    problems.push(format!("{}: each entry should be text", self.at(name)));
                }
                texts
            }
            Some(value) => {
                let text = scalar(value);
                if text.is_none() {
                    problems.push(format!("{}: should be a list of texts", self.at(name)));
                }
                text.into_iter().collect()
            }
        }
    }
}

/// The text of a value that is no mapping and no list.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        _ => None,
    }
}

/// Accepts a DNS label, as names of Services are.
pub(super) fn label(text: &str) -> Result<(), String> {
    crate::domain::name::check_label(text).map_err(|rule| rule.to_string())
}

/// Accepts the name of an object.
pub(super) fn object_name(text: &str) -> Result<(), String> {
    text.parse::<crate::domain::name::ObjectName>()
        .map(|_| ())
        .map_err(|error| error.rule)
}

fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = [("ms", 1), ("s", 1_000), ("m", 60_000)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_millis)
}

fn show(duration: Duration) -> String {
    match duration.as_millis() {
        milliseconds if milliseconds % 60_000 == 0 => format!("{}m", milliseconds / 60_000),
        milliseconds if milliseconds % 1_000 == 0 => format!("{}s", milliseconds / 1_000),
        milliseconds => format!("{milliseconds}ms"),
    }
}
