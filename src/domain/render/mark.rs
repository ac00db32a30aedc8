//! Marks: how a value passes through YAML without being read as YAML.
//!
//! A string never reaches the rendered text as it is. Its place is held by a mark, a run of characters that YAML can only read
//! as part of a plain string, whatever surrounds it; the YAML is parsed with the marks in it, and then each mark is replaced by
//! the string it stands for. So the shape of a document comes from the template alone: a branch named `true`, `012` or
//! `a: b` is a string wherever it stands. A second kind of mark remembers which line of which file a line came from.
//!
//! Marks begin and end with Unicode noncharacters, which no template may contain (`Bundle::parse` refuses them). Values may:
//! everything in a mark but letters, digits and a few signs is written in hexadecimal.

use serde_json::{Map, Value};

/// Begins the mark of a string that is replaced by itself.
const PLAIN: char = '\u{fdd0}';
/// Begins the mark of a string that stands between double quotes.
const QUOTED: char = '\u{fdd1}';
/// Begins the mark of a source line.
const LINE: char = '\u{fdd2}';
/// Ends every mark.
const END: char = '\u{fdd3}';

/// Whether a template may not contain `character`.
pub(crate) fn is_reserved(character: char) -> bool {
    ('\u{fdd0}'..='\u{fdef}').contains(&character)
}

/// Whether only a double-quoted scalar can say `character`.
pub(crate) fn is_raw_control(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

/// Whether a text knows its own source lines.
pub(crate) fn has_lines(text: &str) -> bool {
    text.contains(LINE)
}

/// Whether nothing but line marks is in a line.
pub(crate) fn is_blank(line: &str) -> bool {
    let mut rest = line;
    while let Some(end) = rest.strip_prefix(LINE).and_then(|mark| mark.find(END)) {
        rest = &rest[LINE.len_utf8() + end + END.len_utf8()..];
    }
    rest.is_empty()
}

/// The mark of `text`, replaced by `text` itself wherever it stands.
pub(crate) fn plain(text: &str) -> String {
    enclose(PLAIN, text)
}

/// The double-quoted scalar of `text`.
///
/// Where YAML reads the quotes, the value is `text`; where they are part of a longer string (a block scalar that holds JSON, for
/// example), the string gets `text` as JSON would write it between them.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", enclose(QUOTED, text))
}

/// Whether a text is one double-quoted scalar and nothing else.
pub(crate) fn is_quoted(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mark = inner.and_then(|inner| inner.strip_prefix(QUOTED)?.strip_suffix(END));
    mark.is_some_and(|mark| !mark.contains(END))
}

/// A place in a template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The number of the file.
    pub(crate) file: usize,
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// The column, counted in characters from 1.
    pub(crate) column: usize,
    /// What begins there.
    pub(crate) of: Of,
}

/// What begins at a place of a template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Of {
    /// A tag: what it gives has the columns of something else.
    #[default]
    Tag,
    /// A tag with an `else if` somewhere behind it.
    Chain,
    /// Text: it stands in the output as it is.
    Text,
}

/// The mark of a place; it vanishes from the text.
pub(crate) fn place(place: Place) -> String {
    let of = match place.of {
        Of::Tag => "",
        Of::Chain => ":e",
        Of::Text => ":t",
    };
    format!("{LINE}{}:{}:{}{of}{END}", place.file, place.line, place.column)
}

/// The place that a mark says.
pub(crate) fn read_place(mark: &str) -> Option<Place> {
    read_line_mark(mark.strip_prefix(LINE)?.strip_suffix(END)?)
}

/// A mark that says nothing and vanishes: what a round of a loop writes so that it is counted.
pub(crate) fn round() -> String {
    format!("{LINE}round{END}")
}

/// `text` between double quotes, as JSON and YAML both read it.
pub(crate) fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    escape_into(&mut out, text);
    out.push('"');
    out
}

/// A message with every mark replaced by what it stands for.
pub(crate) fn readable(message: &str) -> String {
    replace_marks(message)
}

fn enclose(begin: char, text: &str) -> String {
    let mut mark = String::with_capacity(text.len() + 8);
    mark.push(begin);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./".contains(&byte) {
            mark.push(char::from(byte));
        } else {
            mark.push_str(&format!("+{byte:02x}"));
        }
    }
    mark.push(END);
    mark
}

