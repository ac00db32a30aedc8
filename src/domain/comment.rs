//! What a comment on a pull request asks for, and whether its author may ask for it.
//!
//! Two words are understood, at the beginning of a comment: `/preview approve [STAGE]` and `/preview reject [STAGE]`.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::run::RunNumber;
use super::run::approval::{Approval, Verdict};

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
            Self::Older { .. } => "CommentTooOld",
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

/// Whether a text can be a command at all: what a hint is worth a look for.
pub fn is_addressed(body: &str) -> bool {
    command(body).is_some()
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
