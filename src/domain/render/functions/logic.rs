//! Choosing, comparing, and insisting on a value.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::arguments::{Arguments, kind};
use super::{Function, MANY, Undefined, function};
use crate::domain::render::emit;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "default",
        (2, 2),
        "{{default FALLBACK VALUE}}",
        "VALUE, or FALLBACK where VALUE is undefined or empty (null, false, 0, \"\", [], {}).",
        |args| Ok(args.value(usize::from(is_truthy(args.value(1)))).clone()),
    )
    .undefined(Undefined::Last)
    .sees_fragments()
    .subject_last(),
    function(
        "coalesce",
        (1, MANY),
        "{{coalesce VALUE…}}",
        "The first VALUE that is neither undefined nor empty, else null.",
        |args| Ok(args.from(0).find(|value| is_truthy(value)).cloned().unwrap_or_default()),
    )
    .undefined(Undefined::Any)
    .sees_fragments(),
    function(
        "empty",
        (1, 1),
        "{{#if (empty VALUE)}}",
        "Whether VALUE is undefined, null, false, 0, \"\", [] or {}.",
        |args| Ok((!is_truthy(args.value(0))).into()),
    )
    .undefined(Undefined::Any),
    function(
        "required",
        (2, 2),
        "{{required MESSAGE VALUE}}",
        "VALUE, or an error with MESSAGE where it is undefined, null or \"\".",
        required,
    )
    .undefined(Undefined::Last)
    .sees_fragments()
    .subject_last()
    .whole_message(),
    function("fail", (1, 1), "{{fail MESSAGE}}", "Ends the rendering with MESSAGE.", |args| {
        Err(args.text(0)?)
    })
    .whole_message(),
    function(
        "ternary",
        (3, 3),
        "{{ternary A B CONDITION}}",
        "A where CONDITION is true, B where it is false.",
        |args| Ok(args.value(usize::from(!args.boolean(2)?)).clone()),
    )
    .sees_fragments(),
    function(
        "and",
        (1, MANY),
        "{{#if (and A B…)}}",
        "The first argument that is empty, else the last one.",
        |args| choose(args, |value| !is_truthy(value)),
    )
    .sees_fragments(),
    function(
        "or",
        (1, MANY),
        "{{#if (or A B…)}}",
        "The first argument that is not empty, else the last one.",
        |args| choose(args, is_truthy),
    )
    .sees_fragments(),
    function("not", (1, 1), "{{#if (not VALUE)}}", "Whether VALUE is empty.", |args| {
        Ok((!is_truthy(args.value(0))).into())
    }),
    function(
        "eq",
        (2, MANY),
        "{{#if (eq A B…)}}",
        "Whether A equals B or one of the further arguments; 1 equals 1.0, and \"1\" does not equal 1.",
        |args| Ok(args.from(1).any(|other| is_equal(args.value(0), other)).into()),
    ),
    function("ne", (2, 2), "{{#if (ne A B)}}", "Whether A and B differ.", |args| {
        Ok((!is_equal(args.value(0), args.value(1))).into())
    }),
    function(
        "lt",
        (2, 2),
        "{{#if (lt A B)}}",
        "Whether A is less than B: two numbers, or two texts.",
        |args| Ok(compare(args)?.is_lt().into()),
    ),
    function("le", (2, 2), "{{#if (le A B)}}", "Whether A is B or less.", |args| {
        Ok(compare(args)?.is_le().into())
    }),
    function(
        "gt",
        (2, 2),
        "{{#if (gt A B)}}",
        "Whether A is greater than B: two numbers, or two texts.",
        |args| Ok(compare(args)?.is_gt().into()),
    ),
    function("ge", (2, 2), "{{#if (ge A B)}}", "Whether A is B or greater.", |args| {
        Ok(compare(args)?.is_ge().into())
    }),
];

/// Whether `#if` takes a value for true: not null, false, zero, nor empty. A fragment is what it stands for.
pub(crate) fn is_truthy(value: &Value) -> bool {
    match emit::plain(value).as_deref().unwrap_or(value) {
        Value::Null => false,
        Value::Bool(bool) => *bool,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

fn choose(args: &Arguments<'_>, ends: fn(&Value) -> bool) -> Result<Value, String> {
    let chosen = args.from(0).find(|value| ends(value)).or_else(|| args.from(0).next_back());
    Ok(chosen.cloned().unwrap_or_default())
}

fn required(args: &Arguments<'_>) -> Result<Value, String> {
    let value = args.value(1);
    if value.is_null() || value.as_str() == Some("") {
        return Err(args.text(0)?);
    }
    Ok(value.clone())
}

/// Numbers are compared as numbers: 1 and 1.0 are equal.
pub(super) fn is_equal(left: &Value, right: &Value) -> bool {
    let float = |value: &Value| value.as_number().filter(|number| number.is_f64()).and_then(Number::as_f64);
    match (left, right) {
        (Value::Number(_), Value::Number(_)) if float(left).or(float(right)).is_some() => left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

fn compare(args: &Arguments<'_>) -> Result<Ordering, String> {
    let (left, right) = (args.value(0), args.value(1));
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left_number), Value::Number(right_number)) => match (left_number.as_i64(), right_number.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left_number
                .as_f64()
                .zip(right_number.as_f64())
                .and_then(|(left, right)| left.partial_cmp(&right)),
        },
        _ => None,
    };
    order.ok_or_else(|| format!("two numbers or two texts can be compared, not {} and {}", kind(left), kind(right)))
}
