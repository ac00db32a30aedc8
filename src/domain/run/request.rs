//! What somebody asks of a run by hand, and what it does to the run.
//!
//! A request is acted on once: its id is stored with what came of it. What cannot be done changes nothing and says what to do instead.

mod graph;
mod rerun;
mod retry;
mod rollback;
mod skip;
mod sync;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::{Run, RunNumber, RunState};
use crate::domain::bundle::pipeline::Stage;
use crate::domain::manifest::ObjectKey;

pub use rollback::Rollback;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What tells it from every other.
    pub id: String,
    /// What is asked for.
    pub action: Action,
    /// Who asks.
    pub by: String,
}

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// What failed is tried again; or everything from one stage on.
    Retry {
        /// The stage to begin from.
        from: Option<String>,
    },
    /// A stage does not run, and what needs it goes on.
    Skip {
        /// The stage.
        stage: String,
    },
    /// A stage runs once more.
    Rerun {
        /// The stage.
        stage: String,
    },
    /// What an earlier run applied is put back.
    Rollback {
        /// Which one.
        to: Goal,
    },
    /// Only some objects are put right.
    Sync {
        /// Which ones; at least one.
        only: Vec<ObjectName>,
    },
}

/// Which run to roll back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// The last good one before what is shown.
    Previous,
    /// The last one of this revision, given whole or by its beginning.
    Revision(String),
    /// This one.
    Run(RunNumber),
}

/// An object as people name it: `KIND/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// The kind, in any case.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// A text that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no object: write KIND/NAME, for example Deployment/web")]
pub struct ObjectNameError {
    /// The text.
    pub text: String,
}

/// What a request is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The stages of the run.
    pub stages: &'a [Stage],
    /// The last run, under way or ended.
    pub run: Option<&'a Run>,
    /// The runs whose record is kept and can be put back, in any order.
    pub records: &'a [Recorded],
    /// The objects that the environment consists of.
    pub objects: &'a [ObjectKey],
    /// Why nothing may be asked for now, with what to do about it: the environment is paused, rests, or cannot be rendered.
    pub closed: Option<&'a str>,
}

/// A run whose record is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its number.
    pub run: RunNumber,
    /// Its revision.
    pub revision: String,
}

/// What a request does.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What becomes of it.
    pub effect: Effect,
    /// The same in one sentence.
    pub told: String,
}

/// What becomes of a request that is granted.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The run goes on like this.
    Run {
        /// The run, in place of what it was.
        run: Run,
        /// A stage that counts as never run in the life of the environment.
        forget: Option<String>,
    },
    /// A run begins that puts back what an earlier one applied. It ends the run under way.
    Rollback(Rollback),
    /// The next pass puts right these objects and no others.
    Sync(Vec<ObjectKey>),
}

