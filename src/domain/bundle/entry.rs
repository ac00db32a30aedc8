//! Every problem of a mapping whose first one the deserialiser has reported: each field is read by itself, so that one mistake does
//! not hide another.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::Problem;
use crate::domain::render::{mark, suggest::did_you_mean};

/// A mapping with the place of each value.
pub(super) type Entry = Spanned<BTreeMap<String, Spanned<Value>>>;

/// What the fields of a mapping are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) file: &'a str,
    /// What the file says.
    pub(super) text: &'a str,
    /// What the mapping is, for people: `a case`.
    pub(super) what: &'a str,
    pub(super) names: &'a [&'a str],
    pub(super) required: &'a [&'a str],
}

impl Fields<'_> {
    /// What is wrong with `entry` as a `T`. `least` is a mapping that is a `T`, in which each field is tried.
    pub(super) fn problems<T: DeserializeOwned>(&self, entry: &Entry, least: &Map<String, Value>) -> Vec<Problem> {
        let missing = self.required.iter().filter(|name| !entry.value.contains_key(**name));
        let mut problems: Vec<Problem> = missing
            .map(|name| Problem::at(self.file, place(entry), format!("{name}: is missing: {} needs it", self.what)))
            .collect();
        for (name, value) in &entry.value {
            if !self.names.contains(&name.as_str()) {
                problems.push(self.unknown(name, value));
            } else if let Some(message) = fault::<T>(name, &value.value, least) {
                problems.push(Problem::at(self.file, place(value), format!("{name}: {message}")));
            }
        }
        problems
    }

    fn unknown(&self, name: &str, value: &Spanned<Value>) -> Problem {
        let hint = match did_you_mean(name, self.names.iter().copied()) {
            hint if hint.is_empty() => format!(": there are {}", self.names.join(", ")),
            hint => hint,
        };
        let message = format!("there is no field {name:?} in {}{hint}", self.what);
        let place = place(value);
        match self.key_before(name, place) {
            Some(key) => Problem::at(self.file, key, message).with_length(name.chars().count()),
            None => Problem::at(self.file, place, message),
        }
    }

    /// Where the key stands whose value begins at a place: in the same line or in the one before.
    fn key_before(&self, name: &str, (line, column): (usize, usize)) -> Option<(usize, usize)> {
        let same: String = self
            .text
            .lines()
            .nth(line.checked_sub(1)?)?
            .chars()
            .take(column.checked_sub(1)?)
            .collect();
        let above = line
            .checked_sub(2)
            .and_then(|index| self.text.lines().nth(index))
            .unwrap_or_default();
        [(same.as_str(), line), (above, line.saturating_sub(1))]
            .into_iter()
            .find_map(|(text, line)| Some((line, text[..text.rfind(name)?].chars().count() + 1)))
    }
}

fn fault<T: DeserializeOwned>(name: &str, value: &Value, least: &Map<String, Value>) -> Option<String> {
    let read = |value: Value| {
        let mut whole = least.clone();
        whole.insert(name.to_owned(), value);
        serde_json::from_value::<T>(Value::Object(whole))
    };
    let resolved = mark::resolve(value.clone(), &mut usize::MAX.clone()).unwrap_or(Value::Null);
    let error = read(resolved).err()?;
    // Where text is wanted, YAML takes a number for text.
    let is_text = matches!(value, Value::Number(_) | Value::Bool(_)) && read(Value::String(value.to_string())).is_ok();
    (!is_text).then(|| error.to_string())
}

/// Where something stands, counted from 1.
pub(super) fn place<T>(at: &Spanned<T>) -> (usize, usize) {
    let number = |number: u64| usize::try_from(number).unwrap_or(1).max(1);
    (number(at.referenced.line()), number(at.referenced.column()))
}
