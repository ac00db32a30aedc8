//! What is wrong with a bundle, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most problems that are reported of one bundle.
pub const MAX_PROBLEMS: usize = 50;
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

/// At most [`MAX_PROBLEMS`] of `problems`, in order and each once; the last one says how many more there are.
pub fn limit(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup();
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        problems.truncate(MAX_PROBLEMS);
        problems.push(Problem::in_file("bundle", format!("and {more} more problem(s)")));
    }
    problems
}
