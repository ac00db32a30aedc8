//! Runs: one pass of a pipeline for one wish, from its first stage to its end.
//!
//! A run is stored in the Environment's status between passes, so whatever dies in between, the next pass goes on where it stood. Nothing
//! here reads a clock: the time of the pass comes in.

mod advance;
pub mod approval;
mod begin;
mod removal;
pub mod request;
mod staged;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::inventory::Inventory;
use super::manifest::ObjectKey;
use super::record::is_record;
use super::stage::job_name;
use super::stage::outputs::Outputs;
pub use advance::Turn;
pub use begin::{Wished, begin, is_for};
pub use removal::Farewell;
pub(crate) use staged::needed;
pub use staged::{DEPLOY_STAGE, Reached, Staged, apply_progress};

/// The number of a run in the life of its environment. It only grows, so that a run that is late is known by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RunNumber(pub u64);

/// One pass of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its number.
    pub number: RunNumber,
    /// The revision that it is for.
    pub revision: String,
    /// The digest of what was rendered for it: objects, without the values of Secrets, and stages.
    pub digest: String,
    /// Where its objects come from.
    pub source: Source,
    /// Why it began, worded to follow the word "because".
    pub because: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it stands.
    pub state: RunState,
    /// Its stages in the order of the pipeline.
    pub stages: Vec<StageRun>,
}

/// Where the objects of a run come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The Project's bundle, rendered anew.
    Bundle,
    /// The record of an earlier run, put back as it was.
    Record(RunNumber),
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Something is under way or waits.
    Running,
    /// Every stage that had to succeed has.
    Succeeded,
    /// A stage failed, and later ones are left alone.
    Failed,
    /// A stage failed, and the last good state was put back.
    RolledBack,
    /// A newer wish took its place before its end.
    Superseded,
}

/// One stage of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct StageRun {
    /// The name of the stage.
    pub name: String,
    /// How it stands.
    pub state: StageState,
    /// How many tries have begun.
    pub tries: u32,
    /// How many tries had begun before somebody asked for it again: what bears the number of a try goes on counting.
    pub earlier: u32,
    /// What somebody decided about it, over its condition and its end.
    pub by_hand: Option<ByHand>,
    /// When the present try began, or the last one.
    pub since: Option<Timestamp>,
    /// When it ended, whatever came of it.
    pub ended: Option<Timestamp>,
    /// Not before this time does the next try begin.
    pub not_before: Option<Timestamp>,
    /// How many answers in a row were good (above zero) or bad (below), where a stage counts them.
    pub streak: i32,
    /// What it waits for, or why it ended as it did.
    pub message: Option<String>,
    /// The small results that it hands on.
    pub outputs: BTreeMap<String, String>,
    /// The stage whose failure keeps it from running; it is skipped then.
    pub failed_need: Option<String>,
}

/// How a stage of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageState {
    /// What it needs has not succeeded yet.
    Waiting,
    /// It is under way.
    Running,
    /// It has succeeded.
    Succeeded,
    /// It has failed.
    Failed,
    /// It does not run in this run: its condition does not hold, what it needs failed, or somebody skipped it.
    Skipped,
}

/// What somebody decided about a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByHand {
    /// It does not run. Where it waits, it is skipped once what it needs has succeeded; what needs it goes on as if it had succeeded.
    Skip,
    /// It runs, whatever its condition says, and also if it has run once and runs only once.
    Run,
}

/// What is known of a stage that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Pending {
        /// What it waits for.
        message: String,
        /// Whether it waits for somebody or something outside: then a newer wish need not wait for it.
        outside: bool,
    },
    /// It has succeeded.
    Done {
        /// What is worth telling.
        message: Option<String>,
        /// What it hands on.
        outputs: BTreeMap<String, String>,
    },
    /// The present try has failed.
    Failed {
        /// Why.
        message: String,
        /// Whether another try can help. What was rejected by a person, for example, is not asked again.
        retry: bool,
    },
}

// === impl RunNumber ===

impl RunNumber {
    /// The number of the run that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for RunNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

// === impl Run ===

impl Run {
    /// A stage by its name.
    pub fn stage(&self, name: &str) -> Option<&StageRun> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    fn stage_mut(&mut self, name: &str) -> Option<&mut StageRun> {
        self.stages.iter_mut().find(|stage| stage.name == name)
    }

    /// What its stages have handed on so far.
    pub fn outputs(&self) -> Outputs {
        let stages = self.stages.iter().filter(|stage| !stage.outputs.is_empty());
        stages.map(|stage| (stage.name.clone(), stage.outputs.clone())).collect()
    }

    /// What is kept beside the objects of the bundle: records of runs, and the Jobs of this one with their accounts.
    pub fn kept_beside(&self, inventory: &Inventory) -> BTreeSet<ObjectKey> {
        let tries = |stage: &StageRun| -> Vec<String> {
            let tried = (1..=stage.attempt()).filter(|_| stage.tries > 0 || stage.earlier > 0);
            tried.map(|attempt| job_name(&stage.name, self.number, attempt)).collect()
        };
        let jobs: BTreeSet<String> = self.stages.iter().flat_map(tries).collect();
        let is_of_job = |key: &ObjectKey| matches!(key.kind.as_str(), "Job" | "ServiceAccount") && jobs.contains(&key.name);
        let keys = inventory.iter().map(|(key, _)| key);
        keys.filter(|key| is_record(key) || is_of_job(key)).cloned().collect()
    }

    /// Keeps how many answers in a row a stage has had.
    pub fn keep_streak(&mut self, stage: &str, streak: i32) {
        if let Some(stage) = self.stage_mut(stage) {
            stage.streak = streak;
        }
    }

    /// Whether it has come to its end.
    pub fn is_over(&self) -> bool {
        self.state != RunState::Running
    }
}

// === impl StageRun ===

impl StageRun {
    /// A stage that has not begun.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: StageState::Waiting,
            tries: 0,
            earlier: 0,
            by_hand: None,
            since: None,
            ended: None,
            not_before: None,
            streak: 0,
            message: None,
            outputs: BTreeMap::new(),
            failed_need: None,
        }
    }

    /// The number of the present try in the life of its run, from 1: a name or a word that bears it is never given twice.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.earlier + self.tries.max(1)
    }
}

// === impl states ===

impl ByHand {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Skip, Self::Run];

    /// The word in a status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "Skip",
            Self::Run => "Run",
        }
    }

    /// What a word in a status means.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.name() == name)
    }
}

impl RunState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Running, Self::Succeeded, Self::Failed, Self::RolledBack, Self::Superseded];

    /// The state's name in a status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::RolledBack => "RolledBack",
            Self::Superseded => "Superseded",
        }
    }

    /// The state of a name in a status.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl StageState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Succeeded, Self::Failed, Self::Skipped];

    /// The state's name in a status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Skipped => "Skipped",
        }
    }

    /// The state of a name in a status.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}
