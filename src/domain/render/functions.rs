//! The helpers that give a value, as plain functions of their arguments. The value to work on comes first, except where a number
//! of columns reads better before a long expression.

use aws_lc_rs::digest;
use serde_json::{Number, Value};

use super::emit::{Fragment, MAX_TEXT, text};
use super::helpers::Arity;
use super::suggest::did_you_mean;
use crate::domain::name::check_label;

/// A helper that gives a value.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) arity: Arity,
    /// Whether the first argument may be undefined; it is null then.
    pub(crate) is_first_optional: bool,
    /// Arguments, the whole context → the value, or the end of the sentence "NAME: ".
    pub(crate) apply: fn(&[&Value], &Value) -> Result<Value, String>,
}

/// Every helper, by name.
pub(crate) static FUNCTIONS: &[Function] = &[
    function("and", 2, 16, "{{#if (and A B …)}}", |args, _| {
        Ok(args.iter().all(|value| is_truthy(value)).into())
    }),
    function("b64enc", 1, 1, "{{b64enc TEXT}}", |args, _| {
        argument(args, 0).map(|text| base64(text.as_bytes()).into())
    }),
    Function {
        is_first_optional: true,
        ..function("default", 2, 2, "{{default VALUE FALLBACK}}", |args, _| {
            Ok(default(args[0], args[1]).clone())
        })
    },
    function("dnsLabel", 1, 1, "{{dnsLabel TEXT}}", |args, _| {
        argument(args, 0).map(|text| dns_label(&text).into())
    }),
    function("eq", 2, 2, "{{#if (eq A B)}}", |args, _| Ok(is_equal(args[0], args[1]).into())),
    function("host", 1, 1, "{{host SERVICE}}", |args, context| host(&argument(args, 0)?, context)),
    function("indent", 2, 2, "{{indent COLUMNS TEXT}}", |args, _| indented(args, false)),
    function("lookup", 2, 2, "{{lookup LIST-OR-MAPPING KEY}}", |args, _| lookup(args[0], args[1])),
    function("lower", 1, 1, "{{lower TEXT}}", |args, _| {
        argument(args, 0).map(|text| text.to_lowercase().into())
    }),
    function("ne", 2, 2, "{{#if (ne A B)}}", |args, _| Ok((!is_equal(args[0], args[1])).into())),
    function("nindent", 2, 2, "{{nindent COLUMNS TEXT}}", |args, _| indented(args, true)),
    function("not", 1, 1, "{{#if (not A)}}", |args, _| Ok((!is_truthy(args[0])).into())),
    function("or", 2, 16, "{{#if (or A B …)}}", |args, _| {
        Ok(args.iter().any(|value| is_truthy(value)).into())
    }),
    function("quote", 1, 1, "{{quote VALUE}}", |args, _| {
        argument(args, 0).map(|text| Fragment::Quoted(text).into_value())
    }),
    function("replace", 3, 3, "{{replace TEXT OLD NEW}}", |args, _| {
        replace(&argument(args, 0)?, &argument(args, 1)?, &argument(args, 2)?)
    }),
    function("sha256sum", 1, 1, "{{sha256sum TEXT}}", |args, _| {
        argument(args, 0).map(|text| sha256(text.as_bytes()).into())
    }),
    function("toYaml", 1, 1, "{{toYaml VALUE}}", |args, _| {
        Ok(Fragment::Yaml(args[0].clone()).into_value())
    }),
    function("trunc", 2, 2, "{{trunc TEXT LENGTH}}", |args, _| {
        trunc(&argument(args, 0)?, args[1])
    }),
    function("upper", 1, 1, "{{upper TEXT}}", |args, _| {
        argument(args, 0).map(|text| text.to_uppercase().into())
    }),
];

const fn function(
    name: &'static str,
    least: usize,
    most: usize,
    usage: &'static str,
    apply: fn(&[&Value], &Value) -> Result<Value, String>,
) -> Function {
    Function {
        name,
        arity: Arity { least, most, usage },
        is_first_optional: false,
        apply,
    }
}

