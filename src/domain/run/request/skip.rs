//! `skip`: a stage does not run, and what needs it goes on.

use jiff::Timestamp;

use super::graph::{Graph, begin_anew, reopen, was_left_out};
use super::{Answer, Effect, Refusal};
use crate::domain::bundle::pipeline::Stage;
use crate::domain::run::{ByHand, Run, StageRun, StageState};

/// One stage. A stage that waits for a person's word is never skipped: whoever may skip need not be who may approve.
pub(super) fn skip(stages: &[Stage], run: &Run, name: &str, by: &str, now: Timestamp) -> Result<Answer, Refusal> {
    let graph = Graph::new(stages, run);
    let stage = graph.find(name)?;
    check(&graph, stage)?;
    let behind = graph.behind(&stage.name);
    let mut run = run.clone();
    for other in &mut run.stages {
        if other.name == name {
            mark(other, by, now);
        } else if behind.contains(other.name.as_str()) && was_left_out(other) {
            begin_anew(other);
        }
    }
    reopen(&mut run);
    Ok(Answer {
        told: format!("run {} goes on without stage {name}: {by} asked to skip it", run.number),
        effect: Effect::Run { run, forget: None },
    })
}

fn check<'a>(graph: &Graph<'a>, stage: &'a StageRun) -> Result<(), Refusal> {
    let name = || stage.name.clone();
    let over = |how| Err(Refusal::Over { stage: name(), how });
    if graph.is_approve(&stage.name) {
        return Err(Refusal::Approve { stage: name() });
    }
    if graph.is_in_flight(stage) {
        return Err(Refusal::InFlight { stage: name() });
    }
    match stage.state {
        StageState::Succeeded => over("has succeeded"),
        StageState::Waiting | StageState::Skipped if stage.by_hand == Some(ByHand::Skip) => over("is skipped by hand already"),
        StageState::Skipped => match graph.failed_before(&stage.name) {
            Some(cause) => Err(Refusal::SkippedBehind {
                stage: name(),
                cause: cause.name.clone(),
            }),
            None => over("does not run, because its condition does not hold"),
        },
        StageState::Waiting => Ok(()),
        // What it needed may be asked anew meanwhile.
        StageState::Running | StageState::Failed => graph.met(&stage.name),
    }
}

/// What was not reached keeps its place: it is skipped once what it needs has succeeded, so that nothing behind it starts early.
fn mark(stage: &mut StageRun, by: &str, now: Timestamp) {
    stage.by_hand = Some(ByHand::Skip);
    stage.message = Some(format!("skipped by hand: {by} asked for it"));
    if stage.state != StageState::Waiting {
        stage.state = StageState::Skipped;
        stage.ended = Some(now);
        stage.not_before = None;
    }
}
