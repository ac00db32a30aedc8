//! What a status tells of runs, in one form for the one under way and for those of the past.

use jiff::Timestamp;
use serde::Serialize;

use crate::api::environment::run::StageStatus;
use crate::api::environment::{Environment, EnvironmentStatus, HistoryEntry};

/// A run, as far as the status tells of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Its number; absent where nothing could be rendered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// The commit.
    pub revision: String,
    /// What came of it, or `Running`.
    pub result: String,
    /// Why it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How many objects it wrote or removed.
    pub changed: u32,
    /// The first few of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// The stages and how long each took, in few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Where each stage stands; only known of the latest run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageStatus>,
}

/// The runs of an environment, the latest first.
pub fn told(environment: &Environment) -> Vec<Told> {
    let Some(status) = &environment.status else { return Vec::new() };
    let current = current(status);
    let is_other = |entry: &&HistoryEntry| entry.run.is_none() || entry.run != current.as_ref().and_then(|current| current.run);
    let past: Vec<Told> = status.history.iter().filter(is_other).map(past).collect();
    current.into_iter().chain(past).collect()
}

fn current(status: &EnvironmentStatus) -> Option<Told> {
    let run = status.run.as_ref()?;
    let entry = status.history.iter().find(|entry| entry.run == Some(run.number));
    Some(Told {
        run: Some(run.number),
        revision: run.revision.clone(),
        result: match (run.state.as_str(), entry) {
            ("Running", _) | (_, None) => run.state.clone(),
            (_, Some(entry)) => entry.result.clone(),
        },
        because: Some(run.because.clone()),
        started: Some(run.started.0),
        ended: run.ended.as_ref().map(|time| time.0),
        changed: run.changed,
        objects: run.objects.clone(),
        summary: entry.and_then(|entry| entry.stages.clone()),
        stages: status.stages.clone(),
    })
}

fn past(entry: &HistoryEntry) -> Told {
    Told {
        run: entry.run,
        revision: entry.revision.clone(),
        result: entry.result.clone(),
        because: entry.because.clone(),
        started: entry.started.as_ref().map(|time| time.0),
        ended: Some(entry.at.0),
        changed: entry.changed,
        objects: entry.objects.clone(),
        summary: entry.stages.clone(),
        stages: Vec::new(),
    }
}

/// How long it took, or has been under way.
pub fn took(started: Option<Timestamp>, ended: Option<Timestamp>, now: Timestamp) -> String {
    match started {
        Some(started) => super::super::table::age(Some(started), ended.unwrap_or(now)),
        None => "-".to_owned(),
    }
}
