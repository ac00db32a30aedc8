//! How long files and functions may be. Tests may be longer: they are read one at a time.

use super::Violation;
use super::source::{Source, item_end};

const FILE: usize = 400;
const FUNCTION: usize = 60;

/// What is too long in `source`.
pub fn check(source: &Source) -> Vec<Violation> {
    let violation = |line, reason| Violation {
        path: source.path.clone(),
        line,
        reason,
    };
    let mut found = Vec::new();
    let lines = source.code().count();
    if lines > FILE {
        let reason = format!("{lines} lines besides tests, at most {FILE} are allowed: split the file by what it owns");
        found.push(violation(1, reason));
    }
    for (number, line) in source.code() {
        let Some(name) = function(line) else { continue };
        let length = item_end(&source.lines, number - 1) + 1 - number;
        if length > FUNCTION {
            let reason = format!("{name} has {length} lines, at most {FUNCTION} are allowed: name its parts");
            found.push(violation(number, reason));
        }
    }
    found
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "fn" => return words.peek().and_then(|word| word.split(['(', '<']).next()),
            "pub" | "const" | "async" | "unsafe" | "extern" => {}
            visibility if visibility.starts_with("pub(") || visibility.ends_with(')') => {}
            _ => return None,
        }
    }
    None
}
