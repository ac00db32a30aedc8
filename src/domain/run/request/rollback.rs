//! `rollback`: what an earlier run applied is put back, from its record.

use super::graph::Graph;
use super::{Answer, Effect, Goal, Known, Recorded, Refusal};
use crate::domain::run::{Run, RunNumber, RunState, Source};

/// A run that puts back what an earlier one applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// The run whose record it comes from.
    pub to: RunNumber,
    /// The revision of that run.
    pub revision: String,
    /// Why it begins, worded to follow the word "because".
    pub because: String,
}

/// How many letters of a revision people are shown.
const SHORT: usize = 12;

/// How many runs a refusal names.
const NAMED: usize = 10;

pub(super) fn rollback(known: &Known<'_>, to: &Goal, by: &str) -> Result<Answer, Refusal> {
    let mut possible = known.records.to_vec();
    possible.sort_by_key(|recorded| std::cmp::Reverse(recorded.run));
    let found = find(known.run, to, possible)?;
    if let Some(stage) = known.run.and_then(|run| Graph::new(known.stages, run).in_flight()) {
        return Err(Refusal::InFlight { stage: stage.name.clone() });
    }
    let place = format!("run {} (revision {})", found.run, short(&found.revision));
    Ok(Answer {
        told: format!("a new run puts back what {place} applied: {by} asked for it"),
        effect: Effect::Rollback(Rollback {
            to: found.run,
            because: format!("{by} asked to roll back to {place}"),
            revision: found.revision,
        }),
    })
}

/// The run that is meant, of those that can be put back, newest first.
fn find(last: Option<&Run>, to: &Goal, possible: Vec<Recorded>) -> Result<Recorded, Refusal> {
    let (wanted, found) = match to {
        Goal::Previous => {
            let is_before = |recorded: &&Recorded| last.is_none_or(|run| recorded.run < origin(run));
            ("a good run before this one".to_owned(), possible.iter().find(is_before))
        }
        Goal::Run(number) => (format!("run {number}"), possible.iter().find(|recorded| recorded.run == *number)),
        Goal::Revision(text) => (format!("revision {text}"), of_revision(&possible, text)?),
    };
    match found.cloned() {
        None => Err(Refusal::NoRecord { wanted, possible }),
        Some(found) if last.is_some_and(|run| run.state == RunState::Succeeded && origin(run) == found.run) => {
            Err(Refusal::ShownAlready { run: found.run, possible })
        }
        Some(found) => Ok(found),
    }
}

/// The last run of the one revision that begins like `text`.
fn of_revision<'a>(possible: &'a [Recorded], text: &str) -> Result<Option<&'a Recorded>, Refusal> {
    let fits = || possible.iter().filter(|recorded| recorded.revision.starts_with(text));
    let mut revisions: Vec<String> = fits().map(|recorded| recorded.revision.clone()).collect();
    revisions.sort_unstable();
    revisions.dedup();
    match revisions.len() {
        0 | 1 => Ok(fits().next()),
        _ => Err(Refusal::Ambiguous {
            text: text.to_owned(),
            revisions,
        }),
    }
}

/// The run whose objects a run applies.
fn origin(run: &Run) -> RunNumber {
    match run.source {
        Source::Bundle => run.number,
        Source::Record(number) => number,
    }
}

/// What can be chosen, as the end of a sentence.
pub(super) fn choice(possible: &[Recorded]) -> String {
    if possible.is_empty() {
        return "no record of a good run is kept yet, so push the revision that is wanted instead".to_owned();
    }
    let name = |recorded: &Recorded| format!("{} (run {})", short(&recorded.revision), recorded.run);
    let named: Vec<String> = possible.iter().take(NAMED).map(name).collect();
    format!("what can be put back: {}", named.join(", "))
}

fn short(revision: &str) -> String {
    revision.chars().take(SHORT).collect()
}
