//! Lists.

use serde_json::Value;

use super::arguments::Arguments;
use super::logic::is_equal;
use super::{Function, MANY, function, too_long};
use crate::domain::render::emit::{self, MAX_TEXT};

/// The longest list that `until` gives.
const MAX_COUNT: usize = 1_000;
/// The longest list in which every entry is compared with every other one.
const MAX_COMPARED: usize = 5_000;

pub(super) const FUNCTIONS: &[Function] = &[
    function("list", (0, MANY), "{{list VALUE…}}", "A list of the arguments.", |args| {
        Ok(args.from(0).cloned().collect())
    }),
    function(
        "until",
        (1, 1),
        "{{#range (until COUNT)}}",
        "The numbers from 0 up to, and without, COUNT, which is at most 1000.",
        |args| Ok((0..args.count(0, MAX_COUNT)?).collect()),
    ),
    function(
        "first",
        (1, 1),
        "{{first LIST}}",
        "The first entry, null where there is none.",
        |args| Ok(args.list(0)?.first().cloned().unwrap_or_default()),
    ),
    function(
        "last",
        (1, 1),
        "{{last LIST}}",
        "The last entry, null where there is none.",
        |args| Ok(args.list(0)?.last().cloned().unwrap_or_default()),
    ),
    function("rest", (1, 1), "{{rest LIST}}", "All entries but the first.", |args| {
        Ok(args.list(0)?.iter().skip(1).cloned().collect())
    }),
    function("initial", (1, 1), "{{initial LIST}}", "All entries but the last.", |args| {
        let list = args.list(0)?;
        Ok(list.iter().take(list.len().saturating_sub(1)).cloned().collect())
    }),
    function("append", (2, 2), "{{append LIST VALUE}}", "LIST with VALUE after it.", |args| {
        Ok(args.list(0)?.iter().chain([args.value(1)]).cloned().collect())
    }),
    function("prepend", (2, 2), "{{prepend LIST VALUE}}", "LIST with VALUE before it.", |args| {
        Ok([args.value(1)].into_iter().chain(args.list(0)?).cloned().collect())
    }),
    function(
        "concat",
        (1, MANY),
        "{{concat LIST…}}",
        "The entries of all lists, one list after the other.",
        |args| {
            let mut all = Vec::new();
            for index in 0..args.len() {
                all.extend(args.list(index)?.iter().cloned());
            }
            Ok(all.into())
        },
    ),
    function("uniq", (1, 1), "{{uniq LIST}}", "LIST with each value only once.", |args| {
        let mut unique: Vec<Value> = Vec::new();
        for item in compared(args, 0)? {
            if !unique.iter().any(|seen| is_equal(seen, item)) {
                unique.push(item.clone());
            }
        }
        Ok(unique.into())
    }),
    function(
        "without",
        (2, MANY),
        "{{without LIST VALUE…}}",
        "LIST without these values.",
        |args| {
            let kept = args
                .list(0)?
                .iter()
                .filter(|item| !args.from(1).any(|unwanted| is_equal(item, unwanted)));
            Ok(kept.cloned().collect())
        },
    ),
    function("has", (2, 2), "{{#if (has VALUE LIST)}}", "Whether VALUE is in LIST.", |args| {
        Ok(args.list(1)?.iter().any(|item| is_equal(item, args.value(0))).into())
    }),
    function(
        "reverse",
        (1, 1),
        "{{reverse LIST}}",
        "LIST from the last entry to the first.",
        |args| Ok(args.list(0)?.iter().rev().cloned().collect()),
    ),
    function("compact", (1, 1), "{{compact LIST}}", "LIST without empty entries.", |args| {
        Ok(args.list(0)?.iter().filter(|item| super::is_truthy(item)).cloned().collect())
    }),
    function(
        "sortAlpha",
        (1, 1),
        "{{sortAlpha LIST}}",
        "The entries as text, in the order of their bytes.",
        |args| {
            let mut texts = texts(args, 0)?;
            texts.sort();
            Ok(texts.into())
        },
    ),
    function(
        "join",
        (2, 2),
        "{{join SEPARATOR LIST}}",
        "The entries as one text, with SEPARATOR between them; null is left out.",
        join,
    )
    .subject_last(),
    function(
        "splitList",
        (2, 2),
        "{{splitList SEPARATOR TEXT}}",
        "The parts of TEXT between the SEPARATORs, as a list.",
        |args| {
            let (separator, text) = (args.text(0)?, args.text(1)?);
            if separator.is_empty() {
                return Ok(text.chars().map(String::from).collect());
            }
            Ok(text.split(&separator).collect())
        },
    ),
];

fn compared<'a>(args: &Arguments<'a>, index: usize) -> Result<&'a Vec<Value>, String> {
    let list = args.list(index)?;
    if list.len() > MAX_COMPARED {
        return Err(format!("the list has {} entries: at most {MAX_COMPARED} are allowed", list.len()));
    }
    Ok(list)
}

fn texts(args: &Arguments<'_>, index: usize) -> Result<Vec<String>, String> {
    let present = args.list(index)?.iter().enumerate().filter(|(_, item)| !item.is_null());
    present
        .map(|(number, item)| emit::text(item).map_err(|message| format!("entry {number} of the list should be text, but it {message}")))
        .collect()
}

fn join(args: &Arguments<'_>) -> Result<Value, String> {
    let separator = args.text(0)?;
    let texts = texts(args, 1)?;
    let separators = separator.len().saturating_mul(texts.len());
    let length = texts.iter().map(String::len).fold(separators, usize::saturating_add);
    if length > MAX_TEXT.saturating_add(separator.len()) {
        return Err(too_long());
    }
    Ok(texts.join(&separator).into())
}
