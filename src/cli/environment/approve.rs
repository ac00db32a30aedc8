//! `graftling env approve` and `reject`: a person's word on a stage that waits for one.

use clap::Args;

use super::Selection;
use super::follow::{Patience, until};
use super::request::{WaitingForRun, done};
use super::show::reference;
use crate::api::Environment;
use crate::api::environment::requests::{PendingApproval, Verdict};
use crate::app::access::{Caller, Word};
use crate::cli::output::print;
use crate::cli::printable::printable;
use crate::domain::render::suggest::did_you_mean;

/// Which environment, and which stage.
#[derive(Debug, Args)]
#[command(after_help = "\
Whoever approves or rejects needs the right to update environments/approval in the namespace of the
Project; the README of the chart shows a Role for it. A stage may also be reserved to some groups.
The word is for this commit alone: after a push, the stage asks again.")]
pub struct Arguments {
    /// The stage, where several wait
    #[arg(index = 2, value_name = "STAGE")]
    stage: Option<String>,
    /// Why, for whoever looks at the run
    #[arg(long, value_name = "TEXT", value_parser = parse_comment)]
    comment: Option<String>,
    #[command(flatten)]
    waiting: WaitingForRun,
    #[command(flatten)]
    selection: Selection,
}

/// Why no word was given.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// No stage waits for one.
    #[error("{environment}: no stage waits for approval")]
    FindNone {
        /// The environment.
        environment: String,
    },
    /// Not this one.
    #[error("{environment}: stage {stage:?} does not wait for approval{hint}; {} does", waiting.join(" and "))]
    FindStage {
        /// The environment.
        environment: String,
        /// What was asked for.
        stage: String,
        /// A near name, worded to follow it.
        hint: String,
        /// The stages that wait.
        waiting: Vec<String>,
    },
    /// Several do.
    #[error("{environment}: several stages wait for approval, {}: name the one that you mean", waiting.join(" and "))]
    FindSeveral {
        /// The environment.
        environment: String,
        /// Those stages.
        waiting: Vec<String>,
    },
    /// The run that the word is for has ended.
    #[error("{environment}: a newer commit took the place of run {run} before the word was taken in; it asks anew")]
    Overtaken {
        /// The environment.
        environment: String,
        /// The run.
        run: u64,
    },
    /// It is reserved to others.
    #[error(
        "{environment}: stage {stage} is reserved to the groups {}, and you, {name}, belong to none of them; you belong to {}",
        reserved.join(", "), if groups.is_empty() { "no group".to_owned() } else { groups.join(", ") }
    )]
    Reserve {
        /// The environment.
        environment: String,
        /// The stage.
        stage: String,
        /// Who we are.
        name: String,
        /// The groups that it is reserved to.
        reserved: Vec<String>,
        /// Our groups.
        groups: Vec<String>,
    },
}

fn parse_comment(text: &str) -> Result<String, String> {
    match text.chars().count() {
        0..=512 => Ok(text.to_owned()),
        count => Err(format!("it has {count} characters, and 512 are possible")),
    }
}

/// Says so, and waits until the run has taken it in.
pub async fn run(arguments: Arguments, verdict: Verdict) -> anyhow::Result<()> {
    let Arguments {
        selection,
        stage,
        comment,
        waiting,
    } = arguments;
    let (access, environment) = selection.find().await?;
    let pending = choose(&environment, stage.as_deref())?;
    let caller = access.caller().await?;
    let word = Word {
        run: pending.run,
        stage: pending.stage.clone(),
        attempt: pending.attempt,
        verdict,
        groups: groups(&environment, pending, &caller)?,
        comment,
    };
    done(&environment, access.say(&environment, &caller, &word).await?)?;
    let (named, how) = (reference(&environment), how(verdict));
    if waiting.answer.no_wait {
        print(&format!("{named}: stage {} {how}\n", word.stage))?;
        return Ok(());
    }
    let patience = Patience {
        limit: waiting.answer.timeout,
        what: "the server has not taken it in",
        goes_on: "the word stays and is taken in once a server runs",
    };
    let message = until(&access, &environment, patience, |seen| {
        let waits = pendings(seen).iter().any(|other| is_same(other, pending));
        (!waits).then(|| outcome(seen, &word))
    });
    let message = message.await??.unwrap_or_else(|| how.to_owned());
    print(&format!("{named}: stage {}: {}\n", word.stage, printable(&message)))?;
    waiting.end(&access, &environment).await
}

fn pendings(environment: &Environment) -> &[PendingApproval] {
    let status = environment.status.as_ref();
    status.map(|status| status.pending_approvals.as_slice()).unwrap_or_default()
}

fn is_same(one: &PendingApproval, other: &PendingApproval) -> bool {
    (one.run, &one.stage, one.attempt) == (other.run, &other.stage, other.attempt)
}

/// The question that is meant.
fn choose<'a>(environment: &'a Environment, stage: Option<&str>) -> Result<&'a PendingApproval, ApproveError> {
    let pending = pendings(environment);
    let named = || reference(environment);
    let names = || pending.iter().map(|pending| pending.stage.as_str());
    let waiting = || names().map(printable).collect();
    match (stage, pending) {
        (_, []) => Err(ApproveError::FindNone { environment: named() }),
        (None, [one]) => Ok(one),
        (None, _) => Err(ApproveError::FindSeveral {
            environment: named(),
            waiting: waiting(),
        }),
        (Some(stage), _) => pending
            .iter()
            .find(|pending| pending.stage == stage)
            .ok_or_else(|| ApproveError::FindStage {
                environment: named(),
                stage: stage.to_owned(),
                hint: did_you_mean(stage, names()),
                waiting: waiting(),
            }),
    }
}

/// Those of our groups that the stage is reserved to.
fn groups(environment: &Environment, pending: &PendingApproval, caller: &Caller) -> Result<Vec<String>, ApproveError> {
    let ours: Vec<String> = pending
        .groups
        .iter()
        .filter(|group| caller.groups.contains(group))
        .cloned()
        .collect();
    if ours.is_empty() && !pending.groups.is_empty() {
        return Err(ApproveError::Reserve {
            environment: reference(environment),
            stage: printable(&pending.stage),
            name: printable(&caller.name),
            reserved: pending.groups.iter().map(|group| printable(group)).collect(),
            groups: caller.groups.iter().map(|group| printable(group)).collect(),
        });
    }
    Ok(ours)
}

/// What the status says of a stage that waits no longer.
fn outcome(environment: &Environment, word: &Word) -> Result<Option<String>, ApproveError> {
    let status = environment.status.as_ref();
    let run = status.and_then(|status| status.run.as_ref());
    if run.is_some_and(|run| run.number != word.run) {
        return Err(ApproveError::Overtaken {
            environment: reference(environment),
            run: word.run,
        });
    }
    let mut stages = status.into_iter().flat_map(|status| &status.stages);
    Ok(stages
        .find(|known| known.name == word.stage)
        .and_then(|stage| stage.message.clone()))
}

fn how(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "approved",
        Verdict::Rejected => "rejected",
    }
}

#[cfg(test)]
mod tests;
