//! Which run a pass works on: the one under way, or a new one for what is wished now.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::advance::add;
use super::{Progress, Run, RunNumber, RunState, Source, StageRun, StageState};
use crate::domain::bundle::pipeline::{Action, Stage};

/// What a run is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wished {
    /// The revision.
    pub revision: String,
    /// The digest of what was rendered for it.
    pub digest: String,
}

/// A newer wish waits so long for objects that are on their way.
const SETTLING: std::time::Duration = std::time::Duration::from_secs(30);

/// Whether `run` is for this wish.
pub fn is_for(run: &Run, wished: &Wished) -> bool {
    run.revision == wished.revision && run.digest == wished.digest
}

/// A new run, which follows on `last`.
pub fn begin(last: Option<&Run>, wished: &Wished, source: Source, stages: &[Stage], now: Timestamp) -> Run {
    let number = last.map_or(RunNumber::default(), |last| last.number).next();
    Run {
        number,
        revision: wished.revision.clone(),
        digest: wished.digest.clone(),
        because: because(last, wished, &source),
        source,
        started: now,
        ended: None,
        state: RunState::Running,
        stages: stages.iter().map(|stage| StageRun::new(&stage.name)).collect(),
    }
}

fn because(last: Option<&Run>, wished: &Wished, source: &Source) -> String {
    match (last, source) {
        (_, Source::Record(number)) => format!("somebody asked for what run {number} had"),
        (None, Source::Bundle) => "the environment is new".to_owned(),
        (Some(last), Source::Bundle) if last.revision != wished.revision => "the branch moved".to_owned(),
        (Some(_), Source::Bundle) => "the bundle, the Project or its values changed".to_owned(),
    }
}

impl Run {
    /// Whether a newer wish may take the place of this run now.
    ///
    /// What is atomic goes on to its end: a job, steps, a call, a resource. Whoever waits for a person or for something outside need not be
    /// waited for, nor need objects that have failed or have had half a minute to become ready.
    pub fn yields(&self, stages: &[Stage], progress: &BTreeMap<String, Progress>, now: Timestamp) -> bool {
        let may_go = |own: &StageRun| {
            let action = stages.iter().find(|stage| stage.name == own.name).map(|stage| &stage.action);
            match action {
                Some(Action::Job(_) | Action::Steps(_) | Action::Webhook(_) | Action::Resource(_)) => false,
                Some(Action::Check(_) | Action::Approve(_) | Action::Wait(_)) | None => true,
                Some(Action::Apply(_)) => {
                    let failed = matches!(progress.get(&own.name), Some(Progress::Failed { .. }));
                    failed || own.since.is_none_or(|since| add(since, SETTLING) <= now)
                }
            }
        };
        self.is_over() || self.stages.iter().filter(|own| own.state == StageState::Running).all(may_go)
    }

    /// When objects that are on their way need not be waited for any longer.
    pub fn settled_at(&self) -> Option<Timestamp> {
        let running = self.stages.iter().filter(|own| own.state == StageState::Running);
        running.filter_map(|own| own.since).map(|since| add(since, SETTLING)).max()
    }

    /// Ends the run, because a newer wish takes its place.
    pub fn supersede(&mut self, now: Timestamp) {
        for stage in &mut self.stages {
            if matches!(stage.state, StageState::Running | StageState::Waiting) {
                stage.state = StageState::Skipped;
                stage.ended = Some(now);
                stage.message = Some("a newer commit took its place".to_owned());
            }
        }
        self.state = RunState::Superseded;
        self.ended = Some(now);
    }
}
