//! What looks like a secret never leaves a log line or a message of others.
//!
//! The server does not know the values of an environment's Secrets, so it goes by how secrets look and what they are called. Too much is
//! masked rather than too little.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// How many characters of one line are shown.
pub const MAX_LINE: usize = 200;

/// How many characters of a line of evidence are shown.
pub const MAX_EVIDENCE_LINE: usize = 400;

/// How much of a text is looked at: nothing of what is behind it is shown.
const MAX_TEXT: usize = 16 * 1024;

/// What stands for a secret.
const MASK: &str = "[hidden]";

/// Names whose values are secrets.
const NAMES: &str = r"[\w.\-]*(?:passw(?:or)?d|passwd|pwd|passphrase|secret|token|api[_\-]?key|access[_\-]?key|private[_\-]?key|credential|cookie|session|signature|dsn|connection[_\-]?string)[\w.\-]*";

/// What is searched for and what takes its place, in this order. The engine runs in linear time whatever the text.
static RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let rules: [(String, &'static str); 10] = [
        (r"(?s)-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|$)".to_owned(), MASK),
        // user:password@ in an address; also a password that holds an @ itself.
        (r"([A-Za-z][A-Za-z0-9+.\-]*://)[^\s/?#]*@".to_owned(), "${1}[hidden]@"),
        (
            r#"(?i)((?:authorization|proxy-authorization)["']?\s*[:=]\s*["']?)(?:basic|bearer|digest|token|negotiate|apikey)\s[^\r\n"']+"#.to_owned(),
            "${1}[hidden]",
        ),
        (r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=\-]{6,}".to_owned(), "${1}[hidden]"),
        (format!(r#"(?i)({NAMES}["']?\s*(?:[:=]|=>|\bis\b)\s*)(?:\[hidden\]|"[^"\r\n]*"|'[^'\r\n]*'|[^\s,;&}}\])]+)"#), "${1}[hidden]"),
        (format!(r#"(?i)(--?{NAMES}\s+)[^\s-][^\s]*"#), "${1}[hidden]"),
        (r"\beyJ[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]*)?".to_owned(), MASK),
        (r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{12,}\b".to_owned(), MASK),
        (
            r"\b(?:gh[pousr]_|github_pat_|glpat-|gldt-|xox[abprs]-|sk_live_|sk_test_|rk_live_|sk-|AIza|ya29\.|npm_|pypi-|dop_v1_|hvs\.|SG\.)[A-Za-z0-9_.\-]{8,}"
                .to_owned(),
            MASK,
        ),
        // Long and without a word in it. A digest of an image is no secret.
        (r"(sha(?:256|384|512):)?\b[A-Za-z0-9+/_\-]{32,}={0,2}".to_owned(), "$0"),
    ];
    // The patterns are constants, and a test compiles them.
    rules
        .into_iter()
        .filter_map(|(rule, with)| Some((Regex::new(&rule).ok()?, with)))
        .collect()
});

/// One line fit to be shown: without secrets, control characters and escapes of terminals, and cut to [`MAX_LINE`] characters.
pub fn masked(text: &str) -> String {
    cut(&one_line(text), MAX_LINE)
}

/// The same with room for what an explanation was concluded from.
pub fn masked_evidence(text: &str) -> String {
    cut(&one_line(text), MAX_EVIDENCE_LINE)
}

fn one_line(text: &str) -> String {
    masked_text(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same text, lines kept, without what looks like a secret.
pub(super) fn masked_text(text: &str) -> String {
    let mut text: String = without_escapes(text);
    let last = RULES.len().saturating_sub(1);
    for (index, (rule, with)) in RULES.iter().enumerate() {
        let replaced = match index == last {
            true => rule.replace_all(&text, |found: &regex::Captures<'_>| blob(found)),
            false => rule.replace_all(&text, *with),
        };
        if let Cow::Owned(replaced) = replaced {
            text = replaced;
        }
    }
    text
}

fn blob(found: &regex::Captures<'_>) -> String {
    let word = &found[0];
    let has = |test: fn(&char) -> bool| word.chars().any(|character| test(&character));
    let is_mixed = has(|c| c.is_ascii_digit()) && has(|c| c.is_ascii_alphabetic());
    let is_hexadecimal = word.chars().all(|c| c.is_ascii_hexdigit());
    let has_both_cases = has(|c| c.is_ascii_uppercase()) && has(|c| c.is_ascii_lowercase());
    match found.get(1).is_none() && is_mixed && (is_hexadecimal || has_both_cases) {
        true => MASK.to_owned(),
        false => word.to_owned(),
    }
}

/// The end of a text that is too long, as the last words say most; without colours and other control characters.
fn without_escapes(text: &str) -> String {
    let start = text.len().saturating_sub(MAX_TEXT);
    let start = (start..=text.len())
        .find(|index| text.is_char_boundary(*index))
        .unwrap_or(text.len());
    let mut plain = String::new();
    let mut characters = text[start..].chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => {
                // A sequence ends with its first letter.
                characters.by_ref().take(16).find(char::is_ascii_alphabetic);
            }
            '\n' => plain.push('\n'),
            // What turns the direction of text could make a line read as another.
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {}
            other if other.is_control() => plain.push(' '),
            other => plain.push(other),
        }
    }
    plain
}

/// At most `most` characters: what it begins with and what it ends with, as causes come last.
pub(super) fn cut(line: &str, most: usize) -> String {
    let length = line.chars().count();
    if length <= most {
        return line.to_owned();
    }
    let (head, tail) = (most / 3, most - most / 3 - 3);
    let begin: String = line.chars().take(head).collect();
    let end: String = line.chars().skip(length - tail).collect();
    format!("{} … {}", begin.trim_end(), end.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked_and_the_rest_stays() {
        assert_eq!(RULES.len(), 10, "each rule is a regular expression");
        for (line, shown) in [
            (
                "FATAL: password authentication failed for user \"web\"",
                "FATAL: password authentication failed for user \"web\"",
            ),
            (
                "connect postgres://web:hunter2@db:5432/shop failed",
                "connect postgres://[hidden]@db:5432/shop failed",
            ),
            ("connect redis://:p@ss@cache:6379", "connect redis://[hidden]@cache:6379"),
            ("DB_PASSWORD=hunter2 DB_HOST=db", "DB_PASSWORD=[hidden] DB_HOST=db"),
            (
                "{\"dbPassword\": \"hunter 2\", \"user\": \"web\"}",
                "{\"dbPassword\": [hidden], \"user\": \"web\"}",
            ),
            ("login --password hunter2 --user web", "login --password [hidden] --user web"),
            ("api_key: abc123, retrying", "api_key: [hidden], retrying"),
            ("Authorization: Basic d2ViOmh1bnRlcjI=", "Authorization: [hidden]"),
            (
                "may require authorization: server message: denied",
                "may require authorization: server message: denied",
            ),
            ("got 401 for bearer abc.def-123456", "got 401 for bearer [hidden]"),
            ("token is abcdef", "token is [hidden]"),
            (
                "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl refused",
                "jwt [hidden] refused",
            ),
            ("key AKIAIOSFODNN7EXAMPLE refused", "key [hidden] refused"),
            (
                "remote: ghp_0123456789abcdefghijABCDEFGHIJ012345 is invalid",
                "remote: [hidden] is invalid",
            ),
            ("bad blob wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "bad blob [hidden]"),
            (
                "seed 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "seed [hidden]",
            ),
            (
                "image web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "image web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            ),
            (
                "cannot open /usr/share/application/configuration/settings.yaml",
                "cannot open /usr/share/application/configuration/settings.yaml",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY----- and on",
                "[hidden] and on",
            ),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\nnever ends", "[hidden]"),
            ("\u{1b}[31mpanic\u{1b}[0m: no\trout\u{7}e", "panic: no rout e"),
            ("safe \u{202e}txet", "safe txet"),
        ] {
            assert_eq!(masked(line), shown, "{line}");
            assert_eq!(masked(shown), shown, "what is masked stays as it is");
        }
    }

    #[test]
    fn a_line_is_cut_and_a_long_text_is_cut_at_its_beginning() {
        assert_eq!(masked(&format!("begin {} end", "é".repeat(1_000))).chars().count(), MAX_LINE);
        assert!(masked(&format!("begin {} end", "é".repeat(1_000))).ends_with("é end"));
        let long = format!("password=hunter2 {}the end", "é ".repeat(MAX_TEXT));
        let text = masked_text(&long);
        assert!(text.ends_with("the end") && text.len() <= MAX_TEXT && !text.contains("hunter2"));
    }
}
