//! Runs ↔ status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::environment::run::{RunStatus, StageStatus};
use crate::api::environment::{EnvironmentStatus, HistoryEntry};
use crate::domain::inventory::Stage;
use crate::domain::run::{ByHand, Run, RunNumber, RunState, Source, StageRun, StageState};
use crate::domain::status::StageReport;

/// The run that a status has.
///
/// # Errors
/// A word that this version does not know. Nothing may be written then.
pub fn run(status: Option<&EnvironmentStatus>) -> Result<Option<Run>, String> {
    let Some((status, stored)) = status.and_then(|status| Some((status, status.run.as_ref()?))) else {
        return Ok(None);
    };
    let state = RunState::from_name(&stored.state).ok_or_else(|| format!("status.run.state: unknown state {:?}", stored.state))?;
    let stages = status
        .stages
        .iter()
        .filter(|stage| !Stage::is_before_the_bundle(&stage.name))
        .map(stage);
    Ok(Some(Run {
        number: RunNumber(stored.number),
        revision: stored.revision.clone(),
        digest: stored.digest.clone(),
        source: stored.record.map_or(Source::Bundle, |number| Source::Record(RunNumber(number))),
        because: stored.because.clone(),
        started: stored.started.0,
        ended: stored.ended.as_ref().map(|time| time.0),
        state,
        stages: stages.collect::<Result<_, _>>()?,
    }))
}

fn stage(stored: &StageStatus) -> Result<StageRun, String> {
    let state = StageState::from_name(&stored.state)
        .ok_or_else(|| format!("status.stages: stage {} has the unknown state {:?}", stored.name, stored.state))?;
    Ok(StageRun {
        name: stored.name.clone(),
        state,
        tries: stored.tries,
        earlier: stored.earlier,
        by_hand: stored.by_hand.as_deref().and_then(ByHand::from_name),
        since: stored.since.as_ref().map(|time| time.0),
        ended: stored.ended.as_ref().map(|time| time.0),
        not_before: stored.not_before.as_ref().map(|time| time.0),
        streak: stored.streak,
        message: stored.message.clone(),
        outputs: stored.outputs.clone(),
        failed_need: stored.failed_need.clone(),
    })
}

/// The last run that ended well, as far as the history goes.
pub fn last_good(status: Option<&EnvironmentStatus>) -> Option<RunNumber> {
    let mut good = status
        .into_iter()
        .flat_map(|status| &status.history)
        .filter(|run| run.result == "Ready");
    good.find_map(|run| run.run).map(RunNumber)
}

/// The revision of the last run that ended well, as far as the history goes.
pub fn last_good_revision(history: &[HistoryEntry]) -> Option<String> {
    let good = history.iter().find(|run| run.result == "Ready");
    good.map(|run| run.revision.clone())
}

/// What came of the stages before the removal, a line for each.
pub fn teardown_stages(status: Option<&EnvironmentStatus>) -> Vec<String> {
    let Some(run) = run(status).unwrap_or_default().filter(Run::is_removal) else {
        return Vec::new();
    };
    let told = |stage: &StageRun| {
        let message = stage.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        format!("{} {}{message}", stage.name, stage.state.name())
    };
    run.stages.iter().map(told).collect()
}

/// Whether stages are open that somebody can decide about although the environment is being removed: one that goes on to its end, or those
/// before the removal.
pub fn has_open_stages(status: Option<&EnvironmentStatus>) -> bool {
    let run = run(status).unwrap_or_default();
    run.is_some_and(|run| match run.is_removal() {
        true => run.state != RunState::Succeeded,
        false => !run.is_over(),
    })
}

/// A run as it is stored.
pub fn stored(run: &Run) -> RunStatus {
    RunStatus {
        number: run.number.0,
        revision: run.revision.clone(),
        digest: run.digest.clone(),
        record: match run.source {
            Source::Bundle => None,
            Source::Record(number) => Some(number.0),
        },
        because: run.because.clone(),
        started: Time(run.started),
        ended: run.ended.map(Time),
        state: run.state.name().to_owned(),
        changed: 0,
        objects: Vec::new(),
    }
}

/// The stages of a report as they are stored: the namespace and the guardrails, then those of the run.
pub fn stored_stages(own: &[StageReport], run: &Run) -> Vec<StageStatus> {
    let own = own.iter().filter(|report| report.stage != Stage::Deploy).map(stored_own_stage);
    own.chain(run.stages.iter().map(stored_stage)).collect()
}

/// A stage of graftling's own as it is stored.
pub fn stored_own_stage(report: &StageReport) -> StageStatus {
    StageStatus {
        name: report.stage.name().to_owned(),
        state: report.state.name().to_owned(),
        message: report.message.clone(),
        ..StageStatus::default()
    }
}

fn stored_stage(stage: &StageRun) -> StageStatus {
    let time = |time: Option<Timestamp>| time.map(Time);
    StageStatus {
        name: stage.name.clone(),
        state: stage.state.name().to_owned(),
        message: stage.message.as_deref().map(crate::domain::status::shorten),
        tries: stage.tries,
        earlier: stage.earlier,
        by_hand: stage.by_hand.map(|word| word.name().to_owned()),
        since: time(stage.since),
        ended: time(stage.ended),
        not_before: time(stage.not_before),
        streak: stage.streak,
        outputs: stage.outputs.clone(),
        failed_need: stage.failed_need.clone(),
    }
}
