//! The run before a removal: the teardown stages of a pipeline, from the record of an earlier run.

use jiff::Timestamp;

use super::{Run, RunNumber, RunState, Source, StageRun, StageState};
use crate::domain::bundle::pipeline::{Action, OnFailure, Pipeline, Stage};

/// Stands in the place of the digest of what was rendered: no digest is spelled so.
const REMOVAL: &str = "removal";

/// Which record the teardown stages are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Farewell {
    /// The run that it is of.
    pub record: RunNumber,
    /// Whether a failure of its stages may hold the removal up.
    pub may_block: bool,
}

impl Farewell {
    /// The last good run's. Where none was ever good, the last one's: its stages may have something to take back, but what never worked
    /// must not keep itself from being removed. Nor may what rests: what its stages need is scaled to zero.
    pub fn of(last: &Run, last_good: Option<RunNumber>, is_resting: bool) -> Self {
        let own = match last.source {
            Source::Record(record) => record,
            Source::Bundle => last.number,
        };
        let good = last_good.or((last.state == RunState::Succeeded).then_some(last.number));
        Self {
            record: good.unwrap_or(own),
            may_block: good.is_some() && !is_resting,
        }
    }

    /// The stages as they are carried out.
    pub fn stages(&self, pipeline: &Pipeline) -> Vec<Stage> {
        let softened = |stage: &Stage| Stage {
            on_failure: match stage.on_failure {
                OnFailure::Continue => OnFailure::Continue,
                _ if self.may_block => OnFailure::Block,
                _ => OnFailure::Continue,
            },
            ..stage.clone()
        };
        pipeline.teardown.iter().map(softened).collect()
    }
}

impl Run {
    /// The run of the teardown stages, which follows on `last`. Without any it is over at once.
    pub fn removal(last: &Self, farewell: Farewell, revision: &str, stages: &[Stage], now: Timestamp) -> Self {
        Self {
            number: last.number.next(),
            revision: revision.to_owned(),
            digest: REMOVAL.to_owned(),
            source: Source::Record(farewell.record),
            because: "the environment is being removed".to_owned(),
            started: now,
            ended: stages.is_empty().then_some(now),
            state: if stages.is_empty() {
                RunState::Succeeded
            } else {
                RunState::Running
            },
            stages: stages.iter().map(|stage| StageRun::new(&stage.name)).collect(),
        }
    }

    /// Whether it is the run before a removal.
    pub fn is_removal(&self) -> bool {
        self.digest == REMOVAL
    }

    /// Ends the run for a removal, but for what is atomic and under way: `is_in_flight` says whether a stage has begun to act at all.
    pub fn preempt(&mut self, stages: &[Stage], is_in_flight: &dyn Fn(&StageRun) -> bool, now: Timestamp) {
        let is_atomic = |own: &StageRun| {
            let stage = stages.iter().find(|stage| stage.name == own.name);
            stage.is_some_and(|stage| {
                matches!(
                    stage.action,
                    Action::Job(_) | Action::Steps(_) | Action::Webhook(_) | Action::Resource(_)
                )
            })
        };
        for own in &mut self.stages {
            let goes_on = own.state == StageState::Running && is_atomic(own) && is_in_flight(own);
            if matches!(own.state, StageState::Running | StageState::Waiting) && !goes_on {
                own.state = StageState::Skipped;
                own.ended = Some(now);
                own.message = Some("the environment is being removed".to_owned());
            }
        }
        if !self.stages.iter().any(|own| own.state == StageState::Running) && !self.is_over() {
            self.state = RunState::Superseded;
            self.ended = Some(now);
        }
    }

    /// Leaves out what has not ended, because it cannot be carried out any more: then nothing keeps the removal.
    pub fn leave_out(&mut self, why: &str, now: Timestamp) {
        for own in &mut self.stages {
            if matches!(own.state, StageState::Running | StageState::Waiting | StageState::Failed) {
                own.state = StageState::Skipped;
                own.ended = Some(now);
                own.message = Some(why.to_owned());
            }
        }
        self.state = RunState::Succeeded;
        self.ended = Some(now);
    }
}

#[cfg(test)]
mod tests;
