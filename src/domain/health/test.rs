//! Comparisons, and how they are put together.

use serde_json::{Map, Value, json};

use super::HealthError;
use super::path::HealthPath;

/// What has to hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// All of them.
    All(Vec<Test>),
    /// One of them.
    Any(Vec<Test>),
    /// Not this one.
    Not(Box<Test>),
    /// What is found under a path compares so.
    Compare(HealthPath, Comparison),
}

/// How a value compares. Where nothing is found, only `exists: false`, `notEquals` and `notIn` hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// It is this.
    Equals(Value),
    /// It is not this.
    NotEquals(Value),
    /// It is one of these.
    In(Vec<Value>),
    /// It is none of these.
    NotIn(Vec<Value>),
    /// Whether it is there; null counts as not there.
    Exists(bool),
    /// It is a number of at least this.
    AtLeast(f64),
    /// It is what is found under another path, and both are there.
    EqualsPath(HealthPath),
}

/// The most comparisons of one rule.
pub const MAX_TESTS: usize = 64;
/// How deep tests may be put into one another.
const MAX_DEPTH: usize = 6;
/// The most values of `in`.
const MAX_VALUES: usize = 32;

const COMPARISONS: &str = "equals, notEquals, in, notIn, exists, atLeast, equalsPath";

impl Test {
    /// Reads a test; `left` is how many comparisons the rule may still have.
    pub(super) fn read(field: &str, value: &Value, left: &mut usize) -> Result<Self, HealthError> {
        Self::read_at(field, value, left, MAX_DEPTH)
    }

    fn read_at(field: &str, value: &Value, left: &mut usize, depth: usize) -> Result<Self, HealthError> {
        let shape = || {
            HealthError::new(
                field,
                "should be a mapping: {path: status.phase, equals: Ready}, or all, any or not",
            )
        };
        let test = value.as_object().ok_or_else(shape)?;
        if depth == 0 {
            return Err(HealthError::new(
                field,
                format!("tests are put into one another more than {MAX_DEPTH} times"),
            ));
        }
        let mut several = |word: &str, value: &Value| -> Result<Vec<Test>, HealthError> {
            let field = format!("{field}.{word}");
            let items = value.as_array().filter(|items| !items.is_empty());
            let items = items.ok_or_else(|| HealthError::new(&field, "should be a list of tests"))?;
            let read = |(index, item): (usize, &Value)| Self::read_at(&format!("{field}[{index}]"), item, left, depth - 1);
            items.iter().enumerate().map(read).collect()
        };
        let only: Vec<(&String, &Value)> = test.iter().collect();
        match only.as_slice() {
            [(word, value)] if word.as_str() == "all" => Ok(Self::All(several("all", value)?)),
            [(word, value)] if word.as_str() == "any" => Ok(Self::Any(several("any", value)?)),
            [(word, value)] if word.as_str() == "not" => {
                Ok(Self::Not(Box::new(Self::read_at(&format!("{field}.not"), value, left, depth - 1)?)))
            }
            _ => Self::comparison(field, test, left),
        }
    }

    fn comparison(field: &str, test: &Map<String, Value>, left: &mut usize) -> Result<Self, HealthError> {
        *left = left
            .checked_sub(1)
            .ok_or_else(|| HealthError::new(field, format!("a rule has at most {MAX_TESTS} comparisons")))?;
        let path = test.get("path").and_then(Value::as_str);
        let path = path.ok_or_else(|| HealthError::new(field, "needs a path: {path: status.phase, equals: Ready}"))?;
        let path: HealthPath = path.parse().map_err(|error| HealthError::new(&format!("{field}.path"), error))?;
        let mut words = test.iter().filter(|(word, _)| word.as_str() != "path");
        let (Some((word, value)), None) = (words.next(), words.next()) else {
            return Err(HealthError::new(
                field,
                format!("needs exactly one of {COMPARISONS} beside its path"),
            ));
        };
        Ok(Self::Compare(path, Comparison::read(&format!("{field}.{word}"), word, value)?))
    }

