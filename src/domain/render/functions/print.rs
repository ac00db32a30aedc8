//! `printf`: the verbs of Go's that templates use.

use serde_json::Value;

use super::arguments::Arguments;
use super::numbers;
use super::too_long;
use crate::domain::render::emit::{self, MAX_TEXT};
use crate::domain::render::mark;

/// The greatest width of one value.
const MAX_WIDTH: usize = 1_000;

/// One `%…` of a format.
struct Verb {
    is_left: bool,
    is_zero_padded: bool,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

/// `format` with the arguments from the second on in the place of its verbs.
pub(super) fn printf(format: &str, args: &Arguments<'_>) -> Result<String, String> {
    let mut out = String::new();
    let mut next = 1;
    let mut rest = format;
    while let Some(begin) = rest.find('%') {
        out.push_str(&rest[..begin]);
        let (verb, after) = read(&rest[begin + 1..])?;
        rest = after;
        if verb.letter == '%' {
            out.push('%');
            continue;
        }
        if next >= args.len() {
            return Err(format!("the format needs more values than the {} given", args.len() - 1));
        }
        out.push_str(&written(&verb, args, next)?);
        next += 1;
        if out.len() > MAX_TEXT {
            return Err(too_long());
        }
    }
    if next < args.len() {
        return Err(format!("the format uses {} of the {} values given", next - 1, args.len() - 1));
    }
    out.push_str(rest);
    Ok(out)
}

fn read(text: &str) -> Result<(Verb, &str), String> {
    let flags = text.len() - text.trim_start_matches(['-', '0']).len();
    let (width, rest) = number(&text[flags..])?;
    let (precision, rest) = match rest.strip_prefix('.') {
        Some(rest) => number(rest).map(|(precision, rest)| (Some(precision), rest))?,
        None => (None, rest),
    };
    let letter = rest.chars().next().ok_or("the format ends in the middle of a verb")?;
    if !"sdqvtfx%".contains(letter) {
        return Err(format!(
            "the verb %{letter} is not known: there are %s, %d, %q, %v, %t, %f, %x and %%"
        ));
    }
    let verb = Verb {
        is_left: text[..flags].contains('-'),
        is_zero_padded: text[..flags].contains('0'),
        width,
        precision,
        letter,
    };
    Ok((verb, &rest[1..]))
}

fn number(text: &str) -> Result<(usize, &str), String> {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    if digits.is_empty() {
        return Ok((0, rest));
    }
    let width = digits.parse().ok().filter(|width| *width <= MAX_WIDTH);
    width
        .map(|width| (width, rest))
        .ok_or_else(|| format!("a width in the format is greater than {MAX_WIDTH}"))
}

fn written(verb: &Verb, args: &Arguments<'_>, index: usize) -> Result<String, String> {
    let value = args.value(index);
    let text = match verb.letter {
        'd' => numbers::integer(value)
            .filter(|_| value.is_number())
            .ok_or_else(|| args.wrong(index, "a whole number, as the format has %d"))?
            .to_string(),
        'f' => {
            let float = value.as_f64().ok_or_else(|| args.wrong(index, "a number, as the format has %f"))?;
            format!("{float:.*}", verb.precision.unwrap_or(6))
        }
        't' => args.boolean(index)?.to_string(),
        'x' if value.is_i64() => format!("{:x}", args.integer(index)?),
        'x' => super::encoding::hexadecimal(args.text(index)?.as_bytes()),
        'q' => mark::json_string(&cut(args.text(index)?, verb)),
        _ => match value {
            Value::Array(_) | Value::Object(_) => emit::text(&emit::Fragment::Json(value.clone()).into_value())?,
            _ => cut(args.text(index)?, verb),
        },
    };
    Ok(padded(verb, &text))
}

fn cut(text: String, verb: &Verb) -> String {
    match verb.precision {
        Some(length) => text.chars().take(length).collect(),
        None => text,
    }
}

fn padded(verb: &Verb, text: &str) -> String {
    let missing = verb.width.saturating_sub(text.chars().count());
    if verb.is_left {
        return format!("{text}{}", " ".repeat(missing));
    }
    if verb.is_zero_padded {
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    format!("{}{text}", " ".repeat(missing))
}