fn escape_into(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Line separators too: they would break a line of YAML.
            '\u{2028}' | '\u{2029}' | '\u{feff}' => out.push_str(&format!("\\u{:04x}", character as u32)),
            control if control.is_control() => out.push_str(&format!("\\u{:04x}", control as u32)),
            other => out.push(other),
        }
    }
}

/// Where each part of a rendered text came from, after its line marks were taken out.
#[derive(Debug, Default)]
pub(crate) struct LineMap {
    /// The first place of each line of the text.
    lines: Vec<Place>,
    /// Every marked part: the line of the text, the column in it (both counted from 1), where it came from.
    parts: Vec<(usize, usize, Place)>,
}

impl LineMap {
    /// The place in the source that gave line `number` (counted from 1) of the text.
    pub(crate) fn line(&self, number: usize) -> Place {
        let index = number.max(1) - 1;
        self.lines.get(index).or_else(|| self.lines.last()).copied().unwrap_or(Place {
            line: 1,
            column: 1,
            ..Place::default()
        })
    }

    /// The place in the source that gave this line and column (counted from 1) of the text.
    pub(crate) fn place(&self, line: usize, column: usize) -> Place {
        let behind = self.parts.partition_point(|(number, begin, _)| (*number, *begin) <= (line, column));
        match behind.checked_sub(1).and_then(|index| self.parts.get(index)) {
            Some((number, begin, place)) if *number == line => {
                let shift = if place.of == Of::Text { column - begin } else { 0 };
                Place {
                    column: place.column + shift,
                    ..*place
                }
            }
            // Indentation before the first mark, or a line without one.
            _ => self.line(line),
        }
    }
}

/// Takes the line marks out of a rendered text. A line without a mark is taken to come from where the line before it came from.
pub(crate) fn take_line_marks(text: &str, file: usize) -> (String, LineMap) {
    let mut clean = String::with_capacity(text.len());
    let mut map = LineMap::default();
    let mut last = Place {
        file,
        line: 1,
        column: 1,
        of: Of::Tag,
    };
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let mut first = None;
        let mut column = 1;
        let mut rest = line;
        while let Some(begin) = rest.find(LINE) {
            clean.push_str(&rest[..begin]);
            column += rest[..begin].chars().count();
            let after = &rest[begin + LINE.len_utf8()..];
            let Some(end) = after.find(END) else { break };
            if let Some(place) = read_line_mark(&after[..end]) {
                first = first.or(Some(place));
                map.parts.push((index + 1, column, place));
            }
            rest = &after[end + END.len_utf8()..];
        }
        clean.push_str(rest);
        last = first.unwrap_or(last);
        map.lines.push(last);
    }
    (clean, map)
}

fn read_line_mark(text: &str) -> Option<Place> {
    let mut parts = text.split(':');
    let mut number = || parts.next()?.parse().ok();
    let (file, line, column) = (number()?, number()?, number()?);
    Some(Place {
        file,
        line,
        column,
        of: match parts.next() {
            None => Of::Tag,
            Some("e") => Of::Chain,
            Some(_) => Of::Text,
        },
    })
}

/// Why a parsed document could not get its values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The strings together are longer than the limit: the number of bytes allowed.
    TooLong(usize),
    /// Two keys of one mapping have become equal.
    DuplicateKey(String),
}

/// Puts the values in the place of their marks, at most `left` bytes of them; `left` is reduced by what was used.
///
/// Floats without a fraction become integers on the way, as Kubernetes writes them.
pub(crate) fn resolve(value: Value, left: &mut usize) -> Result<Value, Unresolved> {
    Ok(match value {
        Value::String(text) => Value::String(resolve_text(text, left)?),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| resolve(item, left)).collect::<Result<_, _>>()?),
        Value::Object(entries) => {
            let mut resolved = Map::new();
            for (key, entry) in entries {
                let key = resolve_text(key, left)?;
                let entry = resolve(entry, left)?;
                if resolved.contains_key(&key) {
                    return Err(Unresolved::DuplicateKey(key));
                }
                resolved.insert(key, entry);
            }
            Value::Object(resolved)
        }
        Value::Number(number) => Value::Number(whole(number)),
        other => other,
    })
}

/// Floats without a fraction as integers, in a value without marks.
pub(crate) fn with_integers(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(with_integers).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, entry)| (key, with_integers(entry))).collect(),
        Value::Number(number) => Value::Number(whole(number)),
        other => other,
    }
}

