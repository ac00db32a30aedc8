//! The look at a template's text before it is parsed.
//!
//! The Handlebars parser is recursive: a few kilobytes of nested blocks or parentheses overflow its stack and abort the whole
//! process, which nothing can catch. So the text is first read by this small scanner without recursion, which refuses deep nesting,
//! and refuses every construct in which it could take the end of a tag for something else than the parser does.

use super::{Problem, go};
use crate::domain::render::mark;

/// How deep blocks (an `else` counts as one) and, within one tag, parentheses may be nested.
pub(crate) const MAX_NESTING: usize = 64;

/// How many faults of one file are looked for.
const MAX_FAULTS: usize = 20;

/// Checks the text of one template file.
pub(super) fn check(file: &str, text: &str) -> Result<(), Vec<Problem>> {
    if let Some(position) = text.find(|character: char| mark::is_reserved(character) || is_control(character)) {
        let message = "contains a control character or a Unicode noncharacter: remove it";
        return Err(vec![problem(file, text, position, message)]);
    }
    let mut scanner = Scanner {
        text,
        position: 0,
        blocks: Vec::new(),
    };
    let mut problems = Vec::new();
    while let Err(fault) = scanner.run() {
        let (start, is_last) = (fault.position, fault.is_last);
        problems.push(problem(file, text, start, fault.message));
        // The next tag is looked at as if this one had ended where one could.
        match text[start..].find("}}") {
            Some(length) if !is_last && problems.len() < MAX_FAULTS => scanner.position = scanner.position.max(start + length + 2),
            _ => break,
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn is_control(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

fn problem(file: &str, text: &str, position: usize, message: impl Into<String>) -> Problem {
    let before = &text[..position];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
    Problem::at(file, (line, column), message)
}

struct Fault {
    position: usize,
    message: String,
    /// Whether looking further would tell the same again.
    is_last: bool,
}

struct Scanner<'a> {
    text: &'a str,
    position: usize,
    /// For each open block: one, and one more for each `else` seen in it.
    blocks: Vec<usize>,
}

impl Scanner<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        while let Some(offset) = self.rest().find("{{") {
            let start = self.position + offset;
            self.position = start + 2;
            // One backslash makes the braces text; two are one backslash before a tag.
            let backslashes = self.text[..start].bytes().rev().take_while(|byte| *byte == b'\\').count();
            if backslashes == 1 {
                continue;
            }
            if self.rest().starts_with('!') {
                self.comment(start)?;
            } else {
                self.tag(start)?;
            }
        }
        Ok(())
    }

    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start_matches(skipped).len();
    }

    fn comment(&mut self, start: usize) -> Result<(), Fault> {
        let body = self.rest()[1..].trim_start_matches([' ', '\t', '\n', '\r']);
        let end = if body.starts_with("--") { "--}}" } else { "}}" };
        let length = self.rest().find(end).ok_or_else(|| fault(start, "this comment has no end"))?;
        self.position += length + end.len();
        Ok(())
    }

    fn tag(&mut self, start: usize) -> Result<(), Fault> {
        self.skip(|character| character == '~' || character.is_ascii_whitespace());
        let is_triple = self.rest().starts_with('{');
        if is_triple {
            self.position += 1;
            if self.rest().starts_with('{') {
                return Err(fault(
                    start,
                    "raw blocks ({{{{…}}}}) are not supported: write \\{{ where braces are wanted",
                ));
            }
        }
        let content_start = self.position;
        self.content(start)?;
        let content = self.text[content_start..self.position].trim();
        if let Some(advice) = go::advice(content) {
            return Err(fault(start, advice));
        }
        self.close(start, is_triple)?;
        self.count(start, content)
    }

    /// Reads a tag up to its closing braces, which are left.
    fn content(&mut self, start: usize) -> Result<(), Fault> {
        let mut parentheses = 0;
        while let Some(character) = self.rest().chars().next() {
            match character {
                '}' => return Ok(()),
                '{' => return Err(fault(start, "a brace inside a tag: is the tag before it closed?")),
                '"' | '\'' => self.string(character)?,
                '[' => self.bracket()?,
                '(' => {
                    parentheses += 1;
                    if parentheses > MAX_NESTING {
                        return Err(fault(start, format!("more than {MAX_NESTING} parentheses in one tag")));
                    }
                    self.position += 1;
                }
                other => self.position += other.len_utf8(),
            }
        }
        Err(fault(start, "this tag has no end: \"}}\" is missing"))
    }

    fn string(&mut self, quote: char) -> Result<(), Fault> {
        let start = self.position;
        let mut is_escaped = false;
        let length = self.rest()[1..]
            .find(|character| {
                let ends = character == quote && !is_escaped;
                is_escaped = character == '\\' && !is_escaped;
                ends
            })
            .ok_or_else(|| fault(start, "this string has no end"))?;
        let body = &self.text[start + 1..start + 1 + length];
        if body.contains("{{") || body.contains("}}") {
            return Err(fault(
                start,
                "a string in a tag must not contain double braces: put it into values.yaml",
            ));
        }
        self.position = start + length + 2;
        Ok(())
    }

    /// `[a key]` of a path. What could hide the end of the tag from the parser is refused.
    fn bracket(&mut self) -> Result<(), Fault> {
        let start = self.position;
        let body = &self.rest()[1..];
        let length = body.find(']').ok_or_else(|| fault(start, "this bracket has no end"))?;
        if body[..length].contains(['"', '\'', '{', '}', '[']) {
            return Err(fault(start, "brackets hold a plain key only: use {{lookup values \"key\"}}"));
        }
        self.position = start + length + 2;
        Ok(())
    }

    fn close(&mut self, start: usize, is_triple: bool) -> Result<(), Fault> {
        if is_triple {
            self.position += 1;
            self.skip(|character| character == '~' || character.is_ascii_whitespace());
        }
        if !self.rest().starts_with("}}") {
            return Err(fault(start, "this tag is not closed by \"}}\""));
        }
        self.position += 2;
        Ok(())
    }

    fn count(&mut self, start: usize, content: &str) -> Result<(), Fault> {
        if content.starts_with('#') {
            self.blocks.push(1);
        } else if content.starts_with('/') {
            self.blocks.pop();
        } else if (content.starts_with('^') || content.starts_with("else"))
            && let Some(block) = self.blocks.last_mut()
        {
            *block += 1;
        }
        if self.blocks.iter().sum::<usize>() > MAX_NESTING {
            return Err(Fault {
                is_last: true,
                ..fault(start, format!("blocks are nested deeper than {MAX_NESTING}"))
            });
        }
        Ok(())
    }
}