/// Why nothing is done. Each says what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing may be asked for.
    #[error("{why}")]
    Closed {
        /// Why, with what to do about it.
        why: String,
    },
    /// There was no run.
    #[error("nothing has run yet, so there is nothing to {verb}; a run begins by itself")]
    NoRun {
        /// What was asked for.
        verb: &'static str,
    },
    /// A newer wish took the place of the run.
    #[error("run {run} has ended because a newer one takes its place: ask again once that has begun")]
    Superseded {
        /// The run.
        run: RunNumber,
    },
    /// No stage is called so.
    #[error("run {run} has no stage {stage:?}{hint}; it has {}", stages.join(", "))]
    NoStage {
        /// The run.
        run: RunNumber,
        /// What was asked for.
        stage: String,
        /// A near name, worded to follow it.
        hint: String,
        /// The stages that there are.
        stages: Vec<String>,
    },
    /// The run is under way.
    #[error("run {run} is under way at {}: wait for its end, or skip what keeps it with `graftling env skip`", stages.join(", "))]
    UnderWay {
        /// The run.
        run: RunNumber,
        /// The stages that are not over.
        stages: Vec<String>,
    },
    /// Nothing has failed.
    #[error("no stage of run {run} has failed: to run one again all the same, use `graftling env retry --from STAGE`")]
    NothingFailed {
        /// The run.
        run: RunNumber,
    },
    /// Something that the stage needs is not done.
    #[error("stage {stage} needs {need}, which has not succeeded: begin there, with `graftling env retry --from {need}`")]
    NeedsFirst {
        /// The stage.
        stage: String,
        /// What it needs.
        need: String,
    },
    /// It would go around a person's word.
    #[error("stage {stage} waits for a person's word and cannot be skipped: use `graftling env approve` or `graftling env reject`")]
    Approve {
        /// The stage.
        stage: String,
    },
    /// Containers of the stage are running.
    #[error("stage {stage} has containers under way, and those are never killed: wait for their end or for the stage's timeout")]
    InFlight {
        /// The stage.
        stage: String,
    },
    /// There is nothing to skip.
    #[error("stage {stage} {how}, so there is nothing to skip")]
    Over {
        /// The stage.
        stage: String,
        /// How it ended.
        how: &'static str,
    },
    /// Another stage keeps it from running.
    #[error("stage {stage} did not run because {cause} failed: skip that one, or try it again with `graftling env retry`")]
    SkippedBehind {
        /// The stage.
        stage: String,
        /// What failed.
        cause: String,
    },
    /// No such run is kept.
    #[error("there is no record of {wanted}; {}", rollback::choice(possible))]
    NoRecord {
        /// What was asked for, in words.
        wanted: String,
        /// The runs that can be put back, newest first.
        possible: Vec<Recorded>,
    },
    /// Several revisions begin so.
    #[error("{text} is the beginning of several revisions, {}: give more digits", revisions.join(", "))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// The revisions.
        revisions: Vec<String>,
    },
    /// It is shown already.
    #[error("run {run} is what is shown already; {}", rollback::choice(possible))]
    ShownAlready {
        /// The run.
        run: RunNumber,
        /// The runs that can be put back, newest first.
        possible: Vec<Recorded>,
    },
    /// The environment has no such object.
    #[error("the environment has no object {object}{hint}; `graftling env describe` lists what it has")]
    NoObject {
        /// What was asked for.
        object: ObjectName,
        /// Near names, worded to follow it.
        hint: String,
    },
}

/// What `request` does to what is known. Nothing is changed where it is refused.
///
/// # Errors
/// Why nothing is done, and what to do instead.
pub fn answer(request: &Request, known: &Known<'_>, now: Timestamp) -> Result<Answer, Refusal> {
    if let Some(why) = known.closed {
        return Err(Refusal::Closed { why: why.to_owned() });
    }
    let by = request.by.as_str();
    match &request.action {
        Action::Retry { from: None } => retry::failed(known.stages, last(known, "retry")?, by),
        Action::Retry { from: Some(stage) } => retry::from(known.stages, last(known, "retry")?, stage, by),
        Action::Skip { stage } => skip::skip(known.stages, last(known, "skip")?, stage, by, now),
        Action::Rerun { stage } => rerun::rerun(known.stages, last(known, "run again")?, stage, by),
        Action::Rollback { to } => rollback::rollback(known, to, by),
        Action::Sync { only } => sync::sync(known.objects, only, by),
    }
}

fn last<'a>(known: &Known<'a>, verb: &'static str) -> Result<&'a Run, Refusal> {
    let run = known.run.ok_or(Refusal::NoRun { verb })?;
    match run.state {
        RunState::Superseded => Err(Refusal::Superseded { run: run.number }),
        _ => Ok(run),
    }
}

// === impl ObjectName ===

impl FromStr for ObjectName {
    type Err = ObjectNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text
            .split_once('/')
            .filter(|(kind, name)| !kind.is_empty() && !name.is_empty() && !name.contains('/'));
        let (kind, name) = parts.ok_or_else(|| ObjectNameError { text: text.to_owned() })?;
        Ok(Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind, self.name)
    }
}
