//! Finding in a template's source what a problem is about, so that exactly that can be underlined.

use super::mark::{Of, Place};
use super::record::Entry;
use crate::domain::bundle::Problem;

/// The recorded problem in terms of its file, whose text is `source`.
pub(crate) fn problem(file: &str, source: &str, entry: &Entry) -> Problem {
    let (message, hint) = split_hint(&entry.message);
    let (start, length) = find(source, entry.place, &entry.about).unwrap_or((offset(source, entry.place), 0));
    let (line, column) = line_and_column(source, start);
    let problem = Problem::at(file, (line, column), message).with_hint(hint);
    if length > 0 { problem.with_length(length) } else { problem }
}

/// `… (did you mean "…"?)` in two.
fn split_hint(message: &str) -> (&str, &str) {
    let parts = message.strip_suffix(')').and_then(|text| text.split_once(" (did you mean "));
    match parts {
        Some((before, _)) => (before, &message[before.len() + 2..message.len() - 1]),
        None => (message, ""),
    }
}

/// Where `word` stands in the tag that begins at `place`, in bytes, and how many characters of the file it is. Without it, the tag.
fn find(source: &str, place: Place, word: &str) -> Option<(usize, usize)> {
    let mut position = offset(source, place);
    let first = tag(source, position)?;
    loop {
        let (start, text) = tag(source, position)?;
        let content = text.trim_start_matches(['{', '~', ' ']);
        let is_meant = place.of != Of::Chain || content.starts_with("else") || content.starts_with('^');
        if let Some(index) = find_word(text, word).filter(|_| is_meant) {
            return Some((start + index, word.chars().count()));
        }
        if place.of != Of::Chain || start + text.len() >= source.len() {
            let line = first.1.lines().next().unwrap_or_default();
            return Some((first.0, line.chars().count()));
        }
        position = start + text.len();
    }
}

/// The next tag from `position` on: where it begins, and its text.
fn tag(source: &str, position: usize) -> Option<(usize, &str)> {
    let start = position + source.get(position..)?.find("{{")?;
    let length = source[start..].find("}}").map_or(source.len() - start, |end| end + 2);
    Some((start, &source[start..start + length]))
}

/// Where `word` stands in `text` and is not a part of a longer name.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_part = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '/' | '@');
    if word.is_empty() {
        return None;
    }
    text.match_indices(word).map(|(index, _)| index).find(|index| {
        let before = text[..*index].chars().next_back();
        let after = text[index + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// The byte at which a place begins; the end of the text when there is no such place.
fn offset(source: &str, place: Place) -> usize {
    let mut start = 0;
    for _ in 1..place.line {
        match source[start..].find('\n') {
            Some(length) => start += length + 1,
            None => return source.len(),
        }
    }
    let line = source[start..].split('\n').next().unwrap_or_default();
    let column = line.char_indices().nth(place.column.saturating_sub(1));
    start + column.map_or(line.len(), |(index, _)| index)
}

fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before = &source[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(source: &str, (line, column): (usize, usize), of: Of, about: &str) -> String {
        let place = Place { file: 0, line, column, of };
        let entry = Entry {
            place,
            about: about.into(),
            message: "m".into(),
        };
        let problem = problem("f", source, &entry);
        format!("{problem:#} {}", problem.length.unwrap_or_default())
    }

    #[test]
    fn what_is_meant_is_found_in_its_tag() {
        assert_eq!(located("ä: {{quote x.y}} {{y}}", (1, 4), Of::Tag, "x.y"), "f:1:12: m 3");
        assert_eq!(located("a\n {{f xy\n  (g x)}}", (2, 2), Of::Tag, "x"), "f:3:6: m 1");
        assert_eq!(located("a\n {{f xy\n  (g x)}}", (2, 2), Of::Tag, "z"), "f:2:2: m 6");
        assert_eq!(
            located("{{#if a}}{{b}}\n{{else if b}}{{/if}}", (1, 1), Of::Chain, "b"),
            "f:2:11: m 1"
        );
        assert_eq!(located("{{a", (9, 9), Of::Tag, "b"), "f:1:4: m 0");
    }

    #[test]
    fn a_suggestion_is_a_hint() {
        assert_eq!(split_hint("x (did you mean \"y\"?)"), ("x", "did you mean \"y\"?"));
        assert_eq!(split_hint("x (y)"), ("x (y)", ""));
    }
}
