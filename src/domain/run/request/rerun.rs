//! `rerun`: a stage runs once more, whatever came of it.

use super::graph::{Graph, again, ended};
use super::{Answer, Effect, Refusal};
use crate::domain::bundle::pipeline::Stage;
use crate::domain::run::{ByHand, Run};

/// One stage of a run that has ended, and none of those that need it. What it needs must have succeeded: a stage behind a person's word
/// that was not given, for example, does not run by this way either.
pub(super) fn rerun(stages: &[Stage], run: &Run, name: &str, by: &str) -> Result<Answer, Refusal> {
    let graph = Graph::new(stages, run);
    let stage = graph.find(name)?;
    ended(run)?;
    graph.met(&stage.name)?;
    let mut run = again(run, |stage| stage.name == name);
    for stage in run.stages.iter_mut().filter(|stage| stage.name == name) {
        stage.by_hand = Some(ByHand::Run);
    }
    Ok(Answer {
        told: format!("stage {name} of run {} runs once more: {by} asked for it", run.number),
        effect: Effect::Run {
            run,
            forget: Some(name.to_owned()),
        },
    })
}
