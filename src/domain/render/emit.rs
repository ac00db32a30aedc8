//! Writing values into the text of a template, and values as YAML.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::mark;

/// The longest text that a helper gives, in bytes.
pub(crate) const MAX_TEXT: usize = 1024 * 1024;

/// The key of an object that stands for a [`Fragment`]. No other object can have it: values with such a key are refused.
pub(crate) const FRAGMENT_KEY: &str = "\u{fdd0}";

/// What a helper gives that is more than a value: it says how to write the value.
#[derive(Debug, PartialEq)]
pub(crate) enum Fragment {
    /// Text of a template: its values are marks.
    Marked(String),
    /// The value as YAML: in one line where it stands alone, in block style where it is indented.
    Yaml(Value),
    /// The value as JSON, in one line.
    Json(Value),
    /// Something with so many spaces before each line.
    Indented {
        columns: usize,
        /// Whether it begins on a line of its own.
        on_new_line: bool,
        content: Value,
    },
}

impl Fragment {
    /// The object that carries it from helper to helper.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Marked(text) => json!({ FRAGMENT_KEY: "marked", "content": text }),
            Self::Yaml(value) => json!({ FRAGMENT_KEY: "yaml", "content": value }),
            Self::Json(value) => json!({ FRAGMENT_KEY: "json", "content": value }),
            Self::Indented {
                columns,
                on_new_line,
                content,
            } => json!({ FRAGMENT_KEY: "indented", "content": content, "columns": columns, "newLine": on_new_line }),
        }
    }

    fn of(value: &Value) -> Option<Self> {
        let kind = value.get(FRAGMENT_KEY)?.as_str()?;
        let content = value.get("content")?;
        Some(match kind {
            "marked" => Self::Marked(content.as_str()?.to_owned()),
            "yaml" => Self::Yaml(content.clone()),
            "json" => Self::Json(content.clone()),
            _ => Self::Indented {
                columns: usize::try_from(value.get("columns")?.as_u64()?).ok()?,
                on_new_line: value.get("newLine")?.as_bool()?,
                content: content.clone(),
            },
        })
    }
}

/// The text that `value` becomes in a template; the error ends the sentence "… ".
pub(crate) fn emit(value: &Value) -> Result<String, String> {
    match Fragment::of(value) {
        None => emit_scalar(value),
        Some(Fragment::Marked(text)) => Ok(text),
        Some(Fragment::Yaml(content)) => Ok(flow(&content, marked)),
        Some(Fragment::Json(content)) => Ok(json_text(&content, mark::quoted)),
        Some(Fragment::Indented {
            columns,
            on_new_line,
            content,
        }) => {
            let inner = match Fragment::of(&content) {
                Some(Fragment::Yaml(content)) => block(&content, marked),
                _ => emit(&content)?,
            };
            indent(inner.trim_end_matches('\n'), columns, on_new_line)
        }
    }
}

fn emit_scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => match text.chars().find(|character| mark::is_raw_control(*character)) {
            Some(control) => Err(format!(
                "contains the control character {control:?}, which only {{{{quote …}}}} can write"
            )),
            None => Ok(mark::plain(text)),
        },
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null => Err("is null: give it a value, or write {{default … \"…\"}}".into()),
        Value::Array(_) => Err("is a list: write {{toYaml …}}, or {{#each …}}".into()),
        Value::Object(_) => Err("is a mapping: write {{toYaml …}}, or name one of its keys".into()),
    }
}

/// `value` with a fragment as the text that it stands for.
pub(crate) fn plain(value: &Value) -> Result<Cow<'_, Value>, String> {
    if value.get(FRAGMENT_KEY).is_none() {
        return Ok(Cow::Borrowed(value));
    }
    text(value)
        .map(|text| Cow::Owned(Value::String(text)))
        .map_err(|message| format!("this {message}"))
}

/// `value` as text for another helper to work on; the error ends the sentence "… expects text, but ".
pub(crate) fn text(value: &Value) -> Result<String, String> {
    let text = match Fragment::of(value) {
        Some(Fragment::Marked(text)) => mark::readable(&mark::take_line_marks(&text, 0).0),
        Some(Fragment::Yaml(content)) => to_yaml(&content),
        Some(Fragment::Json(content)) => json_text(&content, mark::json_string),
        Some(Fragment::Indented {
            columns,
            on_new_line,
            content,
        }) => indent(text(&content)?.trim_end_matches('\n'), columns, on_new_line)?,
        None => match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null => return Err("got null".into()),
            Value::Array(_) => return Err("got a list".into()),
            Value::Object(_) => return Err("got a mapping".into()),
        },
    };
    if text.len() > MAX_TEXT {
        return Err(format!("got more than {MAX_TEXT} bytes"));
    }
    Ok(text)
}

