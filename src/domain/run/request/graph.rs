//! What requests ask of the graph of a run's stages.

use std::collections::BTreeSet;

use super::Refusal;
use crate::domain::bundle::pipeline::{Action, OnFailure, Stage};
use crate::domain::render::suggest::did_you_mean;
use crate::domain::run::{ByHand, Run, RunState, StageRun, StageState};

/// A run beside the stages that it is a pass of.
#[derive(Clone, Copy)]
pub(super) struct Graph<'a> {
    stages: &'a [Stage],
    run: &'a Run,
}

impl<'a> Graph<'a> {
    pub(super) fn new(stages: &'a [Stage], run: &'a Run) -> Self {
        Self { stages, run }
    }

    /// The stage of the run called `name`.
    pub(super) fn find(&self, name: &str) -> Result<&'a StageRun, Refusal> {
        self.run.stages.iter().find(|stage| stage.name == name).ok_or_else(|| {
            let names = || self.run.stages.iter().map(|stage| stage.name.as_str());
            Refusal::NoStage {
                run: self.run.number,
                stage: name.to_owned(),
                hint: did_you_mean(name, names()),
                stages: names().map(str::to_owned).collect(),
            }
        })
    }

    /// What is written of the stage called `name`.
    fn written(&self, name: &str) -> Option<&'a Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    pub(super) fn is_approve(&self, name: &str) -> bool {
        self.written(name).is_some_and(|stage| matches!(stage.action, Action::Approve(_)))
    }

    /// The first stage whose containers are under way.
    pub(super) fn in_flight(&self) -> Option<&'a StageRun> {
        self.run.stages.iter().find(|stage| self.is_in_flight(stage))
    }

    pub(super) fn is_in_flight(&self, stage: &StageRun) -> bool {
        let written = self.written(&stage.name);
        stage.state == StageState::Running && written.is_some_and(|written| matches!(written.action, Action::Job(_) | Action::Steps(_)))
    }

    /// Everything that needs `name`, directly or through others, without `name`.
    pub(super) fn behind(&self, name: &'a str) -> BTreeSet<&'a str> {
        let needs = |next: &str| {
            let next = next.to_owned();
            let followers = self.stages.iter().filter(move |stage| stage.needs.contains(&next));
            followers.map(|stage| stage.name.as_str())
        };
        reach(name, needs)
    }

    /// Everything that `name` needs, directly or through others, without `name`.
    fn before(&self, name: &'a str) -> BTreeSet<&'a str> {
        let needs = |next: &str| {
            self.written(next)
                .into_iter()
                .flat_map(|stage| stage.needs.iter().map(String::as_str))
        };
        reach(name, needs)
    }

    /// The first stage before `name` that is not over, or holds it back.
    fn unmet(&self, name: &'a str) -> Option<&'a StageRun> {
        let before = self.before(name);
        let is_unmet = |stage: &&StageRun| before.contains(stage.name.as_str()) && (is_open(stage) || self.holds_back(stage));
        self.run.stages.iter().find(is_unmet)
    }

    /// Refuses a stage before which something is not over, or holds it back.
    pub(super) fn met(&self, name: &'a str) -> Result<(), Refusal> {
        match self.unmet(name) {
            None => Ok(()),
            Some(need) => Err(Refusal::NeedsFirst {
                stage: name.to_owned(),
                need: need.name.clone(),
            }),
        }
    }

    /// The first stage before `name` that has failed and holds it back.
    pub(super) fn failed_before(&self, name: &'a str) -> Option<&'a StageRun> {
        let before = self.before(name);
        let has_failed = |stage: &&StageRun| before.contains(stage.name.as_str()) && self.holds_back(stage);
        self.run.stages.iter().find(has_failed)
    }

    fn holds_back(&self, stage: &StageRun) -> bool {
        let written = self.written(&stage.name);
        let goes_on = written.is_some_and(|written| written.on_failure == OnFailure::Continue);
        stage.state == StageState::Failed && !goes_on
    }
}

/// What can be reached from `start` by `next`, without `start`: the graph has no circles.
fn reach<'a, I: Iterator<Item = &'a str>>(start: &'a str, next: impl Fn(&str) -> I) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        open.extend(next(at).filter(|name| found.insert(*name)));
    }
    found
}

fn is_open(stage: &StageRun) -> bool {
    matches!(stage.state, StageState::Waiting | StageState::Running)
}

/// Refuses what has to wait for the end of a run.
pub(super) fn ended(run: &Run) -> Result<(), Refusal> {
    match run.state {
        RunState::Running => Err(Refusal::UnderWay {
            run: run.number,
            stages: run
                .stages
                .iter()
                .filter(|stage| is_open(stage))
                .map(|stage| stage.name.clone())
                .collect(),
        }),
        RunState::Succeeded | RunState::Failed | RunState::RolledBack | RunState::Superseded => Ok(()),
    }
}

/// The run with some of its stages as if they had not begun.
pub(super) fn again(run: &Run, chosen: impl Fn(&StageRun) -> bool) -> Run {
    let mut run = run.clone();
    for stage in run.stages.iter_mut().filter(|stage| chosen(stage)) {
        begin_anew(stage);
    }
    reopen(&mut run);
    run
}

/// Lets a run go on that may have ended.
pub(super) fn reopen(run: &mut Run) {
    run.state = RunState::Running;
    run.ended = None;
}

/// Takes back what the stage has come to. The numbers of its tries go on, because Jobs and calls that bear them were made.
pub(super) fn begin_anew(stage: &mut StageRun) {
    stage.state = StageState::Waiting;
    stage.earlier += stage.tries;
    stage.tries = 0;
    stage.by_hand = None;
    stage.since = None;
    stage.ended = None;
    stage.not_before = None;
    stage.streak = 0;
    stage.message = None;
    stage.outputs.clear();
    stage.failed_need = None;
}

/// Whether the stage was skipped by the run itself and not by a person.
pub(super) fn was_left_out(stage: &StageRun) -> bool {
    stage.state == StageState::Skipped && stage.by_hand != Some(ByHand::Skip)
}
