//! Arithmetic with whole numbers, as Helm's, and conversions.

use serde_json::Value;

use super::arguments::Arguments;
use super::{Function, MANY, function};

pub(super) const FUNCTIONS: &[Function] = &[
    function("add", (1, MANY), "{{add A B…}}", "The sum of whole numbers.", |args| {
        fold(args, i64::checked_add)
    }),
    function("sub", (2, 2), "{{sub A B}}", "A minus B.", |args| fold(args, i64::checked_sub)),
    function("mul", (1, MANY), "{{mul A B…}}", "The product of whole numbers.", |args| {
        fold(args, i64::checked_mul)
    }),
    function("div", (2, 2), "{{div A B}}", "A divided by B, without the remainder.", |args| {
        divide(args, i64::checked_div)
    }),
    function("mod", (2, 2), "{{mod A B}}", "The remainder of A divided by B.", |args| {
        divide(args, i64::checked_rem)
    }),
    function("max", (1, MANY), "{{max A B…}}", "The greatest of whole numbers.", |args| {
        fold(args, |a, b| Some(a.max(b)))
    }),
    function("min", (1, MANY), "{{min A B…}}", "The least of whole numbers.", |args| {
        fold(args, |a, b| Some(a.min(b)))
    }),
    function(
        "len",
        (1, 1),
        "{{len VALUE}}",
        "How many entries a list or mapping has, or how many bytes a text.",
        |args| {
            Ok(match args.value(0) {
                Value::String(text) => text.len().into(),
                Value::Array(items) => items.len().into(),
                Value::Object(entries) => entries.len().into(),
                _ => return Err(args.wrong(0, "a list, a mapping or text")),
            })
        },
    ),
    function(
        "int",
        (1, 1),
        "{{int VALUE}}",
        "VALUE as a whole number: a fraction is cut off, text is read.",
        |args| Ok(args.integer(0)?.into()),
    ),
    function("int64", (1, 1), "{{int64 VALUE}}", "The same as int.", |args| {
        Ok(args.integer(0)?.into())
    }),
    function(
        "float64",
        (1, 1),
        "{{float64 VALUE}}",
        "VALUE as a number that may have a fraction.",
        |args| float(args.value(0)).map(number).ok_or_else(|| args.wrong(0, "a number")),
    ),
    function(
        "toString",
        (1, 1),
        "{{toString VALUE}}",
        "A number, a boolean or what a helper wrote, as text.",
        |args| Ok(args.text(0)?.into()),
    ),
];

/// What `value` is as a whole number.
#[allow(clippy::cast_possible_truncation, reason = "the bounds were checked in the line before")]
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?.trunc();
            (float.abs() < 9.0e18).then_some(float as i64)
        }),
        Value::String(text) => text.parse().ok(),
        Value::Bool(bool) => Some(i64::from(*bool)),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|float: &f64| float.is_finite()),
        Value::Bool(bool) => Some(f64::from(u8::from(*bool))),
        _ => None,
    }
}

/// A float without a fraction as the integer it is, so that it is written as Helm writes it.
#[allow(clippy::cast_possible_truncation, reason = "the bounds were checked in the line before")]
fn number(float: f64) -> Value {
    if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
        Value::from(float as i64)
    } else {
        Value::from(float)
    }
}

fn fold(args: &Arguments<'_>, step: fn(i64, i64) -> Option<i64>) -> Result<Value, String> {
    let mut result = args.integer(0)?;
    for index in 1..args.len() {
        result = step(result, args.integer(index)?).ok_or("the result is beyond what 64 bits hold")?;
    }
    Ok(result.into())
}

fn divide(args: &Arguments<'_>, divide: fn(i64, i64) -> Option<i64>) -> Result<Value, String> {
    if args.integer(1)? == 0 {
        return Err("division by zero".into());
    }
    fold(args, divide)
}
