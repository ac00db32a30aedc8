//! Errands: what is asked of the outside on behalf of an environment, and what an answer is worth.
//!
//! A pass never waits for one: it asks, goes on, and is woken when there is an answer.

use std::time::Duration;

use super::stage::{check, wait, webhook};

/// What is asked of the outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Errand {
    /// An HTTP request to a Service or a host of the environment.
    Http(check::Http),
    /// A TCP connection to a Service of the environment.
    Tcp(check::Tcp),
    /// A command in a container of the environment.
    Exec(check::Exec),
    /// A condition of an object in the environment's namespace.
    Condition(check::Condition),
    /// A signed call to somebody else's service.
    Webhook {
        /// What is called.
        call: Box<webhook::Webhook>,
        /// The same for every delivery of the same call, across restarts.
        idempotency_key: String,
    },
    /// How the call goes on at the other side.
    Poll {
        /// What was called.
        call: Box<webhook::Webhook>,
        /// Where the other side tells, if its answer named a place of its own.
        url: Option<String>,
    },
    /// Whether an image is in its registry.
    Image(wait::Image),
    /// How a commit status of the wished commit stands.
    CommitStatus(wait::CommitStatus),
    /// How a check run of the wished commit stands.
    CheckRun(wait::CheckRun),
    /// The environment's own URL.
    Url(UrlProbe),
    /// The files of the wished commit, into the workspace of a `steps` stage.
    Checkout {
        /// The Job whose pod waits for them.
        job: String,
    },
}

/// A look at the environment's own URL, by which it counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlProbe {
    /// The URL. Its host must be one of the environment's own.
    pub url: String,
    /// Which statuses are good.
    pub statuses: check::Statuses,
    /// How long the answer may take.
    pub within: Duration,
}

/// What an answer is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It is as it should be.
    Good,
    /// It says that whatever is waited for is not over.
    NotYet,
    /// It is not as it should be, and may be at another time.
    Bad,
    /// What was waited for is over, and not as it should be. Doing it again may help.
    Failed,
    /// It is not as it should be, and stays so until somebody changes a setting.
    Never,
}

/// What came of an errand. Bounded: at most some hundred bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it is worth.
    pub worth: Worth,
    /// What there is to tell, fit for a status.
    pub message: String,
    /// Where the next question goes, if the answer named a place.
    pub next: Option<String>,
}

/// The most characters of a message.
const MAX_MESSAGE: usize = 400;

impl Errand {
    /// The word for the kind, as metrics and logs have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Exec(_) => "exec",
            Self::Condition(_) => "condition",
            Self::Webhook { .. } => "webhook",
            Self::Poll { .. } => "poll",
            Self::Image(_) => "image",
            Self::CommitStatus(_) => "commit_status",
            Self::CheckRun(_) => "check_run",
            Self::Url(_) => "url",
            Self::Checkout { .. } => "checkout",
        }
    }
}

impl Answer {
    /// An answer whose message is fit for a status: one line, without control characters, not too long.
    pub fn new(worth: Worth, message: impl AsRef<str>) -> Self {
        Self {
            worth,
            message: told(message.as_ref(), MAX_MESSAGE),
            next: None,
        }
    }

    /// As it should be.
    pub fn good(message: impl AsRef<str>) -> Self {
        Self::new(Worth::Good, message)
    }

    /// Not over.
    pub fn not_yet(message: impl AsRef<str>) -> Self {
        Self::new(Worth::NotYet, message)
    }

    /// Not as it should be.
    pub fn bad(message: impl AsRef<str>) -> Self {
        Self::new(Worth::Bad, message)
    }

    /// Over, and not as it should be.
    pub fn failed(message: impl AsRef<str>) -> Self {
        Self::new(Worth::Failed, message)
    }

    /// Not as it should be until a setting changes.
    pub fn never(message: impl AsRef<str>) -> Self {
        Self::new(Worth::Never, message)
    }
}

/// A text of somebody else as part of a message: one line without control characters, at most `limit` characters.
pub fn told(text: &str, limit: usize) -> String {
    let mut words = String::new();
    for word in text.split(|character: char| character.is_whitespace() || is_unseen(character)) {
        if word.is_empty() {
            continue;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > 4 * limit {
            break;
        }
    }
    match words.char_indices().nth(limit) {
        None => words,
        Some((end, _)) => format!("{}…", &words[..end]),
    }
}

/// Controls, and what changes the direction or the look of a text without being seen.
fn is_unseen(character: char) -> bool {
    character.is_control() || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A URL as messages and logs may have it: without user, query and fragment, where secrets stand.
pub fn shown_url(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let plain = &url[..end];
    let Some((scheme, rest)) = plain.split_once("://") else {
        return plain.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threat_t33_what_others_say_is_one_short_line_without_control_characters() {
        let text = format!("\u{1b}[31mno\r\n\tsuch \u{0}\u{202e}thing{}", " word".repeat(500));
        let answer = Answer::bad(text);
        assert!(answer.message.starts_with("[31mno such thing word"), "{}", answer.message);
        assert!(answer.message.chars().count() <= MAX_MESSAGE + 1);
        assert!(!answer.message.contains(char::is_control));
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("https://user:pass@a.example/x?token=1#y", "https://a.example/x"),
            ("https://a.example:8443", "https://a.example:8443"),
            ("https://a.example?token=1", "https://a.example"),
            ("https://a.example/x@y", "https://a.example/x@y"),
            ("nothing?x", "nothing"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }
}
