//! Text. Lengths count characters.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::arguments::Arguments;
use super::{Function, MANY, function, print, too_long};
use crate::domain::render::emit::{Fragment, MAX_TEXT};

/// The longest regular expression, in bytes, and what it may take once compiled.
const MAX_PATTERN: usize = 1_000;
const MAX_COMPILED: usize = 256 * 1024;
/// The greatest number of columns, characters or repetitions.
const MAX_COUNT: usize = 1_000;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "indent",
        (2, 2),
        "{{indent COLUMNS TEXT}}",
        "TEXT with so many spaces before each line; TEXT may come from toYaml or include.",
        |args| indented(args, false),
    )
    .sees_fragments()
    .subject_last(),
    function(
        "nindent",
        (2, 2),
        "{{nindent COLUMNS TEXT}}",
        "The same, beginning on a line of its own.",
        |args| indented(args, true),
    )
    .sees_fragments()
    .subject_last(),
    function("lower", (1, 1), "{{lower TEXT}}", "TEXT in lower case.", |args| {
        Ok(args.text(0)?.to_lowercase().into())
    }),
    function("upper", (1, 1), "{{upper TEXT}}", "TEXT in upper case.", |args| {
        Ok(args.text(0)?.to_uppercase().into())
    }),
    function(
        "title",
        (1, 1),
        "{{title TEXT}}",
        "TEXT with a capital at the beginning of each word.",
        |args| Ok(title(&args.text(0)?).into()),
    ),
    function("kebabcase", (1, 1), "{{kebabcase TEXT}}", "`someName` as `some-name`.", |args| {
        Ok(separated(&args.text(0)?, '-').into())
    }),
    function("snakecase", (1, 1), "{{snakecase TEXT}}", "`someName` as `some_name`.", |args| {
        Ok(separated(&args.text(0)?, '_').into())
    }),
    function("camelcase", (1, 1), "{{camelcase TEXT}}", "`some-name` as `SomeName`.", |args| {
        Ok(camel(&args.text(0)?).into())
    }),
    function("trim", (1, 1), "{{trim TEXT}}", "TEXT without white space at its ends.", |args| {
        Ok(args.text(0)?.trim().into())
    }),
    function(
        "trimPrefix",
        (2, 2),
        "{{trimPrefix PREFIX TEXT}}",
        "TEXT without PREFIX, where it begins with it.",
        |args| {
            let (prefix, text) = (args.text(0)?, args.text(1)?);
            Ok(text.strip_prefix(&prefix).unwrap_or(&text).into())
        },
    )
    .subject_last(),
    function(
        "trimSuffix",
        (2, 2),
        "{{trimSuffix SUFFIX TEXT}}",
        "TEXT without SUFFIX, where it ends with it.",
        |args| {
            let (suffix, text) = (args.text(0)?, args.text(1)?);
            Ok(text.strip_suffix(&suffix).unwrap_or(&text).into())
        },
    )
    .subject_last(),
    function(
        "trunc",
        (2, 2),
        "{{trunc LENGTH TEXT}}",
        "The first LENGTH characters of TEXT, or with a negative LENGTH the last ones.",
        trunc,
    )
    .subject_last(),
    function(
        "replace",
        (3, 3),
        "{{replace OLD NEW TEXT}}",
        "TEXT with NEW wherever it had OLD.",
        replace,
    )
    .subject_last(),
    function("nospace", (1, 1), "{{nospace TEXT}}", "TEXT without any white space.", |args| {
        Ok(args.text(0)?.split_whitespace().collect::<String>().into())
    }),
    function(
        "repeat",
        (2, 2),
        "{{repeat COUNT TEXT}}",
        "TEXT so many times, at most 1000.",
        |args| {
            let (count, text) = (args.count(0, MAX_COUNT)?, args.text(1)?);
            if text.len().saturating_mul(count) > MAX_TEXT {
                return Err(too_long());
            }
            Ok(text.repeat(count).into())
        },
    )
    .subject_last(),
    function(
        "contains",
        (2, 2),
        "{{#if (contains PART TEXT)}}",
        "Whether PART is in TEXT.",
        |args| Ok(args.text(1)?.contains(&args.text(0)?).into()),
    ),
    function(
        "hasPrefix",
        (2, 2),
        "{{#if (hasPrefix PREFIX TEXT)}}",
        "Whether TEXT begins with PREFIX.",
        |args| Ok(args.text(1)?.starts_with(&args.text(0)?).into()),
    ),
    function(
        "hasSuffix",
        (2, 2),
        "{{#if (hasSuffix SUFFIX TEXT)}}",
        "Whether TEXT ends with SUFFIX.",
        |args| Ok(args.text(1)?.ends_with(&args.text(0)?).into()),
    ),
    function(
        "regexMatch",
        (2, 2),
        "{{#if (regexMatch PATTERN TEXT)}}",
        "Whether the regular expression PATTERN matches somewhere in TEXT.",
        |args| Ok(pattern(&args.text(0)?)?.is_match(&args.text(1)?).into()),
    ),
    function(
        "printf",
        (1, MANY),
        "{{printf FORMAT VALUE…}}",
        "FORMAT with the values in the place of %s, %d, %q, %v, %t, %f, %x, with widths such as %05d.",
        |args| print::printf(&args.text(0)?, args).map(Value::from),
    ),
];

