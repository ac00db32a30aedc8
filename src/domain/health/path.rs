//! Paths into objects: `status.phase`, `status.conditions[type=Ready].status`, `status.replicas[0]`, `metadata.annotations["a.b/c"]`.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// A path into an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthPath(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// The entry of a mapping.
    Field(String),
    /// The item of a list, counted from 0.
    Item(usize),
    /// The first item of a list whose field is this text.
    Where(String, String),
}

/// The longest path, in bytes.
pub const MAX_PATH: usize = 256;
/// The most parts of a path.
const MAX_SEGMENTS: usize = 16;
/// How many items of a list are looked at for one that fits.
const MAX_ITEMS: usize = 1_000;

impl HealthPath {
    /// What an object has there.
    pub(super) fn find<'v>(&self, body: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(body, |value, segment| match segment {
            Segment::Field(name) => value.as_object()?.get(name),
            Segment::Item(index) => value.as_array()?.get(*index),
            Segment::Where(field, text) => {
                let items = value.as_array()?.iter().take(MAX_ITEMS);
                items.into_iter().find(|item| item.get(field).and_then(Value::as_str) == Some(text))
            }
        })
    }
}

impl FromStr for HealthPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_PATH {
            return Err(format!("a path has 1 to {MAX_PATH} characters"));
        }
        let wrong = |what: &str| format!("{text:?} is no path: {what}; write it as status.conditions[type=Ready].status");
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (segment, after) =
                    bracket(inside).ok_or_else(|| wrong("a bracket holds a number, a=b or a name in quotation marks, and ends"))?;
                segments.push(segment);
                rest = after;
            } else {
                let begin = if segments.is_empty() {
                    rest
                } else {
                    rest.strip_prefix('.').ok_or_else(|| wrong("a dot is missing"))?
                };
                let end = begin.find(['.', '[']).unwrap_or(begin.len());
                if end == 0 {
                    return Err(wrong("a name is missing"));
                }
                segments.push(Segment::Field(begin[..end].to_owned()));
                rest = &begin[end..];
            }
        }
        match segments.len() > MAX_SEGMENTS {
            true => Err(wrong("it has too many parts")),
            false => Ok(Self(segments)),
        }
    }
}

/// What stands in a bracket, and what comes after it.
fn bracket(inside: &str) -> Option<(Segment, &str)> {
    if let Some(quoted) = inside.strip_prefix('"') {
        let (name, rest) = quoted.split_once("\"]")?;
        return (!name.is_empty()).then(|| (Segment::Field(name.to_owned()), rest));
    }
    let (inside, rest) = inside.split_once(']')?;
    if let Some((field, text)) = inside.split_once('=') {
        let is_whole = !field.is_empty() && !text.is_empty();
        return is_whole.then(|| (Segment::Where(field.to_owned(), text.to_owned()), rest));
    }
    Some((Segment::Item(inside.parse().ok()?), rest))
}

impl fmt::Display for HealthPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if name.contains(['.', '[']) => write!(formatter, "[\"{name}\"]")?,
                Segment::Field(name) if index == 0 => formatter.write_str(name)?,
                Segment::Field(name) => write!(formatter, ".{name}")?,
                Segment::Item(item) => write!(formatter, "[{item}]")?,
                Segment::Where(field, text) => write!(formatter, "[{field}={text}]")?,
            }
        }
        Ok(())
    }
}
