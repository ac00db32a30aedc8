//! Hiding what is secret in texts that people may read.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use regex::Regex;
use serde_json::Value;

/// What stands in the place of a secret.
const HIDDEN: &str = "[hidden]";
/// Shorter values are words that a text may hold for other reasons, and hiding them hides nothing.
const SHORTEST: usize = 6;

/// What is hidden: values that are known, and what has the form of a secret.
#[derive(Clone, Default)]
pub struct Mask {
    /// The longest first, so that none is cut by a part of it.
    known: Vec<String>,
}

/// Forms of secrets that are known by themselves. The first group stays, where there is one.
static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let forms = [
        r"(?i)((?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[a-z0-9_]*['\x22]?\s*[:=]\s*['\x22]?)[^\s'\x22,;&]+",
        r"(?i)((?:authorization|proxy-authorization)\s*[:=]\s*(?:bearer|basic|token)?\s*)[^\s,;]+",
        r"([a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s@]+@",
        r"()\b(?:ghp|gho|ghu|ghs|ghr|glpat|xoxb|xoxp)[_-][A-Za-z0-9_-]{16,}",
        r"()\bgithub_pat_[A-Za-z0-9_]{20,}",
        r"()\bAKIA[0-9A-Z]{16}\b",
        r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    ];
    forms.iter().filter_map(|form| Regex::new(form).ok()).collect()
});

impl Mask {
    /// Hides the values of the Secrets among these objects.
    pub fn of_documents<'v>(objects: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut known: Vec<String> = objects.into_iter().filter(|object| is_secret(object)).flat_map(values).collect();
        known.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        known.dedup();
        Self { known }
    }

    /// The text without what is secret.
    pub fn apply(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for value in &self.known {
            if masked.contains(value.as_str()) {
                masked = masked.replace(value.as_str(), HIDDEN);
            }
        }
        for form in FORMS.iter() {
            let end = if form.as_str().ends_with('@') { "@" } else { "" };
            masked = form.replace_all(&masked, format!("${{1}}{HIDDEN}{end}")).into_owned();
        }
        masked
    }
}

fn is_secret(object: &Value) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret") && object.get("apiVersion").and_then(Value::as_str) == Some("v1")
}

/// Every text that a Secret holds, plain and encoded, and each line of those that have several.
fn values(secret: &Value) -> Vec<String> {
    let entries = |field: &str| secret.get(field).and_then(Value::as_object).into_iter().flatten();
    let encoded = entries("data").filter_map(|(_, value)| String::from_utf8(BASE64.decode(value.as_str()?).ok()?).ok());
    let plain = entries("stringData").filter_map(|(_, value)| value.as_str().map(str::to_owned));
    let texts: Vec<String> = encoded.chain(plain).collect();
    let codes = texts.iter().map(|text| BASE64.encode(text));
    let lines = texts.iter().flat_map(|text| text.lines()).map(|line| line.trim().to_owned());
    let all: Vec<String> = codes.chain(lines).collect();
    all.into_iter().filter(|value| value.len() >= SHORTEST).collect()
}

/// Its values are secret.
impl std::fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Mask({} values)", self.known.len())
    }
}
