//! What is wrong with a bundle, and where.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The most problems that are reported of one bundle.
pub const MAX_PROBLEMS: usize = 50;
/// The most problems that a status holds.
pub const MAX_SUMMARY: usize = 3;
/// The longest line of a status about one problem, in characters.
const MAX_SUMMARY_LINE: usize = 300;
/// The longest line that is shown with a problem, in characters.
const MAX_EXCERPT: usize = 200;

/// One problem in a bundle's files, shown as `file:line: message (hint)`, and with `{:#}` as `file:line:column: message (hint)`.
///
/// Two problems are in the order of their files and places.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The file, by its path inside the bundle.
    pub file: String,
    /// The line, counted from 1, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column, counted in characters from 1, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// How many characters from the column on are meant, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Whether it must be mended.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// How to mend it, where that is not in the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line of the file, without its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

/// Whether a problem must be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is applied before it is mended.
    Error,
    /// It works, but perhaps not as it was meant.
    Warning,
}

// === impl Problem ===

impl Problem {
    /// A problem with a file as a whole.
    pub fn in_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            column: None,
            length: None,
            severity: Severity::Error,
            message: message.into(),
            hint: None,
            excerpt: None,
        }
    }

    /// A problem at a line of a file.
    pub fn at_line(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            ..Self::in_file(file, message)
        }
    }

    /// A problem at a place in a file.
    pub fn at(file: &str, (line, column): (usize, usize), message: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            column: Some(column),
            ..Self::in_file(file, message)
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn as_warning(self) -> Self {
        Self {
            severity: Severity::Warning,
            ..self
        }
    }

    /// The same with the number of characters that are meant.
    #[must_use]
    pub fn with_length(self, length: usize) -> Self {
        Self {
            length: Some(length),
            ..self
        }
    }

    /// The same with how to mend it; an empty hint is none.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()).filter(|hint| !hint.is_empty()),
            ..self
        }
    }

    /// The same with its line of the file's `text`, cut where it is very long.
    #[must_use]
    pub fn with_excerpt_of(self, text: &str) -> Self {
        let line = self.line.and_then(|line| text.split('\n').nth(line.checked_sub(1)?));
        Self {
            excerpt: line.map(|line| line.trim_end_matches('\r').chars().take(MAX_EXCERPT).collect()),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if let Some(column) = self.column.filter(|_| formatter.alternate()) {
            write!(formatter, ":{column}")?;
        }
        write!(formatter, ": {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(formatter, " ({hint})"))
    }
}

/// At most [`MAX_PROBLEMS`] of `problems`, each once; the last one says how many more there are.
pub fn limit(problems: Vec<Problem>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let mut kept: Vec<Problem> = problems.into_iter().filter(|problem| seen.insert(problem.clone())).collect();
    let more = kept.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        kept.truncate(MAX_PROBLEMS);
        kept.push(Problem::in_file("bundle", format!("and {more} more problem(s)")));
    }
    kept
}

/// The problems in a few short lines for a status: the first [`MAX_SUMMARY`] of them, then how many more there are.
pub fn summary(problems: &[impl fmt::Display]) -> String {
    let mut lines: Vec<String> = problems
        .iter()
        .take(MAX_SUMMARY)
        .map(|problem| one_line(&problem.to_string()))
        .collect();
    if problems.len() > MAX_SUMMARY {
        lines.push(format!("and {} more", problems.len() - MAX_SUMMARY));
    }
    lines.join("\n")
}

fn one_line(text: &str) -> String {
    let printable = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut line: String = printable.take(MAX_SUMMARY_LINE + 1).collect();
    if let Some((end, _)) = line.char_indices().nth(MAX_SUMMARY_LINE) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_so_many_problems_are_reported_each_once() {
        let problem = |number: usize| Problem::at("a", (number, 1), "x");
        let many = (0..70).flat_map(|number| [problem(number), problem(number)]).collect();
        let limited = limit(many);
        assert_eq!(limited.len(), MAX_PROBLEMS + 1);
        assert_eq!(limited[MAX_PROBLEMS].to_string(), "bundle: and 20 more problem(s)");
        assert_eq!(limit(vec![problem(2), problem(1), problem(2)]), [problem(2), problem(1)]);
    }

    #[test]
    fn a_status_gets_few_short_lines() {
        let long = Problem::at("a.yaml", (1, 2), format!("x\u{1b}\n{}", "y".repeat(1_000))).with_hint("z");
        let text = summary(&[long.clone(), long.clone(), long.clone(), long.clone(), long]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), MAX_SUMMARY + 1);
        assert!(lines[0].starts_with("a.yaml:1: x  yyy") && lines[0].ends_with("y…"), "{text}");
        assert!(lines[..3].iter().all(|line| line.chars().count() == MAX_SUMMARY_LINE + 1), "{text}");
        assert_eq!(lines[3], "and 2 more");
        assert_eq!(summary(&[Problem::in_file("a", "x").with_hint("y")]), "a: x (y)");
    }

    #[test]
    fn a_problem_crosses_a_process_as_json() {
        let problem = Problem::at("a", (1, 2), "x")
            .with_length(3)
            .with_hint("y")
            .as_warning()
            .with_excerpt_of("line\r\n");
        let json = serde_json::to_value(&problem).ok();
        let wanted = serde_json::json!({
            "file": "a", "line": 1, "column": 2, "length": 3, "severity": "warning", "message": "x", "hint": "y", "excerpt": "line",
        });
        assert_eq!(json, Some(wanted.clone()));
        assert_eq!(serde_json::from_value(wanted).ok(), Some(problem));
        let plain = Problem::in_file("a", "x");
        assert_eq!(
            serde_json::from_str(r#"{"file":"a","severity":"error","message":"x"}"#).ok(),
            Some(plain)
        );
    }
}
