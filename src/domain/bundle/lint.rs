//! Warnings: YAML that is valid but is read as something else than it looks like.
//!
//! YAML 1.1, which Kubernetes reads, takes `no` for false, `0755` for 493 and `12345e7`, the beginning of a commit, for a number. In
//! templates, the text between the tags is looked at: a tag counts as text where it gives a value, and as white space where it does
//! not.

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::{Problem, is_bundle_file, limit};

/// The most events that are looked at in one file, so that no file takes long.
const MAX_EVENTS: usize = 200_000;

/// Finds what may be meant otherwise, in every YAML file of a bundle. A file that is no YAML is left to [`super::Bundle::parse`].
pub fn lint(files: &BTreeMap<String, Vec<u8>>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, bytes) in files.iter().filter(|(file, _)| is_bundle_file(file)) {
        let is_yaml = file.ends_with(".yaml") || file.ends_with(".yml");
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| is_yaml) else {
            continue;
        };
        let found = lint_text(file, text);
        problems.extend(found.into_iter().map(|problem| problem.with_excerpt_of(text)));
    }
    limit(problems)
}

fn lint_text(file: &str, text: &str) -> Vec<Problem> {
    let plain = if file.starts_with("templates/") {
        Cow::Owned(without_tags(text))
    } else {
        Cow::Borrowed(text)
    };
    let mut parser = Parser::new_from_str(&plain);
    let mut walk = Walk {
        file,
        open: Vec::new(),
        problems: Vec::new(),
    };
    for _ in 0..MAX_EVENTS {
        match parser.next() {
            None => break,
            Some(Ok((event, span))) => walk.event(&event, &span),
            Some(Err(_)) => {
                walk.open.clear();
                if !parser.proceed_next_document().unwrap_or(false) {
                    break;
                }
            }
        }
    }
    walk.problems
}

/// A list or a mapping that has begun.
enum Open {
    List,
    /// `key` is the last key while its value is awaited.
    Mapping {
        key: Option<String>,
    },
}

struct Walk<'a> {
    file: &'a str,
    open: Vec<Open>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn event(&mut self, event: &Event<'_>, span: &Span) {
        match event {
            Event::Scalar(text, style, _, tag) => {
                if let Some(Open::Mapping { key: key @ None }) = self.open.last_mut() {
                    *key = Some(text.to_string());
                    return;
                }
                if *style == ScalarStyle::Plain && tag.is_none() {
                    self.scalar(text, span);
                }
                self.value_ends();
            }
            Event::Alias(_) => self.alias(),
            Event::SequenceStart(..) => self.open.push(Open::List),
            Event::MappingStart(..) => self.open.push(Open::Mapping { key: None }),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                // A list or a mapping that is a key itself has no name.
                self.alias();
            }
            Event::DocumentStart(..) => self.open.clear(),
            _ => {}
        }
    }

    fn alias(&mut self) {
        match self.open.last_mut() {
            Some(Open::Mapping { key: key @ None }) => *key = Some(String::new()),
            _ => self.value_ends(),
        }
    }

    fn value_ends(&mut self) {
        if let Some(Open::Mapping { key }) = self.open.last_mut() {
            *key = None;
        }
    }

    fn scalar(&mut self, text: &str, span: &Span) {
        let field = match self.open.last() {
            Some(Open::Mapping { key: Some(key) }) => key.as_str(),
            _ => "",
        };
        let Some((reading, hint)) = surprise(text, field) else { return };
        let place = (span.start.line(), span.start.col() + 1);
        let problem = Problem::at(self.file, place, format!("{text} is read as {reading}"))
            .with_length(text.chars().count())
            .with_hint(hint)
            .as_warning();
        self.problems.push(problem);
    }
}

/// As what YAML 1.1 reads a plain scalar and what to write instead, where that is a surprise.
fn surprise(text: &str, field: &str) -> Option<(String, String)> {
    const QUOTES: &str = "put it in quotes if it is text";
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" => return Some(("true".into(), format!("{QUOTES}, or write true"))),
        "no" | "off" | "n" => return Some(("false".into(), format!("{QUOTES}, or write false"))),
        _ => {}
    }
    let digits = text.trim_start_matches(['+', '-']);
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits.replace('_', "");
    if plain != digits
        && plain
            .trim_matches(|character: char| character.is_ascii_digit() || character == '.')
            .is_empty()
    {
        return Some((format!("the number {plain}"), format!("{QUOTES}, or write it without _")));
    }
    if digits.len() > 1 && digits.starts_with('0') && is_number(digits) {
        if field.to_ascii_lowercase().ends_with("mode") {
            return None;
        }
        let octal = i64::from_str_radix(digits, 8).ok();
        let decimal = digits.trim_start_matches('0');
        let reading = octal.map_or_else(|| format!("the number {decimal}"), |number| format!("the octal number {number}"));
        return Some((reading, format!("{QUOTES}, or write it without leading zeros")));
    }
    let exponent = digits.split_once(['e', 'E']);
    if let Some((mantissa, power)) = exponent
        && is_number(power.trim_start_matches(['+', '-']))
        && !power.is_empty()
        && is_number(&mantissa.replacen('.', "", 1))
    {
        return Some((format!("a number, {mantissa} × 10^{power}"), QUOTES.into()));
    }
    let (whole, fraction) = digits.split_once('.')?;
    if is_number(whole) && is_number(fraction) && fraction.ends_with('0') {
        let shorter = format!("{whole}.{}", fraction.trim_end_matches('0'));
        let reading = shorter.trim_end_matches('.');
        return Some((format!("the number {reading}"), format!("{QUOTES}, such as a version")));
    }
    None
}