fn fault(position: usize, message: impl Into<String>) -> Fault {
    Fault {
        position,
        message: message.into(),
        is_last: false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a text that is accepted is the test's failure")]

    use super::*;

    fn refusal(text: &str) -> String {
        check("t.yaml", text).map_or_else(|problems| format!("{:#}", problems[0]), |()| "accepted".to_owned())
    }

    #[test]
    fn ordinary_templates_pass() {
        for text in [
            "a: {{b}}\n{{#if c}}d: {{quote e}}{{else if f}}g{{else}}h{{/if}}\n",
            "{{!-- {{#if x}} --}}{{! a } comment }}x: \\{{not a tag}}",
            "x: {a: {{b}}}\ny: {{{c}}}\nz: {{&d}}\n{{~#each values.[a-b]~}}{{/each}}",
            "{{default values.x \"it's (not) [a] problem\"}} {{'say \"x\"'}}",
            "",
        ] {
            assert_eq!(refusal(text), "accepted", "{text}");
        }
    }

    #[test]
    fn every_fault_of_a_file_is_found() {
        let text = "a: {{x {y}}\nb: {{{{raw}}}}\nc: {{quote [a\"]}}\nd: {{fine}}\ne: {{open";
        let problems = check("t.yaml", text).unwrap_err();
        let places: Vec<_> = problems.iter().map(|problem| (problem.line, problem.column)).collect();
        assert_eq!(
            places,
            [(Some(1), Some(4)), (Some(2), Some(4)), (Some(3), Some(12)), (Some(5), Some(4))]
        );
        assert!(check("t.yaml", &"{{ { }}".repeat(1_000)).is_err_and(|problems| problems.len() == MAX_FAULTS));
    }

    #[test]
    fn f81_deep_nesting_is_refused_before_the_parser_sees_it() {
        let blocks = "{{#if a}}".repeat(65);
        assert_eq!(refusal(&blocks), "t.yaml:1:577: blocks are nested deeper than 64");
        let chain = format!("{{{{#if a}}}}{}", "{{else if a}}".repeat(5_000));
        assert!(refusal(&chain).contains("deeper than 64"));
        let parentheses = format!("{{{{quote {}a{}}}}}", "(not ".repeat(2_000), ")".repeat(2_000));
        assert_eq!(refusal(&parentheses), "t.yaml:1:1: more than 64 parentheses in one tag");
        let arrays = format!("{{{{quote {}{}}}}}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(refusal(&arrays).contains("plain key only"));
        let escaped = "\\\\{{#if a}}".repeat(65);
        assert!(refusal(&escaped).contains("deeper than 64"));
    }

    /// Each of these shows the scanner a closing tag where the parser sees none.
    #[test]
    fn f81_closing_tags_that_are_none_do_not_hide_the_nesting() {
        for disguised in [
            "{{!-- }} {{/if}} --}}",
            "{{! -- }} {{/if}} --}}",
            "{{quote \"}} {{/if}} \"}}",
            "{{quote '}} {{/if}} '}}",
            "{{[a}} {{/if}} ]}}",
            "{{quote [\"] \"]}} {{/if}} \"}}",
            "\\{{/if}}",
            "{{{{raw}}}}{{/if}}{{{{/raw}}}}",
            "{{quote \"{{/if}}\"}}",
        ] {
            let text = format!("{{{{#if a}}}}{disguised}").repeat(65);
            assert_ne!(refusal(&text), "accepted", "{disguised}");
        }
    }

    #[test]
    fn characters_that_marks_are_made_of_are_refused() {
        assert!(refusal("a: \u{fdd0}x\u{fdd3}").starts_with("t.yaml:1:4: contains a control character"));
        assert!(refusal("a: \u{1}").contains("contains a control character"));
    }
}
