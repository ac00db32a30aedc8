//! What a run adds to what its last plan says.

use jiff::Timestamp;

use super::{Phase, Report, shorten};
use crate::domain::bundle::pipeline::{Action, Stage};
use crate::domain::run::{DEPLOY_STAGE, Run, RunState, StageRun, StageState};

/// Concludes from a report on the objects that a run has reached, and from the run itself.
pub fn summarise_run(report: Report, run: &Run, stages: &[Stage], now: Timestamp) -> Report {
    let deadline = run.next_deadline(stages).map(|due| due.duration_since(now));
    let deadline = deadline.map(|due| due.unsigned_abs().min(std::time::Duration::from_secs(86_400)));
    let again = [report.again, deadline].into_iter().flatten().min();
    let all_reached = run.stages.iter().all(|stage| stage.state != StageState::Waiting);
    let applied = match run.state {
        RunState::Running | RunState::Succeeded | RunState::Failed => report.applied && all_reached && !leaves_stages_out(run),
        // What counts is what it went back to.
        RunState::RolledBack => report.applied && report.phase == Phase::Ready,
        RunState::Superseded => false,
    };
    let mut report = Report { applied, again, ..report };
    match run.state {
        RunState::Succeeded => {}
        RunState::Running => tell_running(&mut report, run, stages),
        RunState::Failed => tell_failed(&mut report, run, "StageFailed"),
        RunState::RolledBack => {
            let is_back = report.phase == Phase::Ready;
            report.phase = Phase::Deploying;
            tell_failed(&mut report, run, "RolledBack");
            let what = if is_back { "is back" } else { "is being put back" };
            report.message = shorten(&format!("{}; the last good state of its objects {what}", report.message));
        }
        RunState::Superseded => {
            report.phase = Phase::Deploying;
            report.reason = "Superseded";
            report.message = "a newer commit takes the place of this run".to_owned();
        }
    }
    report.run = Some(run.clone());
    report
}

/// Whether a failure keeps stages from being reached.
fn leaves_stages_out(run: &Run) -> bool {
    run.stages.iter().any(|stage| stage.failed_need.is_some())
}

/// What a stage is under way with, in one word: whoever has to approve it has to be asked.
fn under_way(stages: &[Stage], name: &str) -> &'static str {
    let action = stages.iter().find(|stage| stage.name == name).map(|stage| &stage.action);
    match action {
        Some(Action::Approve(_)) => "AwaitingApproval",
        _ => "StageRunning",
    }
}

fn tell_running(report: &mut Report, run: &Run, stages: &[Stage]) {
    let current = run
        .stages
        .iter()
        .find(|stage| stage.state == StageState::Running)
        .or_else(|| run.stages.iter().find(|stage| stage.state == StageState::Waiting));
    let Some(current) = current else { return };
    match report.phase {
        Phase::Ready => {
            report.phase = Phase::Deploying;
            report.reason = under_way(stages, &current.name);
            report.message = shorten(&told(current, "is under way"));
        }
        Phase::Deploying if current.name != DEPLOY_STAGE => {
            report.message = shorten(&format!("stage {}: {}", current.name, report.message));
        }
        _ => {}
    }
}

fn tell_failed(report: &mut Report, run: &Run, reason: &'static str) {
    let failed = run.stages.iter().find(|stage| stage.state == StageState::Failed);
    let keeps = report.phase == Phase::Failed;
    if !keeps {
        report.phase = Phase::Failed;
        report.reason = reason;
    }
    match failed {
        Some(failed) if failed.name != DEPLOY_STAGE => {
            let why = failed.message.as_deref().unwrap_or("without a word");
            report.message = shorten(&format!("stage {} failed: {why}", failed.name));
        }
        Some(failed) if !keeps => report.message = shorten(&told(failed, "failed")),
        _ => {}
    }
}

fn told(stage: &StageRun, otherwise: &str) -> String {
    let message = stage.message.as_deref().unwrap_or(otherwise);
    match stage.name.as_str() {
        DEPLOY_STAGE => message.to_owned(),
        name => format!("stage {name}: {message}"),
    }
}