fn indent(text: &str, columns: usize, on_new_line: bool) -> Result<String, String> {
    let lines = text.split('\n').count();
    if lines.saturating_mul(columns).saturating_add(text.len()) > MAX_TEXT {
        return Err(format!("is longer than {MAX_TEXT} bytes once it is indented"));
    }
    let padding = " ".repeat(columns);
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            if mark::is_blank(line) {
                line.to_owned()
            } else {
                format!("{padding}{line}")
            }
        })
        .collect();
    Ok(format!("{}{}", if on_new_line { "\n" } else { "" }, lines.join("\n")))
}

/// `value` as YAML in block style, mappings sorted by key: the same text for the same value, always.
pub fn to_yaml(value: &Value) -> String {
    block(value, literal)
}

/// How a string is written.
type Leaf = fn(&str) -> String;

/// For text inside a template: as a mark where it could be misread.
fn marked(text: &str) -> String {
    if is_plainly_a_string(text) {
        text.to_owned()
    } else {
        mark::quoted(text)
    }
}

/// For text that is final: quoted where it could be misread.
fn literal(text: &str) -> String {
    if is_plainly_a_string(text) {
        text.to_owned()
    } else {
        mark::json_string(text)
    }
}

/// Whether YAML of any version reads the unquoted text as this string, in any context.
fn is_plainly_a_string(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    begins
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

fn block(value: &Value, leaf: Leaf) -> String {
    let mut out = String::new();
    write_block(&mut out, value, 0, leaf);
    out
}

fn write_block(out: &mut String, value: &Value, columns: usize, leaf: Leaf) {
    let padding = " ".repeat(columns);
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, entry) in sorted(entries) {
                out.push_str(&format!("{padding}{}:", leaf(key)));
                if is_nested(entry) {
                    out.push('\n');
                    write_block(out, entry, columns + 2, leaf);
                } else {
                    out.push_str(&format!(" {}\n", flow(entry, leaf)));
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut nested = String::new();
                write_block(&mut nested, item, columns + 2, leaf);
                out.push_str(&format!("{padding}- {}", nested.trim_start_matches(' ')));
            }
        }
        scalar => out.push_str(&format!("{padding}{}\n", flow(scalar, leaf))),
    }
}

fn is_nested(value: &Value) -> bool {
    match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

/// In one line.
fn flow(value: &Value, leaf: Leaf) -> String {
    match value {
        Value::String(text) => leaf(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| flow(item, leaf)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = sorted(entries)
                .into_iter()
                .map(|(key, entry)| format!("{}: {}", leaf(key), flow(entry, leaf)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// As compact JSON, which is YAML as well.
fn json_text(value: &Value, leaf: Leaf) -> String {
    match value {
        Value::String(text) => leaf(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| json_text(item, leaf)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(entries) => {
            let entries = sorted(entries).into_iter();
            let entries: Vec<String> = entries
                .map(|(key, entry)| format!("{}:{}", leaf(key), json_text(entry, leaf)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// `serde_json` keeps keys sorted unless some crate of the binary switches that off, so it is not relied upon.
fn sorted(entries: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's failure")]

    use super::*;

    #[test]
    fn yaml_is_written_in_blocks_and_quoted_where_it_could_be_misread() {
        let value = json!({ "b": [1, "true", { "x": [], "y": { "z": "a b" } }, [["n"]]], "a": "plain/text-1", "012": null });
        insta::assert_snapshot!(to_yaml(&value), @r#"
        "012": null
        a: plain/text-1
        b:
          - 1
          - "true"
          - x: []
            "y":
              z: "a b"
          - - - "n"
        "#);
    }

    #[test]
    fn what_is_written_as_yaml_is_read_back_as_the_same_value() {
        let value = json!({ "a b": ["", "x\ny", "\u{1}", "\u{85}", "0o7", "- x", "1e3", ".inf"], "n": { "": [{}, [], [[{ "k": [0] }]]] } });
        let read: Value = crate::domain::bundle::yaml::read_one(&to_yaml(&value)).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn a_fragment_is_text_to_other_helpers() {
        let inner = Fragment::Yaml(json!({ "a": "b c" })).into_value();
        assert_eq!(text(&inner).unwrap(), "a: \"b c\"\n");
        let outer = Fragment::Indented {
            columns: 2,
            on_new_line: true,
            content: inner,
        };
        assert_eq!(text(&outer.into_value()).unwrap(), "\n  a: \"b c\"");
    }
}
