//! What an HTTP answer must be like, and what one is worth.

use std::time::Duration;

use serde_json::Value;

use super::Http;
use crate::domain::errand::{Answer, told};
use crate::domain::stage::is_template;
use crate::domain::stage::mapping::{Fields, Problems, scalar};

/// Statuses of HTTP answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16)>);

/// The most characters of a body that a message shows.
const MAX_SHOWN: usize = 120;

impl Http {
    /// What an answer is worth: its status, its body as far as it was read, and how long it took.
    pub fn judge(&self, status: u16, body: &[u8], took: Duration) -> Answer {
        let milliseconds = took.as_millis();
        if !self.statuses.contain(status) {
            let words = told(&String::from_utf8_lossy(body), MAX_SHOWN);
            let said = if words.is_empty() { String::new() } else { format!(": {words}") };
            return Answer::bad(format!("HTTP {status}, and {} is needed{said}", self.statuses));
        }
        if took > self.within {
            let limit = self.within.as_millis();
            return Answer::bad(format!("HTTP {status} took {milliseconds} ms, and {limit} ms are allowed"));
        }
        if let Some(text) = &self.contains
            && !contains(body, text.as_bytes())
        {
            let text = told(text, MAX_SHOWN);
            return Answer::bad(format!("HTTP {status}, but its body does not contain {text:?}"));
        }
        Answer::good(format!("HTTP {status} in {milliseconds} ms"))
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

impl Statuses {
    /// The one status, or the statuses between two.
    pub fn range(first: u16, last: u16) -> Self {
        Self(vec![(first, last)])
    }

    /// The statuses of several ranges, each with its first and its last one.
    pub fn ranges(ranges: &[(u16, u16)]) -> Self {
        Self(ranges.to_vec())
    }

    /// Whether a status is one of them.
    pub fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (first..=last).contains(&&status))
    }
}

impl std::fmt::Display for Statuses {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |(first, last): &(u16, u16)| match (first, last) {
            (first, last) if first == last => first.to_string(),
            (first, last) if last - first == 99 && first % 100 == 0 => format!("{}xx", first / 100),
            (first, last) => format!("{first} to {last}"),
        };
        let texts: Vec<String> = self.0.iter().map(shown).collect();
        formatter.write_str(&texts.join(" or "))
    }
}

/// Statuses as settings write them: `200`, `2xx`, or a list of such. Nothing: `2xx`.
pub(in crate::domain::stage) fn statuses(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Statuses {
    let usual = Statuses(vec![(200, 299)]);
    let items: Vec<&Value> = match fields.get(name) {
        None => return usual,
        Some(Value::Array(items)) => items.iter().collect(),
        Some(value) => vec![value],
    };
    let mut ranges = Vec::new();
    for item in items {
        let text = scalar(item).unwrap_or_default();
        match status(&text) {
            Some(range) => ranges.push(range),
            None if is_template(&text) => {}
            None => problems.push(format!("{}: should be statuses such as 200 or 2xx", fields.at(name))),
        }
    }
    if ranges.is_empty() { usual } else { Statuses(ranges) }
}

fn status(text: &str) -> Option<(u16, u16)> {
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    let status = text.parse().ok().filter(|status| (100..=599).contains(status))?;
    Some((status, status))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::errand::Worth;
    use crate::domain::stage::check::Target;

    #[test]
    fn an_answer_must_have_the_status_the_body_and_the_speed() {
        let http = Http {
            target: Target::Host("a.example".to_owned()),
            path: "/".to_owned(),
            https: None,
            headers: BTreeMap::new(),
            statuses: Statuses::range(200, 299),
            contains: Some("ok".to_owned()),
            within: Duration::from_millis(100),
        };
        let fast = Duration::from_millis(100);
        assert_eq!(http.judge(200, b"all ok", fast), Answer::good("HTTP 200 in 100 ms"));
        for (status, body, took, message) in [
            (500, "no\u{1b}[1m", fast, "HTTP 500, and 2xx is needed: no [1m"),
            (200, "oh", fast, "HTTP 200, but its body does not contain \"ok\""),
            (
                200,
                "ok",
                Duration::from_millis(101),
                "HTTP 200 took 101 ms, and 100 ms are allowed",
            ),
        ] {
            let answer = http.judge(status, body.as_bytes(), took);
            assert_eq!((answer.worth, answer.message.as_str()), (Worth::Bad, message));
        }
    }
}
