//! The arguments of a helper, each read as what it should be.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::domain::render::emit;

/// What a helper is called with.
pub(super) struct Arguments<'a> {
    values: &'a [Cow<'a, Value>],
    /// The whole context of the template.
    pub(super) context: &'a Value,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(values: &'a [Cow<'a, Value>], context: &'a Value) -> Self {
        Self { values, context }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// All of them from number `first` on.
    pub(super) fn from(&self, first: usize) -> impl DoubleEndedIterator<Item = &'a Value> {
        self.values.get(first..).unwrap_or_default().iter().map(AsRef::as_ref)
    }

    /// The one at `index`; null where there is none.
    pub(super) fn value(&self, index: usize) -> &'a Value {
        self.values.get(index).map_or(&Value::Null, AsRef::as_ref)
    }

    /// Text; numbers and booleans are text, too.
    pub(super) fn text(&self, index: usize) -> Result<String, String> {
        emit::text(self.value(index)).map_err(|message| format!("argument {} should be text, but it {message}", index + 1))
    }

    /// A whole number, in text too; a fraction is cut off.
    pub(super) fn integer(&self, index: usize) -> Result<i64, String> {
        super::numbers::integer(self.value(index)).ok_or_else(|| self.wrong(index, "a whole number"))
    }

    /// A number from 0 to `most`.
    pub(super) fn count(&self, index: usize, most: usize) -> Result<usize, String> {
        let number = self.value(index).as_u64().and_then(|number| usize::try_from(number).ok());
        number
            .filter(|number| *number <= most)
            .ok_or_else(|| self.wrong(index, &format!("a number from 0 to {most}")))
    }

    pub(super) fn boolean(&self, index: usize) -> Result<bool, String> {
        self.value(index).as_bool().ok_or_else(|| self.wrong(index, "true or false"))
    }

    pub(super) fn list(&self, index: usize) -> Result<&'a Vec<Value>, String> {
        self.value(index).as_array().ok_or_else(|| self.wrong(index, "a list"))
    }

    pub(super) fn mapping(&self, index: usize) -> Result<&'a Map<String, Value>, String> {
        self.value(index).as_object().ok_or_else(|| self.wrong(index, "a mapping"))
    }

    /// What to say of an argument that is not `wanted`.
    pub(super) fn wrong(&self, index: usize, wanted: &str) -> String {
        format!("argument {} should be {wanted}, but it got {}", index + 1, kind(self.value(index)))
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