fn indented(args: &Arguments<'_>, on_new_line: bool) -> Result<Value, String> {
    Ok(Fragment::Indented {
        columns: args.count(0, MAX_COUNT)?,
        on_new_line,
        content: args.value(1).clone(),
    }
    .into_value())
}

fn trunc(args: &Arguments<'_>) -> Result<Value, String> {
    if !args.value(0).is_i64() {
        return Err(args.wrong(0, "a whole number"));
    }
    let (length, text) = (args.integer(0)?, args.text(1)?);
    let count = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    if length >= 0 {
        return Ok(text.chars().take(count).collect::<String>().into());
    }
    let skipped = text.chars().count().saturating_sub(count);
    Ok(text.chars().skip(skipped).collect::<String>().into())
}

fn replace(args: &Arguments<'_>) -> Result<Value, String> {
    let (old, new, text) = (args.text(0)?, args.text(1)?, args.text(2)?);
    if old.is_empty() {
        return Err("the text to replace must not be empty".into());
    }
    let growth = text.matches(&old).count().saturating_mul(new.len());
    if text.len().saturating_add(growth) > MAX_TEXT {
        return Err(too_long());
    }
    Ok(text.replace(&old, &new).into())
}

/// A regular expression takes time in proportion to the text, whatever it says; its size is limited here.
fn pattern(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("the regular expression is longer than {MAX_PATTERN} bytes"));
    }
    let built = RegexBuilder::new(pattern)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build();
    built.map_err(|error| {
        let message = error.to_string();
        let last = message.lines().next_back().unwrap_or_default();
        format!("the regular expression cannot be used: {}", last.trim_start_matches("error: "))
    })
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_inside = false;
    for character in text.chars() {
        if is_inside {
            out.push(character);
        } else {
            out.extend(character.to_uppercase());
        }
        is_inside = character.is_alphanumeric() || character == '_';
    }
    out
}

/// A name with `separator` where it had `-`, `_` or a space, before a capital after a small letter or digit, before the last of
/// several capitals when a small letter follows, and before a digit inside a word when a small letter follows the digits.
fn separated(text: &str, separator: char) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + 8);
    let mut word_begins_with_digit = false;
    let mut is_first = true;
    for (index, character) in characters.iter().enumerate() {
        if is_connector(*character) {
            out.push(separator);
            is_first = true;
            continue;
        }
        if !is_first && begins_word(&characters, index, word_begins_with_digit) {
            out.push(separator);
            is_first = true;
        }
        if is_first {
            word_begins_with_digit = character.is_numeric();
        }
        is_first = false;
        out.extend(character.to_lowercase());
    }
    out
}

fn is_connector(character: char) -> bool {
    matches!(character, '-' | '_') || character.is_whitespace()
}

fn begins_word(characters: &[char], index: usize, word_begins_with_digit: bool) -> bool {
    let (character, before) = (characters[index], characters[index - 1]);
    let after = &characters[index + 1..];
    if character.is_uppercase() {
        let is_last_of_several = before.is_uppercase() && after.first().is_some_and(|after| after.is_lowercase());
        return before.is_lowercase() || before.is_numeric() || is_last_of_several;
    }
    let after_digits = after.iter().find(|after| !after.is_numeric());
    character.is_numeric() && before.is_alphabetic() && !word_begins_with_digit && after_digits.is_some_and(|after| after.is_lowercase())
}

/// A capital at the beginning of each word; of several capitals in a row only the first stays one.
fn camel(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for character in text.chars() {
        if !is_connector(character) {
            match (is_connector(before), before.is_uppercase()) {
                (true, _) => out.extend(character.to_uppercase()),
                (false, true) => out.extend(character.to_lowercase()),
                (false, false) => out.push(character),
            }
        }
        before = character;
    }
    out
}
