//! Why an environment is removed: the one thing in which the ways to its end differ.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::git::BranchName;
use super::roster::Proof;

/// What led to a removal: a closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The branch is proven to be gone.
    BranchGone,
    /// The pull request is open no more, and the Project ends environments then.
    PullRequestClosed,
    /// The pull request is open and does not pass the filters of the Project (any more).
    PullRequestFiltered,
    /// Nothing happened for longer than the Project allows.
    Expired,
    /// A person asked for it with the command line.
    Requested,
    /// The environment belonged to nothing any more.
    Orphaned,
    /// Somebody deleted the Environment object and left no word.
    Deleted,
}

/// Why an environment is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What led to it.
    pub cause: Cause,
    /// One sentence without a full stop. Part of it may come from others: one line of at most 300 characters.
    pub text: String,
}

/// So long may the sentence be.
const LONGEST: usize = 300;

impl Reason {
    /// A reason in words.
    pub fn new(cause: Cause, text: &str) -> Self {
        let printable = |character: char| if character.is_control() { ' ' } else { character };
        Self {
            cause,
            text: text.chars().take(LONGEST).map(printable).collect(),
        }
    }

    /// What the roster decided.
    pub fn proven(branch: &BranchName, proof: Proof) -> Self {
        match proof {
            Proof::SeenTwice(apart) => Self::new(
                Cause::BranchGone,
                &format!("branch {branch} is gone: the host said so twice, {} apart", words(apart)),
            ),
            Proof::AnnouncedAndConfirmed => Self::new(
                Cause::BranchGone,
                &format!("branch {branch} is gone: a signed webhook announced it and the host confirmed it"),
            ),
            Proof::PullRequestClosed { number, apart } => Self::new(
                Cause::PullRequestClosed,
                &format!(
                    "pull request {number} of branch {branch} is open no more: the host said so twice, {} apart",
                    words(apart)
                ),
            ),
            Proof::PullRequestFiltered { number, filter } => Self::new(
                Cause::PullRequestFiltered,
                &format!("pull request {number} of branch {branch} gets no environment: {}", filter.text()),
            ),
            Proof::Expired { idle, ttl } => Self::new(
                Cause::Expired,
                &format!(
                    "nothing happened to branch {branch} for {}, and spec.lifecycle.ttl of the Project is {}",
                    words(idle),
                    words(ttl)
                ),
            ),
        }
    }

    /// Somebody asked for it by `graftling env delete`; the cluster says who that is, if it can.
    pub fn requested(by: Option<&str>) -> Self {
        let text = match by {
            Some(name) => format!("{name} asked for it with graftling env delete"),
            None => "somebody asked for it with graftling env delete".to_owned(),
        };
        Self::new(Cause::Requested, &text)
    }

    /// Nobody left a reason.
    pub fn deleted() -> Self {
        Self::new(Cause::Deleted, "the Environment object was deleted")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Whole seconds, in hours, minutes and seconds.
fn words(span: Duration) -> String {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn every_proof_is_a_sentence_that_names_the_branch_and_what_decided() {
        let branch: BranchName = "feature/a".parse().unwrap();
        let apart = Duration::from_secs(70);
        let text = |proof| Reason::proven(&branch, proof).text;
        assert_eq!(
            text(Proof::SeenTwice(apart)),
            "branch feature/a is gone: the host said so twice, 1m 10s apart"
        );
        let closed = text(Proof::PullRequestClosed { number: 7, apart });
        assert_eq!(
            closed,
            "pull request 7 of branch feature/a is open no more: the host said so twice, 1m 10s apart"
        );
        let expired = text(Proof::Expired {
            idle: apart,
            ttl: Duration::from_secs(60),
        });
        assert_eq!(
            expired,
            "nothing happened to branch feature/a for 1m 10s, and spec.lifecycle.ttl of the Project is 1m"
        );
    }

    #[test]
    fn what_others_write_into_a_reason_stays_one_short_line() {
        let reason = Reason::new(Cause::Requested, &format!("a\n\u{1b}[31m{}", "x".repeat(5000)));
        assert_eq!(reason.text.chars().count(), LONGEST);
        assert!(!reason.text.contains(char::is_control));
    }
}