fn resolve_text(text: String, left: &mut usize) -> Result<String, Unresolved> {
    let resolved = if text.contains([PLAIN, QUOTED]) {
        replace_marks(&text)
    } else {
        text
    };
    *left = left.checked_sub(resolved.len()).ok_or(Unresolved::TooLong(*left))?;
    Ok(resolved)
}

fn replace_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find([PLAIN, QUOTED]) {
        out.push_str(&rest[..begin]);
        let is_quoted = rest[begin..].starts_with(QUOTED);
        let body = &rest[begin + PLAIN.len_utf8()..];
        let end = body.find(END).unwrap_or(body.len());
        let value = decode(&body[..end]);
        rest = body[end..].strip_prefix(END).unwrap_or_default();
        if is_quoted && out.ends_with('"') && rest.starts_with('"') {
            escape_into(&mut out, &value);
        } else {
            out.push_str(&value);
        }
    }
    out.push_str(rest);
    out
}

fn decode(encoded: &str) -> String {
    let bytes = encoded.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hexadecimal = (bytes[index] == b'+').then(|| encoded.get(index + 1..index + 3)).flatten();
        if let Some(byte) = hexadecimal.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            out.push(byte);
            index += 3;
        } else {
            out.push(bytes[index]);
            index += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A float without a fraction as the integer it is, below 2^53: an integer field of Kubernetes refuses `3.0`.
#[allow(clippy::cast_possible_truncation, reason = "the bounds were checked in the line before")]
fn whole(number: serde_json::Number) -> serde_json::Number {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => serde_json::Number::from(float as i64),
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure to resolve is the test's failure")]

    use serde_json::json;

    use super::*;

    fn text_of(marked: &str) -> Value {
        resolve(json!(marked), &mut 1_000).unwrap()
    }

    #[test]
    fn a_mark_is_replaced_by_exactly_what_it_stands_for() {
        for text in ["", "a b", "ä🎉", "a: b\n c", "+41", "\u{fdd0}x\u{fdd3}", "\"", "\\"] {
            assert_eq!(text_of(&plain(text)), json!(text));
            assert_eq!(text_of(&format!("<{}>", plain(text))), json!(format!("<{text}>")));
        }
    }

    #[test]
    fn a_quoted_mark_between_quotes_is_escaped_and_alone_is_not() {
        let marked = quoted("a\"b");
        assert_eq!(text_of(&marked), json!("\"a\\\"b\""));
        assert_eq!(text_of(marked.trim_matches('"')), json!("a\"b"));
    }

    #[test]
    fn two_keys_that_become_one_are_refused_and_the_length_is_limited() {
        let twice = json!({ "a": 1, (plain("a")): 2 });
        assert_eq!(resolve(twice, &mut 100), Err(Unresolved::DuplicateKey("a".into())));
        assert_eq!(resolve(json!([plain("abcdef")]), &mut 5), Err(Unresolved::TooLong(5)));
    }

    #[test]
    fn floats_without_a_fraction_become_integers() {
        assert_eq!(
            resolve(json!([1e3, 3.0, 1.5, 1e300]), &mut 0).unwrap(),
            json!([1000, 3, 1.5, 1e300])
        );
    }

    #[test]
    fn line_marks_vanish_and_leave_a_map() {
        let text = format!(
            "{}{}a: 1\nb\n  {}c{}{}d\n",
            round(),
            place(at(0, 7, 3, Of::Text)),
            place(at(2, 3, 9, Of::Tag)),
            plain("x y"),
            place(at(0, 9, 5, Of::Text))
        );
        let (clean, map) = take_line_marks(&text, 0);
        assert_eq!(clean, format!("a: 1\nb\n  c{}d\n", plain("x y")));
        assert_eq!(
            [1, 2, 3, 4].map(|number| (map.line(number).file, map.line(number).line)),
            [(0, 7), (0, 7), (2, 3), (2, 3)]
        );
        let column = |line, column| map.place(line, column).column;
        assert_eq!(
            [column(1, 1), column(1, 4), column(2, 1), column(3, 3), column(3, 8)],
            [3, 6, 3, 9, 9]
        );
        let last = clean.lines().last().map_or(0, |line| line.chars().count());
        assert_eq!(map.place(3, last), at(0, 9, 5, Of::Text));
    }

    fn at(file: usize, line: usize, column: usize, of: Of) -> Place {
        Place { file, line, column, of }
    }
}
