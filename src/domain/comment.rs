//! What a comment on a pull request asks for, and whether its author may ask for it.
//!
//! What is understood stands at the beginning of a comment: `/preview approve [STAGE]` and `/preview reject [STAGE]` about a run, and the
//! orders of [`Order`] about the environment as a whole.

mod fork;
mod order;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::run::RunNumber;
use super::run::approval::{Approval, Verdict};

pub use fork::{Approves, approves, as_commit};
pub use order::{Decision, Order, Standing, Step, Subject, decide};

/// A comment as its Git host has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// The host's number of it.
    pub id: u64,
    /// The pull request that it is on.
    pub pull_request: u64,
    /// The login of its author; `None` if the account is gone.
    pub author: Option<String>,
    /// Whether a program wrote it.
    pub automated: bool,
    /// Its text.
    pub body: String,
    /// When it was written, by the host's clock, to a second.
    pub created: Timestamp,
    /// Whether it was changed since.
    pub edited: bool,
}

/// What an account may do with a repository, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Nothing.
    None,
    /// Read it.
    Read,
    /// Write to it, or more.
    Write,
}

/// What a comment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A word on a stage that waits.
    Judge(Command),
    /// Something of the environment as a whole.
    Order(Order),
}

/// A word on a stage that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is said.
    pub verdict: Verdict,
    /// Of which stage; none: of the only one that waits.
    pub stage: Option<String>,
}

/// A stage that waits for a person's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The run.
    pub run: RunNumber,
    /// The stage.
    pub stage: String,
    /// The try of the stage.
    pub attempt: u32,
    /// Since when it waits.
    pub since: Timestamp,
    /// The groups that it is reserved to.
    pub groups: Vec<String>,
}

/// Why a comment that asks for something has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEffect {
    /// It was changed.
    #[error("the comment was edited, and what it said before cannot be known: write another one")]
    Edited,
    /// A program wrote it.
    #[error("the comment is a program's, and only people approve")]
    Automated,
    /// The author may not.
    #[error("{author} may not write to the repository, so the comment has no effect")]
    Permission {
        /// The author.
        author: String,
    },
    /// It was written long ago.
    #[error("the comment is older than an hour: write another one")]
    Late,
    /// Nothing waits.
    #[error("no stage waits for approval")]
    NothingWaits,
    /// Something else waits.
    #[error("stage {stage:?} does not wait for approval; {} does", waiting.join(" and "))]
    OtherWaits {
        /// What was named.
        stage: String,
        /// The stages that wait.
        waiting: Vec<String>,
    },
    /// It is not said which.
    #[error("several stages wait for approval: name one of {} after the word", waiting.join(", "))]
    SeveralWait {
        /// Those stages.
        waiting: Vec<String>,
    },
    /// It is about something earlier.
    #[error("the comment is older than the question: stage {stage} of run {run} has asked since {since}; write another one")]
    Older {
        /// The stage.
        stage: String,
        /// The run.
        run: RunNumber,
        /// Since when it asks.
        since: Timestamp,
    },
    /// A Git host's account belongs to no group of the cluster.
    #[error("stage {stage} is reserved to the groups {}, which only `graftling env approve` can prove", groups.join(", "))]
    Reserved {
        /// The stage.
        stage: String,
        /// The groups.
        groups: Vec<String>,
    },
}

impl NoEffect {
    /// The same in one word, from a closed set: Events of one reason about one object are told as one.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Edited => "CommentEdited",
            Self::Automated => "CommentAutomated",
            Self::Permission { .. } => "CommentNotPermitted",
            Self::NothingWaits | Self::OtherWaits { .. } | Self::SeveralWait { .. } => "CommentUnasked",
            Self::Late | Self::Older { .. } => "CommentTooOld",
            Self::Reserved { .. } => "CommentOutsideOfGroup",
        }
    }
}

/// The word that every command begins with.
const ADDRESS: &str = "/preview";

/// The most characters of a stage's name.
const STAGE: usize = 63;

