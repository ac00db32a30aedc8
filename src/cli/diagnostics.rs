//! Problems of bundles on a terminal, as a compiler shows them, and as JSON.
//!
//! What a template says is not to be trusted: no character of it reaches the terminal that the terminal would obey.

use std::io::IsTerminal;

use super::printable::printable;
use super::render::RenderError;
use crate::domain::bundle::{Problem, Severity, at_field};
use crate::domain::manifest::Refusal;
use crate::domain::render::RenderErrors;
use crate::render::Error;

/// Whether to write in colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// With escape sequences.
    On,
    /// Plain text.
    Off,
}

impl Colours {
    /// Colours for standard error: on a terminal unless `NO_COLOR` is set.
    pub fn of_stderr() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stderr().is_terminal() && !refused {
            Self::On
        } else {
            Self::Off
        }
    }

    fn paint(self, style: &str, text: &str) -> String {
        match self {
            Self::On if !text.is_empty() => format!("\u{1b}[{style}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }
}

const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const BLUE: &str = "1;34";
const BOLD: &str = "1";

/// The problems of a bundle that an error consists of; nothing for any other error.
pub fn problems_of(error: &anyhow::Error) -> Vec<Problem> {
    error.chain().find_map(problems).unwrap_or_default()
}

fn problems(cause: &(dyn std::error::Error + 'static)) -> Option<Vec<Problem>> {
    if let Some(RenderError::AdmitObjects(problems)) = cause.downcast_ref() {
        return Some(problems.clone());
    }
    match cause.downcast_ref()? {
        Error::ParseBundle { problems } => Some(problems.clone()),
        Error::RenderBundle(RenderErrors(problems)) => Some(problems.clone()),
        _ => None,
    }
}

/// A refused object as a problem of its template: at the field, as far as `text`, that of the template, shows it.
pub fn problem_of(refusal: &Refusal, text: Option<&str>) -> Problem {
    let message = format!("{}: {}: {}", refusal.object, refusal.field, refusal.reason);
    let problem = Problem::at_line(&refusal.source_place.file, refusal.source_place.line, message);
    match text {
        Some(text) => at_field(problem, &refusal.field, text),
        None => problem,
    }
}

/// Every problem with its line, what is meant underlined, and how many there are at the end.
pub fn text(problems: &[Problem], colours: Colours) -> String {
    let mut text: String = problems.iter().map(|problem| one(problem, colours)).collect();
    let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let parts = [counted(errors, "error"), counted(warnings, "warning")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        let style = if errors > 0 { RED } else { YELLOW };
        text.push_str(&colours.paint(style, &format!("the bundle has {}", parts.join(" and "))));
        text.push('\n');
    }
    text
}

fn counted(count: usize, word: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    }
}

fn one(problem: &Problem, colours: Colours) -> String {
    let (word, style) = match problem.severity {
        Severity::Error => ("error", RED),
        Severity::Warning => ("warning", YELLOW),
    };
    let message = printable(&problem.message);
    let mut text = format!("{}{}\n", colours.paint(style, word), colours.paint(BOLD, &format!(": {message}")));
    let number = problem.line.map(|line| line.to_string()).unwrap_or_default();
    let margin = " ".repeat(number.len());
    text.push_str(&format!("{margin}{} {}\n", colours.paint(BLUE, "-->"), place(problem)));
    let bar = colours.paint(BLUE, "|");
    if let Some(excerpt) = &problem.excerpt {
        let number = colours.paint(BLUE, &number);
        text.push_str(&format!("{margin} {bar}\n{number} {bar} {}\n", line(excerpt)));
        if let Some(under) = underline(problem, excerpt) {
            text.push_str(&format!("{margin} {bar} {}\n", colours.paint(style, &under)));
        }
    }
    if let Some(hint) = &problem.hint {
        let sign = colours.paint(BLUE, "=");
        text.push_str(&format!("{margin} {sign} {}: {}\n", colours.paint(BOLD, "help"), printable(hint)));
    }
    text.push('\n');
    text
}

/// `file:line:column`, which editors open.
fn place(problem: &Problem) -> String {
    let numbers = [problem.line, problem.column];
    let numbers: String = numbers.into_iter().flatten().map(|number| format!(":{number}")).collect();
    format!("{}{numbers}", printable(&problem.file))
}

/// A tab is as wide as one character, so that the underline stands below what it means.
fn line(excerpt: &str) -> String {
    printable(&excerpt.replace('\t', " "))
}

fn underline(problem: &Problem, excerpt: &str) -> Option<String> {
    let column = problem.column?;
    let width = excerpt.chars().count();
    let before = column.checked_sub(1).filter(|before| *before <= width)?;
    let length = problem.length.unwrap_or(1).min(width - before).max(1);
    Some(format!("{}{}", " ".repeat(before), "^".repeat(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem::at("templates/a.yaml", (12, 6), "\"values.imgae\" is not defined")
            .with_length(12)
            .with_hint("did you mean \"image\"?")
            .with_excerpt_of(&format!("{}\ta: {{{{values.imgae}}}}\r\n", "\n".repeat(11)))
    }

    #[test]
    fn a_problem_is_shown_as_a_compiler_does() {
        let warning = Problem::in_file("values.yaml", "no is read as false").as_warning();
        insta::assert_snapshot!(text(&[problem(), warning], Colours::Off), @r#"
        error: "values.imgae" is not defined
          --> templates/a.yaml:12:6
           |
        12 |  a: {{values.imgae}}
           |      ^^^^^^^^^^^^
           = help: did you mean "image"?

        warning: no is read as false
        --> values.yaml

        the bundle has 1 error and 1 warning
        "#);
    }

    #[test]
    fn colours_are_escape_sequences_and_nothing_else_is() {
        let hostile = Problem::at("a\u{1b}[2J", (1, 1), "x\u{1b}[1m\ny")
            .with_hint("\u{9b}1m")
            .with_excerpt_of("\u{7}\u{202e}z");
        let plain = text(&[hostile.clone()], Colours::Off);
        assert!(
            plain.chars().all(|character| character == '\n' || !character.is_control()),
            "{plain:?}"
        );
        let coloured = text(&[hostile], Colours::On);
        let stripped = [RED, BLUE, BOLD, "0"]
            .iter()
            .fold(coloured.clone(), |text, style| text.replace(&format!("\u{1b}[{style}m"), ""));
        assert!(coloured.starts_with("\u{1b}[1;31merror\u{1b}[0m"));
        assert_eq!(stripped, plain);
    }

    #[test]
    fn an_underline_never_leaves_its_line() {
        let at = |column, length| Problem::at("a", (1, column), "x").with_length(length).with_excerpt_of("abc");
        assert_eq!(underline(&at(2, 90), "abc").as_deref(), Some(" ^^"));
        assert_eq!(underline(&at(4, 1), "abc").as_deref(), Some("   ^"));
        assert_eq!(underline(&at(9, 1), "abc"), None);
        assert_eq!(underline(&at(0, 1), "abc"), None);
    }

    #[test]
    fn only_errors_of_bundles_have_problems() {
        let error = anyhow::Error::from(Error::ParseBundle { problems: vec![problem()] }).context("around");
        assert_eq!(problems_of(&error), [problem()]);
        assert_eq!(problems_of(&anyhow::anyhow!("x")), []);
    }
}
