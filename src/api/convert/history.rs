//! What a status tells of past runs, and of what the present one has changed.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::environment::Identity;
use super::inventory::inventory;
use crate::api::environment::run::RunStatus;
use crate::api::environment::{EnvironmentStatus, HistoryEntry, Phase};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::record::is_record;
use crate::domain::run::{Run, RunState, StageRun, StageState};
use crate::domain::status::Report;

/// How many runs the history keeps.
pub(super) const LENGTH: usize = 10;
/// How many of the objects that a run changed are named.
const NAMED: usize = 5;
/// The most bytes of the text on the stages of a past run.
const STAGES: usize = 300;

/// A run enters the history when it ends; one that heals afterwards is told as what it has become. What was refused before a run could
/// begin enters as a failure of its revision. The last good run stays, however many have failed since: it is what a rollback goes back to.
pub(super) fn record(status: &mut EnvironmentStatus, phase: Phase, identity: &Identity, report: &Report, now: &Time) {
    let Some(result) = result(phase, report.run.as_ref()) else { return };
    let run = report.run.as_ref();
    let number = run.map(|run| run.number.0);
    let revision = run.map_or(identity.revision.as_str(), |run| run.revision.as_str());
    let of_run = status.run.as_ref().filter(|stored| Some(stored.number) == number);
    let entry = HistoryEntry {
        run: number,
        revision: revision.to_owned(),
        started: run.map(|run| Time(run.started)),
        at: now.clone(),
        result: result.to_owned(),
        because: run.map(|run| run.because.clone()),
        stages: run.map(|run| stages(&run.stages)).filter(|text| !text.is_empty()),
        changed: of_run.map_or_else(|| count(report), |stored| stored.changed),
        objects: of_run.map(|stored| stored.objects.clone()).unwrap_or_default(),
    };
    match status
        .history
        .first_mut()
        .filter(|last| last.revision == revision && last.run == number)
    {
        Some(last) if last.result == result => {}
        Some(last) => *last = entry,
        None => status.history.insert(0, entry),
    }
    bound(&mut status.history);
}

fn bound(history: &mut Vec<HistoryEntry>) {
    let good = history.iter().position(|run| run.result == "Ready");
    if let Some(good) = good.filter(|good| *good >= LENGTH) {
        history.swap(good, LENGTH - 1);
    }
    history.truncate(LENGTH);
}

fn result(phase: Phase, run: Option<&Run>) -> Option<&'static str> {
    match (run.map(|run| run.state), phase) {
        (Some(RunState::Running), _) => None,
        (Some(RunState::Succeeded) | None, Phase::Ready) => Some("Ready"),
        (Some(RunState::Succeeded), _) => None,
        (Some(state), _) => Some(state.name()),
        (None, Phase::Failed) => Some("Failed"),
        (None, _) => None,
    }
}

/// Adds to what a run has changed what it has changed since `before`: a run takes several passes.
pub(super) fn count_changes(stored: RunStatus, before: Option<&EnvironmentStatus>, report: &Report) -> RunStatus {
    let earlier = before
        .and_then(|before| before.run.as_ref())
        .filter(|earlier| earlier.number == stored.number);
    let mut objects = earlier.map(|earlier| earlier.objects.clone()).unwrap_or_default();
    if objects.len() < NAMED {
        let known = inventory(before).unwrap_or_default();
        let names = changed(&known, &report.inventory).into_iter().map(ToString::to_string);
        let new: Vec<_> = names.filter(|name| !objects.contains(name)).collect();
        objects.extend(new);
        objects.truncate(NAMED);
    }
    RunStatus {
        changed: earlier.map_or(0, |earlier| earlier.changed).saturating_add(count(report)),
        objects,
        ..stored
    }
}

/// The objects that were written or removed between two inventories. What is only recorded ahead was not written yet.
fn changed<'i>(before: &'i Inventory, after: &'i Inventory) -> BTreeSet<&'i ObjectKey> {
    let written = after.iter().filter(|(key, entry)| {
        let known = before.get(key);
        let digest = entry.digest.as_deref().unwrap_or_default();
        let is_new = known.is_none_or(|known| known.uid != entry.uid || !known.is_of(digest));
        entry.uid.is_some() && is_new
    });
    let removed = before.iter().filter(|(key, entry)| after.get(key).is_none() && entry.uid.is_some());
    written.chain(removed).map(|(key, _)| key).filter(|key| !is_record(key)).collect()
}

fn count(report: &Report) -> u32 {
    u32::try_from(report.changed).unwrap_or(u32::MAX)
}

/// The stages and how long each took, in few words: `migrate 12s, deploy 3s, smoke failed after 30s`.
fn stages(stages: &[StageRun]) -> String {
    let mut text = String::new();
    for stage in stages {
        let told = match (stage.state, took(stage.since, stage.ended)) {
            (StageState::Succeeded, Some(took)) => format!("{} {took}", stage.name),
            (StageState::Succeeded, None) => stage.name.clone(),
            (StageState::Failed, Some(took)) => format!("{} failed after {took}", stage.name),
            (StageState::Failed, None) => format!("{} failed", stage.name),
            (StageState::Skipped, _) => format!("{} skipped", stage.name),
            (StageState::Waiting | StageState::Running, _) => continue,
        };
        let separator = if text.is_empty() { "" } else { ", " };
        if text.len() + separator.len() + told.len() > STAGES {
            text.push_str(", …");
            break;
        }
        text.push_str(separator);
        text.push_str(&told);
    }
    text
}

fn took(since: Option<Timestamp>, ended: Option<Timestamp>) -> Option<String> {
    let took: SignedDuration = ended?.duration_since(since?);
    let seconds = took.as_secs().max(0);
    Some(match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        _ => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
    })
}

#[cfg(test)]
mod tests;
