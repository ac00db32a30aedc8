//! Where an environment stands while its teardown stages run, or what they have to wait for.

use super::{Phase, Report, shorten};
use crate::domain::run::{Run, RunState, StageState};

/// Concludes from a report on what a run wrote before a removal, and from the run itself.
pub fn summarise_removal(report: Report, run: &Run) -> Report {
    let running = run.stages.iter().find(|stage| stage.state == StageState::Running);
    let open = running.or_else(|| run.stages.iter().find(|stage| stage.state == StageState::Waiting));
    let failed = run.stages.iter().find(|stage| stage.state == StageState::Failed);
    let told = |message: &Option<String>| message.clone().unwrap_or_else(|| "it is under way".to_owned());
    let (phase, reason, message) = match (run.state, failed, open) {
        (RunState::Failed, Some(stage), _) => (
            Phase::Blocked,
            "TeardownStageFailed",
            format!(
                "teardown stage {0} failed: {1}; nothing is removed until it has succeeded or is left out: graftling env retry BRANCH, or \
                 graftling env skip BRANCH {0}",
                stage.name,
                stage.message.as_deref().unwrap_or("without a word"),
            ),
        ),
        (_, _, Some(stage)) if run.is_removal() => (
            Phase::Deleting,
            "TeardownStages",
            format!("teardown stage {}: {}", stage.name, told(&stage.message)),
        ),
        (_, _, Some(stage)) => (
            Phase::Deleting,
            "StageInFlight",
            format!(
                "stage {} goes on to its end before anything is removed: {}",
                stage.name,
                told(&stage.message)
            ),
        ),
        _ => (Phase::Deleting, "TeardownStages", "the teardown stages are over".to_owned()),
    };
    Report {
        phase,
        reason,
        message: shorten(&message),
        stages: Vec::new(),
        run: Some(run.clone()),
        applied: false,
        ..report
    }
}
