//! The look at one object: what it is measured against, and what was found.

use serde_json::Value;

use super::{Admission, ObjectKey, Refusal, Source, refusal};

/// Collects what is wrong with one object.
pub(super) struct Review<'a> {
    pub(super) admission: &'a Admission<'a>,
    pub(super) key: &'a ObjectKey,
    pub(super) refusals: Vec<Refusal>,
    source: &'a Source,
}

impl<'a> Review<'a> {
    pub(super) fn new(admission: &'a Admission<'a>, source: &'a Source, key: &'a ObjectKey) -> Self {
        Self {
            admission,
            key,
            refusals: Vec::new(),
            source,
        }
    }

    /// `reason` says what is wrong with the field and what to do.
    pub(super) fn refuse(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.refusals.push(refusal(self.source, &self.key.to_string(), field, reason));
    }
}

/// Whether a field is there and holds something.
pub(super) fn is_set(value: &Value, pointer: &str) -> bool {
    match value.pointer(pointer) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(entries)) => !entries.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

/// The members of a list; nothing when it is no list.
pub(super) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text field; nothing when it is no text.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}
