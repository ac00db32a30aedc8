//! The look at an environment's URL, without whose good answer it does not count as ready.

use std::fmt;
use std::time::Duration;

/// A request to the URL of each environment of a Project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlCheck {
    path: String,
    statuses: Vec<(u16, u16)>,
    within: Duration,
}

/// What is wrong with the settings, beginning with the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spec.probe.{field}: {reason}")]
pub struct UrlCheckError {
    field: &'static str,
    reason: String,
}

const LONGEST: Duration = Duration::from_secs(30);

impl UrlCheck {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first field that is wrong. The path may not lead to another host, whatever a URL library makes of it.
    pub fn new(path: &str, statuses: &[String], timeout: &str) -> Result<Self, UrlCheckError> {
        let wrong = |field, reason: &str| UrlCheckError {
            field,
            reason: reason.to_owned(),
        };
        let is_path = path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= 1024
            && !path.contains(|character: char| character.is_control() || character.is_whitespace() || matches!(character, '#' | '\\'));
        if !is_path {
            return Err(wrong("path", "should begin with one / and have no spaces, \\ and #"));
        }
        let read: Option<Vec<_>> = statuses.iter().map(|text| range(text)).collect();
        let statuses = read
            .filter(|ranges| !ranges.is_empty())
            .ok_or_else(|| wrong("statuses", "should be statuses: 200, or 200-399"))?;
        let seconds = timeout.strip_suffix('s').and_then(|seconds| seconds.parse().ok());
        let within = seconds
            .map(Duration::from_secs)
            .filter(|within| *within <= LONGEST && !within.is_zero());
        Ok(Self {
            path: path.to_owned(),
            statuses,
            within: within.ok_or_else(|| wrong("timeout", "should be from 1s to 30s"))?,
        })
    }

    /// What is asked at an environment's URL.
    pub fn url(&self, environment_url: &str) -> String {
        format!("{}{}", environment_url.trim_end_matches('/'), self.path)
    }

    /// The first and the last of each range of good statuses.
    pub fn statuses(&self) -> &[(u16, u16)] {
        &self.statuses
    }

    /// How long the answer may take.
    pub fn within(&self) -> Duration {
        self.within
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let status = |text: &str| text.parse::<u16>().ok().filter(|status| (100..600).contains(status));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some((first, last))
}

impl fmt::Display for UrlCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<String> = self
            .statuses
            .iter()
            .map(|(first, last)| {
                if first == last {
                    first.to_string()
                } else {
                    format!("{first}-{last}")
                }
            })
            .collect();
        write!(formatter, "{} ({})", self.path, ranges.join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn check(path: &str, statuses: &[&str], timeout: &str) -> Result<UrlCheck, String> {
        let statuses: Vec<String> = statuses.iter().map(ToString::to_string).collect();
        UrlCheck::new(path, &statuses, timeout).map_err(|error| error.to_string())
    }

    #[test]
    fn feature_s6_a_probe_is_a_path_of_the_environments_own_url() {
        let probe = check("/healthz?full=1", &["200", "300-399"], "10s").unwrap();
        assert_eq!(probe.url("https://shop-a.example.com"), "https://shop-a.example.com/healthz?full=1");
        assert_eq!(
            probe.url("http://shop-a.example.com:8080/"),
            "http://shop-a.example.com:8080/healthz?full=1"
        );
        assert_eq!(probe.statuses(), [(200, 200), (300, 399)]);
        assert_eq!(
            (probe.within(), probe.to_string().as_str()),
            (Duration::from_secs(10), "/healthz?full=1 (200, 300-399)")
        );
    }

    #[test]
    fn threat_t31_a_path_that_could_lead_elsewhere_is_refused() {
        for path in [
            "",
            "healthz",
            "//evil.example/",
            "/\\evil.example/",
            "/a b",
            "/a#b",
            "@evil.example/",
            "/a\n",
        ] {
            assert!(check(path, &["200"], "5s").unwrap_err().starts_with("spec.probe.path"), "{path:?}");
        }
        for statuses in [&[][..], &["20"], &["200-"], &["399-200"], &["600"], &["2xx"]] {
            assert!(
                check("/", statuses, "5s").unwrap_err().starts_with("spec.probe.statuses"),
                "{statuses:?}"
            );
        }
        for timeout in ["", "5", "0s", "31s", "1m"] {
            assert!(
                check("/", &["200"], timeout).unwrap_err().starts_with("spec.probe.timeout"),
                "{timeout:?}"
            );
        }
    }
}
