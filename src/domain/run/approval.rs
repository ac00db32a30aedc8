//! What a person's word means for a stage that waits for one.
//!
//! Who may write such a word at all is decided by the API server. What is decided here is whether it counts for this stage.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Progress, RunNumber, StageRun};

/// One person's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The run that it is about.
    pub run: RunNumber,
    /// The stage.
    pub stage: String,
    /// The try of the stage, as [`StageRun::attempt`] counts them.
    pub attempt: u32,
    /// Who says it.
    pub by: String,
    /// What is said.
    pub verdict: Verdict,
    /// Groups that the person belongs to.
    pub groups: Vec<String>,
    /// Why.
    pub comment: Option<String>,
}

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The run may go on.
    Approved,
    /// It ends here.
    Rejected,
}

/// What the stage is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// What people are asked.
    pub message: Option<String>,
    /// Only who belongs to one of these groups may say so. None: whoever has the right.
    pub groups: Vec<String>,
    /// How long until somebody is reminded, and then again each time.
    pub remind_after: Option<Duration>,
    /// How long the question stands.
    pub expires_after: Option<Duration>,
}

/// Whether it is proven who wrote what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof<'a> {
    /// The API server lets nobody write in the name of others.
    Proven,
    /// It does not: nothing counts. The words say what is missing and how to mend it.
    Unproven(&'a str),
}

/// The question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The environment, as a command names it: its name, and options that find it.
    pub environment: &'a str,
    /// The run.
    pub run: RunNumber,
    /// The stage, which has begun.
    pub stage: &'a StageRun,
    /// What it is told.
    pub terms: &'a Terms,
}

/// How it stands with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What is known of the stage.
    pub progress: Progress,
    /// How many reminders are due by now. More than the stage's `streak`: one is to be sent, and the number stored there.
    pub reminders: i32,
    /// When something becomes due without anybody's doing: a reminder or the end of the question.
    pub again: Option<Timestamp>,
}

/// Judges a question by what people said. A rejection counts before an approval, and a word before the end of the question: whoever
/// spoke in time is not overruled by a server that was down.
pub fn judge(question: &Question<'_>, approvals: &[Approval], proof: Proof<'_>, now: Timestamp) -> Judgement {
    let spoken: Vec<&Approval> = approvals.iter().filter(|approval| is_about(approval, question)).collect();
    let counts = |approval: &&&Approval| proof == Proof::Proven && belongs(approval, question.terms);
    let said = |verdict| spoken.iter().filter(counts).find(|approval| approval.verdict == verdict).copied();
    let over = |progress| Judgement {
        progress,
        reminders: question.stage.streak,
        again: None,
    };
    if let Some(rejection) = said(Verdict::Rejected) {
        return over(Progress::Failed {
            message: told("rejected", rejection),
            retry: false,
        });
    }
    if let Some(approval) = said(Verdict::Approved) {
        return over(Progress::Done {
            message: Some(told("approved", approval)),
            outputs: BTreeMap::new(),
        });
    }
    let since = question.stage.since.unwrap_or(now);
    let end = question.terms.expires_after.and_then(|span| after(since, span, 1));
    if end.is_some_and(|end| end <= now) {
        return over(Progress::Failed {
            message: expired(question, &spoken, proof),
            retry: true,
        });
    }
    let reminders = reminders(question.terms, since, now);
    let next = question.terms.remind_after.and_then(|span| after(since, span, reminders + 1));
    Judgement {
        progress: Progress::Pending {
            message: waiting(question, &spoken, proof, end),
            outside: true,
        },
        reminders,
        again: [end, next].into_iter().flatten().min(),
    }
}

fn is_about(approval: &Approval, question: &Question<'_>) -> bool {
    approval.run == question.run && approval.stage == question.stage.name && approval.attempt == question.stage.attempt()
}

fn belongs(approval: &Approval, terms: &Terms) -> bool {
    terms.groups.is_empty() || approval.groups.iter().any(|group| terms.groups.contains(group))
}

/// The command that answers a question, as it is typed.
fn command(question: &Question<'_>) -> String {
    format!("graftling env approve {} {}", question.environment, question.stage.name)
}

fn told(how: &str, approval: &Approval) -> String {
    match &approval.comment {
        Some(comment) => format!("{how} by {}: {comment}", approval.by),
        None => format!("{how} by {}", approval.by),
    }
}

fn waiting(question: &Question<'_>, spoken: &[&Approval], proof: Proof<'_>, end: Option<Timestamp>) -> String {
    // Last, because a long one is cut off.
    let asked = question.terms.message.as_ref();
    let asked = asked.map_or_else(String::new, |message| format!("; {message}"));
    let who = match question.terms.groups.as_slice() {
        [] => "somebody with the right to".to_owned(),
        [group] => format!("somebody of group {group}"),
        groups => format!("somebody of one of the groups {}", groups.join(", ")),
    };
    let until = end.map_or_else(String::new, |end| format!(" until {end}"));
    let ignored = ignored(spoken, proof).map_or_else(String::new, |ignored| format!("; {ignored}"));
    format!("waits for approval by {who}{until}: {}{ignored}{asked}", command(question))
}

fn expired(question: &Question<'_>, spoken: &[&Approval], proof: Proof<'_>) -> String {
    let ignored = ignored(spoken, proof).map_or_else(String::new, |ignored| format!("; {ignored}"));
    format!(
        "nobody approved in time{ignored}: ask again with `graftling env retry {} --from {}`",
        question.environment, question.stage.name
    )
}

/// What was said and does not count, and why. Called only where nothing counts.
fn ignored(spoken: &[&Approval], proof: Proof<'_>) -> Option<String> {
    let names: Vec<&str> = spoken.iter().map(|approval| approval.by.as_str()).collect();
    let names = match names.as_slice() {
        [] => return None,
        names => names.join(", "),
    };
    Some(match proof {
        Proof::Unproven(why) => format!("what {names} said does not count: {why}"),
        Proof::Proven => format!("what {names} said does not count, as they do not say that they belong to such a group"),
    })
}

/// How many reminders are due at `now`.
fn reminders(terms: &Terms, since: Timestamp, now: Timestamp) -> i32 {
    let Some(span) = terms.remind_after.filter(|span| !span.is_zero()) else {
        return 0;
    };
    let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    i32::try_from(waited.as_millis() / span.as_millis().max(1)).unwrap_or(i32::MAX)
}

fn after(since: Timestamp, span: Duration, times: i32) -> Option<Timestamp> {
    let span = SignedDuration::try_from(span).ok()?.checked_mul(times)?;
    since.checked_add(span).ok()
}
