//! Semantic versions.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version};
use serde_json::{Value, json};

use super::{Function, function};

/// The longest constraint, in bytes.
const MAX_CONSTRAINT: usize = 500;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "semver",
        (1, 1),
        "{{#with (semver TEXT)}}",
        "The parts of a version: Major, Minor, Patch, Prerelease, Metadata, Original.",
        |args| {
            let text = args.text(0)?;
            let version = version(&text)?;
            Ok(json!({
                "Major": version.major, "Minor": version.minor, "Patch": version.patch,
                "Prerelease": version.pre.as_str(), "Metadata": version.build.as_str(), "Original": text,
            }))
        },
    ),
    function(
        "semverCompare",
        (2, 2),
        "{{#if (semverCompare CONSTRAINT VERSION)}}",
        "Whether VERSION fulfils CONSTRAINT, such as \">=1.2 <2\", \"^1.2\", \"~1.2.3\", \"1.x || 3.x\".",
        |args| {
            let constraint = args.text(0)?;
            if constraint.len() > MAX_CONSTRAINT {
                return Err(format!("the constraint is longer than {MAX_CONSTRAINT} bytes"));
            }
            is_fulfilled(&constraint, &version(&args.text(1)?)?).map(Value::from)
        },
    ),
];

/// A version with up to three numbers, of which the missing ones are free.
struct Pattern {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: Prerelease,
    build: BuildMetadata,
}

fn version(text: &str) -> Result<Version, String> {
    let refuse = || format!("{text:?} is not a version such as 1.2.3");
    let pattern = pattern(text.trim()).filter(|pattern| pattern.major.is_some()).ok_or_else(refuse)?;
    if text.contains(['x', 'X', '*'])
        && text
            .split(['-', '+'])
            .next()
            .is_some_and(|numbers| numbers.contains(['x', 'X', '*']))
    {
        return Err(refuse());
    }
    Ok(pattern.lowest())
}

fn pattern(text: &str) -> Option<Pattern> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = text.split_once('+').unwrap_or((text, ""));
    let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
    let mut parts = numbers.split('.').map(|part| match part {
        "x" | "X" | "*" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    });
    let pattern = Pattern {
        major: parts.next()??,
        minor: parts.next().unwrap_or(Some(None))?,
        patch: parts.next().unwrap_or(Some(None))?,
        pre: pre.parse().ok()?,
        build: build.parse().ok()?,
    };
    parts.next().is_none().then_some(pattern)
}

/// Alternatives between `||`, each a list of comparisons that must all hold, or `FROM - TO`.
fn is_fulfilled(constraint: &str, version: &Version) -> Result<bool, String> {
    let mut is_any = false;
    for alternative in constraint.split("||") {
        is_any |= fulfils_all(alternative.trim(), version)?;
    }
    Ok(is_any)
}

fn fulfils_all(alternative: &str, version: &Version) -> Result<bool, String> {
    if let Some((from, to)) = alternative.split_once(" - ") {
        return Ok(compare(">=", from.trim(), version)? && compare("<=", to.trim(), version)?);
    }
    let is_operator = |character: char| "=!<>~^".contains(character);
    let mut rest = alternative;
    let mut is_all = true;
    let mut is_first = true;
    while is_first || !rest.is_empty() {
        let after = rest.trim_start_matches(is_operator);
        let operator = &rest[..rest.len() - after.len()];
        let after = after.trim_start();
        let end = after.find(|character: char| character == ',' || character.is_whitespace() || is_operator(character));
        let (text, after) = after.split_at(end.unwrap_or(after.len()));
        is_all &= compare(operator, text, version)?;
        rest = after.trim_start_matches(|character: char| character == ',' || character.is_whitespace());
        is_first = false;
    }
    Ok(is_all)
}

fn compare(operator: &str, text: &str, version: &Version) -> Result<bool, String> {
    let refuse = || {
        format!(
            "{:?} in the constraint is not a comparison such as >=1.2",
            format!("{operator}{text}")
        )
    };
    let pattern = pattern(text).ok_or_else(refuse)?;
    // A pre-release is only wanted by those who name one.
    let is_wanted = version.pre.is_empty() || !pattern.pre.is_empty();
    let order = version.cmp_precedence(&pattern.lowest());
    let fulfilled = match operator {
        "" | "=" | "==" => pattern.covers(version),
        "!=" => !pattern.covers(version),
        ">" => order == Ordering::Greater && !pattern.covers(version),
        ">=" | "=>" => order != Ordering::Less,
        "<" => order == Ordering::Less,
        "<=" | "=<" => order == Ordering::Less || pattern.covers(version),
        "~" | "~>" => order != Ordering::Less && pattern.has_same(version, if pattern.minor.is_some() { 2 } else { 1 }),
        "^" => order != Ordering::Less && pattern.has_same(version, pattern.first_significant()),
        _ => return Err(refuse()),
    };
    Ok(is_wanted && fulfilled)
}

// === impl Pattern ===

impl Pattern {
    fn lowest(&self) -> Version {
        Version {
            major: self.major.unwrap_or(0),
            minor: self.minor.unwrap_or(0),
            patch: self.patch.unwrap_or(0),
            pre: self.pre.clone(),
            build: self.build.clone(),
        }
    }

    /// Whether the first `count` numbers that it names are those of `version`.
    fn has_same(&self, version: &Version, count: usize) -> bool {
        let pairs = [
            (self.major, version.major),
            (self.minor, version.minor),
            (self.patch, version.patch),
        ];
        pairs
            .iter()
            .take(count)
            .all(|(wanted, number)| wanted.is_none_or(|wanted| wanted == *number))
    }

    fn covers(&self, version: &Version) -> bool {
        self.has_same(version, 3) && (self.patch.is_none() || version.pre == self.pre)
    }

    /// How many numbers `^` keeps: up to the first that is not zero, or all that are named where all are zero.
    fn first_significant(&self) -> usize {
        let numbers = [self.major, self.minor, self.patch];
        let significant = numbers.iter().position(|number| number.is_some_and(|number| number > 0));
        let named = numbers.iter().take_while(|number| number.is_some()).count();
        significant.map_or(named, |index| index + 1)
    }
}