/// Whether `#if` takes a value for true: not null, false, zero, nor empty.
pub(crate) fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(bool) => *bool,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

/// The first 16 hexadecimal digits would do for most uses; this gives all 64.
fn sha256(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn argument(args: &[&Value], index: usize) -> Result<String, String> {
    text(args[index]).map_err(|message| format!("argument {} should be text, but it {message}", index + 1))
}

fn count(value: &Value, name: &str) -> Result<usize, String> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number
        .filter(|number| *number <= 1_000)
        .ok_or_else(|| format!("{name} should be a number from 0 to 1000"))
}

/// Undefined, null and the empty text give way; zero and false are values.
fn default<'a>(value: &'a Value, fallback: &'a Value) -> &'a Value {
    let is_absent = value.is_null() || value.as_str() == Some("");
    if is_absent { fallback } else { value }
}

/// Numbers are compared as numbers: 1 and 1.0 are equal.
fn is_equal(left: &Value, right: &Value) -> bool {
    let float = |value: &Value| value.as_number().filter(|number| number.is_f64()).and_then(Number::as_f64);
    match (left, right) {
        (Value::Number(_), Value::Number(_)) if float(left).or(float(right)).is_some() => left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

fn indented(args: &[&Value], on_new_line: bool) -> Result<Value, String> {
    let columns = count(args[0], "the number of columns")?;
    Ok(Fragment::Indented {
        columns,
        on_new_line,
        content: args[1].clone(),
    }
    .into_value())
}

fn lookup(collection: &Value, key: &Value) -> Result<Value, String> {
    let found = match collection {
        Value::Array(items) => key.as_u64().and_then(|index| items.get(usize::try_from(index).ok()?)),
        Value::Object(entries) => key.as_str().and_then(|key| entries.get(key)),
        _ => return Err("argument 1 should be a list or a mapping".into()),
    };
    found.cloned().ok_or_else(|| {
        let key = text(key).unwrap_or_default();
        let keys = collection.as_object().into_iter().flat_map(|entries| entries.keys());
        format!("\"{key}\" is not defined{}", did_you_mean(&key, keys.map(String::as_str)))
    })
}

fn replace(text: &str, old: &str, new: &str) -> Result<Value, String> {
    if old.is_empty() {
        return Err("the text to replace must not be empty".into());
    }
    let growth = text.matches(old).count().saturating_mul(new.len());
    if text.len().saturating_add(growth) > MAX_TEXT {
        return Err(format!("the result is longer than {MAX_TEXT} bytes"));
    }
    Ok(text.replace(old, new).into())
}

fn trunc(text: &str, length: &Value) -> Result<Value, String> {
    let length = count(length, "the length")?;
    Ok(text.chars().take(length).collect::<String>().into())
}

/// `<service>-<environment>.<domain>`: one label below the domain, so that one wildcard certificate covers it.
fn host(service: &str, context: &Value) -> Result<Value, String> {
    let part = |pointer: &str| context.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let label = format!("{service}-{}", part("/environment/name"));
    check_label(service)
        .and_then(|()| check_label(&label))
        .map_err(|rule| format!("the host label {label:?} {rule}"))?;
    Ok(format!("{label}.{}", part("/project/domain")).into())
}

/// A DNS label for any text: the text itself where it is one, else what can be kept of it and a hash, so that different texts
/// stay different.
fn dns_label(text: &str) -> String {
    if check_label(text).is_ok() {
        return text.to_owned();
    }
    let mut label = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        if character.is_ascii_alphanumeric() {
            label.push(character);
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.truncate(50);
    let hash = &sha256(text.as_bytes())[..10];
    let readable = label.trim_end_matches('-');
    if readable.is_empty() {
        format!("x-{hash}")
    } else {
        format!("{readable}-{hash}")
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            if digit <= chunk.len() {
                let index = group >> (18 - 6 * digit) & 0x3f;
                out.push(char::from(ALPHABET[index as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing helper is the test's failure")]

    use serde_json::json;

    use super::*;

    fn call(name: &str, args: &[Value]) -> Result<Value, String> {
        let context = json!({ "environment": { "name": "shop-login-abcdefghij" }, "project": { "domain": "preview.example.com" } });
        let function = FUNCTIONS.iter().find(|function| function.name == name).unwrap();
        (function.apply)(&args.iter().collect::<Vec<_>>(), &context)
    }

    #[test]
    fn each_helper_gives_what_its_name_says() {
        for (name, args, wanted) in [
            ("and", json!([true, 1, "x"]), json!(true)),
            ("and", json!([true, ""]), json!(false)),
            ("b64enc", json!(["a"]), json!("YQ==")),
            ("b64enc", json!(["ab"]), json!("YWI=")),
            ("b64enc", json!(["abc\u{ff}"]), json!("YWJjw78=")),
            ("b64enc", json!([""]), json!("")),
            ("default", json!([null, "x"]), json!("x")),
            ("default", json!(["", "x"]), json!("x")),
            ("default", json!([0, "x"]), json!(0)),
            ("default", json!([false, "x"]), json!(false)),
            ("dnsLabel", json!(["already-fine"]), json!("already-fine")),
            ("eq", json!([1, 1.0]), json!(true)),
            ("eq", json!(["1", 1]), json!(false)),
            ("host", json!(["api"]), json!("api-shop-login-abcdefghij.preview.example.com")),
            ("lookup", json!([{ "a.b": 1 }, "a.b"]), json!(1)),
            ("lookup", json!([[5, 6], 1]), json!(6)),
            ("lower", json!(["ÄB"]), json!("äb")),
            ("ne", json!([1, 2]), json!(true)),
            ("not", json!([[]]), json!(true)),
            ("or", json!([0, "", "x"]), json!(true)),
            ("replace", json!(["a/b/c", "/", "-"]), json!("a-b-c")),
            (
                "sha256sum",
                json!([""]),
                json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ),
            ("trunc", json!(["äöü", 2]), json!("äö")),
            ("upper", json!(["ab"]), json!("AB")),
        ] {
            let args = args.as_array().unwrap();
            assert_eq!(call(name, args), Ok(wanted), "{name} {args:?}");
        }
    }

    #[test]
    fn what_a_helper_cannot_use_is_named() {
        for (name, args, wanted) in [
            ("lower", json!([{}]), "argument 1 should be text, but it got a mapping"),
            ("quote", json!([null]), "argument 1 should be text, but it got null"),
            (
                "lookup",
                json!([{ "image": 1 }, "imgae"]),
                "\"imgae\" is not defined (did you mean \"image\"?)",
            ),
            ("trunc", json!(["a", "b"]), "the length should be a number from 0 to 1000"),
            ("replace", json!(["a", "", "b"]), "the text to replace must not be empty"),
            (
                "host",
                json!(["a.b"]),
                "the host label \"a.b-shop-login-abcdefghij\" must consist of lower-case letters, digits and '-'",
            ),
        ] {
            assert_eq!(call(name, args.as_array().unwrap()), Err(wanted.to_owned()));
        }
    }

    #[test]
    fn dns_labels_are_valid_and_different_texts_stay_different() {
        let texts = [
            "feature/a",
            "feature-a",
            "Feature/A",
            "🎉",
            "",
            &"x".repeat(64),
            &"x".repeat(65),
            "-a-",
        ];
        let labels: std::collections::BTreeSet<String> = texts.iter().map(|text| dns_label(text)).collect();
        assert_eq!(labels.len(), texts.len(), "{labels:?}");
        assert!(labels.iter().all(|label| check_label(label).is_ok()), "{labels:?}");
    }

    #[test]
    fn f81_replacing_cannot_grow_without_end() {
        let text = "a".repeat(1_000);
        assert!(call("replace", &[json!(text), json!("a"), json!("b".repeat(2_000))]).is_err());
    }
}
