//! Texts of others among our own, on pages that make something of markup.
//!
//! Nothing in them may mean anything there: no markup, no link, no mention of a person, no reference to an issue or a commit.

use crate::domain::why::{masked, masked_evidence};

/// The most characters of a description.
const DESCRIPTION: usize = 140;
/// The most characters of a name.
const NAME: usize = 120;
/// What hosts look for words across is broken by a space of no width.
const BREAK: char = '\u{200b}';

/// One line without markup, of at most 140 characters, without what is secret.
pub fn description(text: &str) -> String {
    cut(&masked_evidence(text), DESCRIPTION)
}

/// A sentence of others within a line of Markdown.
pub(super) fn prose(text: &str) -> String {
    let characters: Vec<char> = masked_evidence(text).chars().collect();
    let mut out = String::new();
    for (index, &character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| characters.get(index)).copied().unwrap_or(' ');
        let next = characters.get(index + 1).copied().unwrap_or(' ');
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '#' | '!' | '@' | '$' | '%' | '^' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
        if is_broken_after(before, character, next) {
            out.push(BREAK);
        }
    }
    out
}

/// Whether a host could make something of what comes after: a person (`@`), an issue or the like (`#`, `!`, `~`, `%`, `$`, `&`, `ABC-1`), a
/// link (`https://`, `www.`, `mailto:`), a picture (`:name:`), a commit (`a@b`).
fn is_broken_after(before: char, character: char, next: char) -> bool {
    match character {
        '@' | '#' | '!' | '~' | '%' | '$' | '&' | ':' => !next.is_whitespace(),
        '-' => before.is_alphanumeric() && next.is_ascii_digit(),
        'w' | 'W' => next == '.',
        _ => false,
    }
}

/// A name of others as code, within a line or a table.
pub(super) fn code(text: &str) -> String {
    let plain: String = masked(text)
        .chars()
        .map(|character| match character {
            '`' => '\'',
            '|' => '¦',
            other => other,
        })
        .collect();
    match cut(plain.trim(), NAME).as_str() {
        "" => "`-`".to_owned(),
        plain => format!("`{plain}`"),
    }
}

/// Lines of a log as a block that nothing in them can end.
pub(super) fn block<'l>(lines: impl IntoIterator<Item = &'l str>) -> String {
    let mut out = "```text\n".to_owned();
    for line in lines {
        out.push_str(&masked(line).replace('`', "'"));
        out.push('\n');
    }
    out + "```"
}

/// Whether an address may stand as a link: it is of the web and holds nothing that could end the link.
pub(super) fn is_plain_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-._~:/?=%+,".contains(character);
    rest.is_some_and(|rest| !rest.is_empty() && url.len() <= 500 && rest.chars().all(is_plain))
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    cut.push('…');
    cut
}
