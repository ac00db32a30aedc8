//! `retry`: what failed is tried again.

use super::graph::{Graph, again, ended, was_left_out};
use super::{Answer, Effect, Refusal};
use crate::domain::bundle::pipeline::Stage;
use crate::domain::run::{Run, StageRun, StageState};

/// What failed, and what was left out because of it.
pub(super) fn failed(stages: &[Stage], run: &Run, by: &str) -> Result<Answer, Refusal> {
    ended(run)?;
    let graph = Graph::new(stages, run);
    let has_failed = |stage: &StageRun| stage.state == StageState::Failed;
    if !run.stages.iter().any(has_failed) {
        return Err(Refusal::NothingFailed { run: run.number });
    }
    let left_out = run.stages.iter().filter(|stage| was_left_out(stage));
    let behind: Vec<&str> = left_out
        .map(|stage| stage.name.as_str())
        .filter(|name| graph.failed_before(name).is_some())
        .collect();
    Ok(goes_on(run, by, |stage| has_failed(stage) || behind.contains(&stage.name.as_str())))
}

/// One stage, and everything that needs it.
pub(super) fn from(stages: &[Stage], run: &Run, name: &str, by: &str) -> Result<Answer, Refusal> {
    let graph = Graph::new(stages, run);
    let first = graph.find(name)?;
    ended(run)?;
    graph.met(&first.name)?;
    let behind = graph.behind(&first.name);
    Ok(goes_on(run, by, |stage| stage.name == name || behind.contains(stage.name.as_str())))
}

fn goes_on(run: &Run, by: &str, chosen: impl Fn(&StageRun) -> bool) -> Answer {
    let stages = run.stages.iter().filter(|stage| chosen(stage));
    let names: Vec<&str> = stages.map(|stage| stage.name.as_str()).collect();
    Answer {
        told: format!("run {} goes on: {by} asked for another try of {}", run.number, names.join(", ")),
        effect: Effect::Run {
            run: again(run, chosen),
            forget: None,
        },
    }
}
