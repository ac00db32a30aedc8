//! The helpers that give a value: pure functions of their arguments, with Helm's names, meaning and order of arguments (the value
//! to work on comes last) where Helm has them.
//!
//! A table for each subject, in a module of its own; [`all`] is all of them. What a helper gives is at most [`MAX_TEXT`] bytes and
//! [`MAX_DEPTH`] deep, so that helpers inside helpers cannot grow without end.

mod arguments;
mod encoding;
mod lists;
mod logic;
mod mappings;
mod numbers;
mod own;
mod print;
mod random;
mod reference;
#[cfg(test)]
mod tests;
mod text;
mod versions;

use std::borrow::Cow;

use serde_json::Value;

use super::emit::{self, MAX_TEXT};
use super::helpers::Arity;
use super::values::has_reserved_key;
use arguments::Arguments;
pub(crate) use logic::is_truthy;
pub use reference::reference;

/// The most arguments of a helper that takes any number.
const MANY: usize = 32;
/// How deep a value that a helper gives may be nested.
const MAX_DEPTH: usize = 128;

/// A helper that gives a value.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) arity: Arity,
    /// What it does, in one sentence.
    pub(crate) description: &'static str,
    undefined: Undefined,
    sees_fragments: bool,
    gives_fragments: bool,
    is_subject_last: bool,
    is_message_whole: bool,
    apply: Apply,
}

/// The arguments → the value, or the end of the sentence "NAME: ".
type Apply = fn(&Arguments<'_>) -> Result<Value, String>;

/// Which arguments may be undefined; they are null then.
#[derive(Clone, Copy)]
enum Undefined {
    Refused,
    First,
    Last,
    AfterFirst,
    Any,
}

/// Every helper of the tables.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    [
        text::FUNCTIONS,
        encoding::FUNCTIONS,
        logic::FUNCTIONS,
        numbers::FUNCTIONS,
        lists::FUNCTIONS,
        mappings::FUNCTIONS,
        versions::FUNCTIONS,
        random::FUNCTIONS,
        own::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// An entry of a table; `usage` as in `{{trunc LENGTH TEXT}}`.
const fn function(
    name: &'static str,
    (least, most): (usize, usize),
    usage: &'static str,
    description: &'static str,
    apply: Apply,
) -> Function {
    Function {
        name,
        arity: Arity { least, most, usage },
        description,
        undefined: Undefined::Refused,
        sees_fragments: false,
        gives_fragments: false,
        is_subject_last: false,
        is_message_whole: false,
        apply,
    }
}

// === impl Function ===

impl Function {
    /// With arguments that may be undefined.
    const fn undefined(mut self, undefined: Undefined) -> Self {
        self.undefined = undefined;
        self
    }

    /// One that hands fragments through as they are; for the others they are text.
    const fn sees_fragments(mut self) -> Self {
        self.sees_fragments = true;
        self.gives_fragments = true;
        self
    }

    /// One that makes fragments. What the others give is searched for forged ones.
    const fn gives_fragments(mut self) -> Self {
        self.gives_fragments = true;
        self
    }

    /// One whose last argument is never worth writing as a literal when another one is not: the order is wrong then.
    const fn subject_last(mut self) -> Self {
        self.is_subject_last = true;
        self
    }

    /// One whose errors are the bundle's own words.
    const fn whole_message(mut self) -> Self {
        self.is_message_whole = true;
        self
    }

    /// Whether the last argument is what the helper works on, and surely not a literal beside arguments that are none.
    pub(crate) fn is_subject_last(&self) -> bool {
        self.is_subject_last
    }

    /// Whether the argument at `index` of `count` may be undefined.
    pub(crate) fn may_be_undefined(&self, index: usize, count: usize) -> bool {
        match self.undefined {
            Undefined::Refused => false,
            Undefined::First => index == 0,
            Undefined::Last => index + 1 == count,
            Undefined::AfterFirst => index > 0,
            Undefined::Any => true,
        }
    }

    /// Calls it with `arguments` and the whole context. An error is a sentence.
    pub(crate) fn call(&self, arguments: &[&Value], context: &Value) -> Result<Value, String> {
        let applied = self.try_call(arguments, context);
        applied.map_err(|message| {
            if self.is_message_whole {
                message
            } else if message.starts_with("argument ") && self.arity.most > 1 {
                format!("{}: {message}; write {}", self.name, self.arity.usage)
            } else {
                format!("{}: {message}", self.name)
            }
        })
    }

    fn try_call(&self, arguments: &[&Value], context: &Value) -> Result<Value, String> {
        let plain: Vec<Cow<'_, Value>> = arguments
            .iter()
            .map(|value| {
                if self.sees_fragments {
                    Ok(Cow::Borrowed(*value))
                } else {
                    emit::plain(value)
                }
            })
            .collect::<Result<_, _>>()?;
        let value = (self.apply)(&Arguments::new(&plain, context))?;
        if !self.gives_fragments && has_reserved_key(&value) {
            return Err("a key must not be the noncharacter U+FDD0".into());
        }
        match size(&value, MAX_DEPTH) {
            None => Err(format!("the result is nested deeper than {MAX_DEPTH}")),
            Some(bytes) if bytes > MAX_TEXT => Err(too_long()),
            Some(_) => Ok(value),
        }
    }
}

fn too_long() -> String {
    format!("the result is longer than {MAX_TEXT} bytes")
}

/// How much of `value` a call reads at least: what is below its entries is not counted.
pub(super) fn shallow_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Object(entries) if entries.contains_key(emit::FRAGMENT_KEY) => size(value, usize::MAX).unwrap_or(MAX_TEXT),
        Value::Object(entries) => entries.len(),
        _ => 0,
    }
}

/// About how many bytes `value` takes, `None` where it is nested deeper than `depth`.
pub(crate) fn size(value: &Value, depth: usize) -> Option<usize> {
    const NODE: usize = 16;
    let depth = depth.checked_sub(1)?;
    Some(match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items
            .iter()
            .try_fold(NODE, |sum, item| Some(sum.saturating_add(NODE).saturating_add(size(item, depth)?)))?,
        Value::Object(entries) => entries.iter().try_fold(NODE, |sum, (key, entry)| {
            Some(sum.saturating_add(NODE + key.len()).saturating_add(size(entry, depth)?))
        })?,
        _ => NODE,
    })
}