    pub(super) fn holds(&self, body: &Value) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(body)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(body)),
            Self::Not(test) => !test.holds(body),
            Self::Compare(path, comparison) => comparison.holds(path.find(body).filter(|value| !value.is_null()), body),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let of = |tests: &[Self]| tests.iter().map(Self::to_json).collect::<Vec<_>>();
        match self {
            Self::All(tests) => json!({ "all": of(tests) }),
            Self::Any(tests) => json!({ "any": of(tests) }),
            Self::Not(test) => json!({ "not": test.to_json() }),
            Self::Compare(path, comparison) => {
                let (word, value) = comparison.to_json();
                json!({ "path": path.to_string(), word: value })
            }
        }
    }
}

impl Comparison {
    fn read(field: &str, word: &str, value: &Value) -> Result<Self, HealthError> {
        let wrong = |what: &str| Err(HealthError::new(field, what));
        let scalar = |value: &Value| !value.is_array() && !value.is_object() && !value.is_null();
        let values = || match value.as_array() {
            Some(values) if values.len() <= MAX_VALUES && values.iter().all(scalar) => Ok(values.clone()),
            _ => Err(HealthError::new(
                field,
                format!("should be a list of at most {MAX_VALUES} texts or numbers"),
            )),
        };
        match word {
            "equals" | "notEquals" if !scalar(value) => wrong("should be text, a number, true or false"),
            "equals" => Ok(Self::Equals(value.clone())),
            "notEquals" => Ok(Self::NotEquals(value.clone())),
            "in" => values().map(Self::In),
            "notIn" => values().map(Self::NotIn),
            "exists" => value
                .as_bool()
                .map_or_else(|| wrong("should be true or false"), |exists| Ok(Self::Exists(exists))),
            "atLeast" => value
                .as_f64()
                .map_or_else(|| wrong("should be a number"), |number| Ok(Self::AtLeast(number))),
            "equalsPath" => match value.as_str().map(str::parse) {
                Some(Ok(path)) => Ok(Self::EqualsPath(path)),
                Some(Err(error)) => Err(HealthError::new(field, error)),
                None => wrong("should be a path: metadata.generation"),
            },
            _ => Err(HealthError::new(
                field,
                format!("there is no such comparison: there are {COMPARISONS}"),
            )),
        }
    }

    fn holds(&self, found: Option<&Value>, body: &Value) -> bool {
        match self {
            Self::Equals(wanted) => found.is_some_and(|found| same(found, wanted)),
            Self::NotEquals(wanted) => !found.is_some_and(|found| same(found, wanted)),
            Self::In(wanted) => found.is_some_and(|found| wanted.iter().any(|wanted| same(found, wanted))),
            Self::NotIn(wanted) => !found.is_some_and(|found| wanted.iter().any(|wanted| same(found, wanted))),
            Self::Exists(exists) => found.is_some() == *exists,
            Self::AtLeast(least) => found.and_then(Value::as_f64).is_some_and(|found| found >= *least),
            Self::EqualsPath(other) => found.is_some_and(|found| other.find(body).is_some_and(|other| same(found, other))),
        }
    }

    fn to_json(&self) -> (&'static str, Value) {
        match self {
            Self::Equals(value) => ("equals", value.clone()),
            Self::NotEquals(value) => ("notEquals", value.clone()),
            Self::In(values) => ("in", json!(values)),
            Self::NotIn(values) => ("notIn", json!(values)),
            Self::Exists(exists) => ("exists", json!(exists)),
            Self::AtLeast(number) => ("atLeast", json!(number)),
            Self::EqualsPath(path) => ("equalsPath", json!(path.to_string())),
        }
    }
}

/// Numbers are the same however they are written.
fn same(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.to_bits() == right.to_bits() || (left - right).abs() < f64::EPSILON,
        _ => left == right,
    }
}