/// What a comment asks for; `None` if it is none of our words. Only its first line counts, so that a quotation is no command.
pub fn command(body: &str) -> Option<Command> {
    let mut words = body.lines().next()?.split_whitespace();
    if words.next()? != ADDRESS {
        return None;
    }
    let verdict = match words.next()? {
        "approve" => Verdict::Approved,
        "reject" => Verdict::Rejected,
        _ => return None,
    };
    let stage = words.next().map(str::to_owned);
    let is_possible = stage.as_ref().is_none_or(|stage| stage.chars().count() <= STAGE);
    (is_possible && words.next().is_none()).then_some(Command { verdict, stage })
}

/// What every comment of our own holds.
pub const MARKER: &str = "<!-- graftling";

/// Nothing older is acted on: whoever restores a backup of a host, or delivers again what was delivered, asks for nothing.
pub const FRESH: Duration = Duration::from_secs(60 * 60);

/// What a comment asks for; `None` if it is none of our words, or we wrote it ourselves.
pub fn wish(body: &str) -> Option<Wish> {
    if body.contains(MARKER) {
        return None;
    }
    if let Some(command) = command(body) {
        return Some(Wish::Judge(command));
    }
    let mut words = body.lines().next()?.split_whitespace();
    let verb = words.next().filter(|address| *address == ADDRESS).and_then(|_| words.next())?;
    order::read(verb, words).map(Wish::Order)
}

/// Whether a text can be a command at all: what a hint is worth a look for.
pub fn is_addressed(body: &str) -> bool {
    wish(body).is_some()
}

/// Whether a comment may lead to anything at `now`, whatever it asks for.
///
/// # Errors
/// Why not.
pub fn heard(comment: &Comment, permission: Permission, now: Timestamp) -> Result<&str, NoEffect> {
    if comment.edited {
        return Err(NoEffect::Edited);
    }
    let Some(author) = comment.author.as_deref().filter(|_| !comment.automated) else {
        return Err(NoEffect::Automated);
    };
    if permission < Permission::Write {
        return Err(NoEffect::Permission { author: author.to_owned() });
    }
    if now.duration_since(comment.created) > SignedDuration::try_from(FRESH).unwrap_or(SignedDuration::MAX) {
        return Err(NoEffect::Late);
    }
    Ok(author)
}

/// What a comment amounts to.
///
/// # Errors
/// Why it has no effect. A comment from before a question is none on it, also if it is delivered again later.
pub fn judge(comment: &Comment, command: &Command, permission: Permission, waiting: &[Waiting]) -> Result<Approval, NoEffect> {
    if comment.edited {
        return Err(NoEffect::Edited);
    }
    let Some(author) = comment.author.as_ref().filter(|_| !comment.automated) else {
        return Err(NoEffect::Automated);
    };
    if permission < Permission::Write {
        return Err(NoEffect::Permission { author: author.clone() });
    }
    let question = question(command, waiting)?;
    // The host tells whole seconds.
    if comment.created.as_second() < question.since.as_second() {
        return Err(NoEffect::Older {
            stage: question.stage.clone(),
            run: question.run,
            since: question.since,
        });
    }
    if !question.groups.is_empty() {
        return Err(NoEffect::Reserved {
            stage: question.stage.clone(),
            groups: question.groups.clone(),
        });
    }
    Ok(Approval {
        run: question.run,
        stage: question.stage.clone(),
        attempt: question.attempt,
        by: format!("{author} (pull request comment)"),
        verdict: command.verdict,
        groups: Vec::new(),
        comment: Some(format!("comment {} of pull request {}", comment.id, comment.pull_request)),
    })
}

fn question<'a>(command: &Command, waiting: &'a [Waiting]) -> Result<&'a Waiting, NoEffect> {
    let names = || waiting.iter().map(|waiting| waiting.stage.clone()).collect();
    match (&command.stage, waiting) {
        (_, []) => Err(NoEffect::NothingWaits),
        (None, [one]) => Ok(one),
        (None, _) => Err(NoEffect::SeveralWait { waiting: names() }),
        (Some(stage), _) => waiting.iter().find(|one| one.stage == *stage).ok_or_else(|| NoEffect::OtherWaits {
            stage: stage.clone(),
            waiting: names(),
        }),
    }
}