/// The text with each tag replaced by as many characters: letters where it gives a value, spaces where it does not.
pub(super) fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("{{") {
        out.push_str(&rest[..begin]);
        let tag = &rest[begin..];
        let end = if tag.starts_with("{{!--") { "--}}" } else { "}}" };
        let length = tag.find(end).map_or(tag.len(), |index| index + end.len());
        let length = length + usize::from(tag.starts_with("{{{") && tag[length..].starts_with('}'));
        let filler = if gives_value(&tag[..length]) { 'x' } else { ' ' };
        out.extend(tag[..length].chars().map(|character| if character == '\n' { '\n' } else { filler }));
        rest = &tag[length..];
    }
    out.push_str(rest);
    out
}

/// Whether a tag stands for a scalar: not a block, a comment, a partial, nor YAML of several lines.
fn gives_value(tag: &str) -> bool {
    let content = tag.trim_start_matches(['{', '~', ' ', '&']);
    let word = content
        .split(|character: char| !character.is_alphanumeric())
        .next()
        .unwrap_or_default();
    !content.starts_with(['#', '/', '!', '>', '^']) && !matches!(word, "else" | "indent" | "nindent" | "include")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(file: &str, text: &str) -> Vec<String> {
        let files = BTreeMap::from([(file.to_owned(), text.as_bytes().to_vec())]);
        lint(&files).iter().map(|problem| format!("{problem:#}")).collect()
    }

    #[test]
    fn f82_literals_that_yaml_reads_otherwise_are_warned_of() {
        const Q: &str = "put it in quotes if it is text";
        for (text, wanted) in [
            ("yes", format!("yes is read as true ({Q}, or write true)")),
            ("Off", format!("Off is read as false ({Q}, or write false)")),
            ("n", format!("n is read as false ({Q}, or write false)")),
            (
                "0755",
                format!("0755 is read as the octal number 493 ({Q}, or write it without leading zeros)"),
            ),
            ("08", format!("08 is read as the number 8 ({Q}, or write it without leading zeros)")),
            ("1_000", format!("1_000 is read as the number 1000 ({Q}, or write it without _)")),
            ("12345e7", format!("12345e7 is read as a number, 12345 × 10^7 ({Q})")),
            ("1.10", format!("1.10 is read as the number 1.1 ({Q}, such as a version)")),
            ("2.0", format!("2.0 is read as the number 2 ({Q}, such as a version)")),
        ] {
            assert_eq!(
                warnings("values.yaml", &format!("a:\n  b: {text}\n")),
                [format!("values.yaml:2:6: {wanted}")]
            );
            assert_eq!(
                warnings(
                    "values.yaml",
                    &format!("b: [\"{text}\", '{text}', {text}x, !!str {text}]\n{text}: 1\n")
                ),
                [""; 0]
            );
        }
    }

    #[test]
    fn what_is_read_as_it_looks_is_not_warned_of() {
        let text =
            "a: [true, 1, 1.5, 0, 10, -3, 0x1F, 12:30, 2024-01-01, null, ~, nope, 1e, v1.10, 1.2.0]\ndefaultMode: 0644\nb: |\n  yes\n";
        assert_eq!(warnings("values.yaml", text), [""; 0]);
        assert_eq!(warnings("README.md", "a: yes"), [""; 0]);
        assert_eq!(warnings("values.yaml", "a: [yes"), [""; 0]);
    }

    #[test]
    fn the_text_between_tags_is_looked_at_with_its_place() {
        let text = "{{!-- {{x}} no --}}\na: {{branch}}\n{{#if x}}\nä: on\n{{> part}}\nlabels:{{nindent 2 (toYaml x)}}\nb: {{#if y}}no{{/if}}\nc: 1{{z}}\n{{/if}}\n";
        let places: Vec<_> = lint_text("templates/a.yaml", text)
            .iter()
            .map(|problem| (problem.line, problem.column, problem.length))
            .collect();
        assert_eq!(places, [(Some(4), Some(4), Some(2)), (Some(7), Some(13), Some(2))]);
    }
}
