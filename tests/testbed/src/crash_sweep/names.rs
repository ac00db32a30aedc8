//! Takes out of texts what is by nature different in every run: names with random parts, UIDs, times, digests.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// What the parts of one run are called, and what they are called in every run.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pairs: Vec<(String, &'static str)>,
}

/// UIDs, times, and what is a digest or a signature by its look.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", "TIME"),
        (r"ENV-[0-9a-f]{8}-receipt", "ENV-UID-receipt"),
        (r"ENV\.[0-9a-f]{16}", "ENV.RANDOM"),
        (r"graftling-key-[0-9a-f]{8,}", "graftling-key-HEX"),
        (r"\b[0-9a-f]{15,}\b", "HEX"),
        (r"[A-Za-z0-9+/]{40,}={0,2}", "BASE64"),
        // YAML puts what could be a number into quotes: digits with one `e` among them.
        (r#""HEX""#, "HEX"),
    ];
    compiled(&patterns)
});

/// What texts of graftling's own tell that is no part of how it ended.
static TOLD: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        // A few seconds more or less mean nothing.
        (r"\b(\d+m )?\d+(\.\d+)? ?(ms|s)\b", "DURATION"),
        // How much of the cluster a receipt has looked at, how often it asked, and how long that took.
        (r"\b(milliseconds|objects|requests): \d+", "${1}: NUMBER"),
        // A crash loses the answer to a deletion: then the object is gone, and the receipt does not claim to know by whom.
        (r"result: (removed|gone before|went with its namespace)", "result: GONE"),
        // The token with which the end of an account is proved is in memory alone; after a crash the receipt says that it has no proof.
        (r"(provedDead|notProved): .*", "PROOF"),
        // A delivery that the process died with is lost: then the host is asked twice, and the receipt says that it was.
        (
            r"a signed webhook announced it and the host confirmed it|the host said so twice, DURATION apart",
            "PROOF",
        ),
    ];
    compiled(&patterns)
});

fn compiled(patterns: &[(&str, &'static str)]) -> Vec<(Regex, &'static str)> {
    let compile = |(pattern, word): &(&str, &'static str)| Regex::new(pattern).map(|regex| (regex, *word));
    patterns.iter().filter_map(|pair| compile(pair).ok()).collect()
}

impl Names {
    /// From now on `name` is called `word`. Longer names first: one may be a part of another.
    pub(super) fn call(&mut self, name: &str, word: &'static str) {
        if name.is_empty() || self.pairs.iter().any(|(known, _)| known == name) {
            return;
        }
        self.pairs.push((name.to_owned(), word));
        self.pairs.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    }

    /// The text as every run has it.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, word) in &self.pairs {
            if text.contains(name.as_str()) {
                text = called(&text, name, word);
            }
        }
        for (pattern, word) in PATTERNS.iter() {
            let replaced = pattern.replace_all(&text, |_: &Captures<'_>| *word);
            text = replaced.into_owned();
        }
        text
    }

    /// The name that is called so in this run: a word that is none of ours stands for itself. Nothing for what has random parts, and for
    /// what is not known yet.
    pub(super) fn original(&self, text: &str) -> Option<String> {
        if let Some((name, _)) = self.pairs.iter().find(|(_, word)| *word == text) {
            return Some(name.clone());
        }
        let telling = !text.split(|character: char| !character.is_ascii_alphanumeric()).any(is_word);
        telling.then(|| text.to_owned())
    }

    /// The text of graftling's own, without durations.
    pub(super) fn own_text(&self, text: &str) -> String {
        let mut text = self.text(text);
        for (pattern, word) in TOLD.iter() {
            text = pattern.replace_all(&text, *word).into_owned();
        }
        text
    }

    /// Every text in `value`, keys included.
    pub(super) fn value(&self, value: &mut Value, own: bool) {
        match value {
            Value::String(text) => *text = if own { self.own_text(text) } else { self.text(text) },
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item, own)),
            Value::Object(fields) => {
                let old = std::mem::take(fields);
                for (key, mut value) in old {
                    self.value(&mut value, own);
                    fields.insert(self.text(&key), value);
                }
            }
            _ => {}
        }
    }
}

/// The text with `word` in place of `name`. The short name of a commit can be a part of some digest, which does not speak of it then.
fn called(text: &str, name: &str, word: &str) -> String {
    let is_digit = |character: char| matches!(character, '0'..='9' | 'a'..='f');
    if !name.chars().all(is_digit) {
        return text.replace(name, word);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, behind) = (&rest[..at], &rest[at + name.len()..]);
        let is_part = before.ends_with(is_digit) || behind.starts_with(is_digit);
        out.push_str(before);
        out.push_str(if is_part { name } else { word });
        rest = behind;
    }
    out + rest
}

/// Whether it stands for something that is different in every run.
fn is_word(part: &str) -> bool {
    ["ENV", "HOME", "OTHER", "FOREIGN", "UID", "HEX", "RANDOM", "TIME"].contains(&part) || part.starts_with("REV")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_by_nature_is_the_same_word_in_every_run() {
        let mut names = Names::default();
        names.call("shop-a", "SHORT");
        names.call("shop-a-lwgt6uobat", "ENV");
        let text = "shop-a-lwgt6uobat-dc329640-receipt of shop-a at 2026-11-27T20:45:40Z, dc329640-b1ac-4c38-a9b7-cb64ee6998c2";
        assert_eq!(names.text(text), "ENV-UID-receipt of SHORT at TIME, UID");
        assert_eq!(names.text("668785896444294c20c6d4a9e0038f7b656f113c 1231e405ab55d58c"), "HEX HEX");
        assert_eq!(names.own_text("deploy 1s, 10m, web:1"), "deploy DURATION, 10m, web:1");
        names.call("4e03f8b", "REV");
        assert_eq!(
            names.text("4e03f8b, at 4e03f8b: 668785896444294c20c6d44e03f8bf7b"),
            "REV, at REV: HEX"
        );
    }
}
