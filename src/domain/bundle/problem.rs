//! What is wrong with a bundle, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One problem in a bundle's files, shown as `file:line: message`, and with `{:#}` as `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The file, by its path inside the bundle.
    pub file: String,
    /// The line, counted from 1, where known.
    pub line: Option<usize>,
    /// The column, counted in characters from 1, where known.
    pub column: Option<usize>,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl Problem {
    /// A problem with a file as a whole.
    pub fn in_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            column: None,
            message: message.into(),
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
        write!(formatter, ": {}", self.message)
    }
}
