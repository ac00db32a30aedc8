//! One run, for people and as JSON.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::told::{Told, took};
use crate::api::environment::run::StageStatus;
use crate::app::access::records::Kept;
use crate::cli::printable::printable;
use crate::cli::table::{age, table};
use crate::domain::record::ContainerLog;

/// Everything that is known of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Whole {
    #[serde(flatten)]
    told: Told,
    /// What its jobs wrote, without what is secret.
    logs: Vec<ContainerLog>,
    /// Why there is nothing of what they wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    logs_unavailable: Option<String>,
}

impl Whole {
    /// What a status tells and what a record keeps.
    pub fn new(told: Told, kept: Kept) -> Self {
        let (logs, logs_unavailable) = match kept {
            Kept::Journal(journal) => (journal.logs, None),
            Kept::Nothing(why) => (Vec::new(), Some(why)),
        };
        Self {
            told,
            logs,
            logs_unavailable,
        }
    }
}

/// A run in words.
pub fn text(told: &Told, kept: &Kept, now: Timestamp) -> String {
    let time = |time: Option<Timestamp>| time.map(|time| format!("{time} ({} ago)", age(Some(time), now)));
    let lines = [
        ("Run", told.run.map(|number| number.to_string())),
        ("Revision", Some(told.revision.clone())),
        ("Result", Some(told.result.clone())),
        ("Because", told.because.clone()),
        ("Started", time(told.started)),
        ("Ended", time(told.ended)),
        ("Took", told.started.map(|started| took(Some(started), told.ended, now))),
        ("Changed", Some(changed(told))),
        ("Stages", told.summary.clone().filter(|_| told.stages.is_empty())),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        if let Some(value) = value {
            let _ = writeln!(text, "{:<11}{}", format!("{name}:"), printable(&value));
        }
    }
    if !told.stages.is_empty() {
        text.push('\n');
        text += &stages(&told.stages, now);
    }
    text + &logs(kept)
}

fn changed(told: &Told) -> String {
    let more = usize::try_from(told.changed).unwrap_or(usize::MAX) > told.objects.len();
    match told.objects.as_slice() {
        [] => told.changed.to_string(),
        named => format!("{}: {}{}", told.changed, named.join(", "), if more { ", …" } else { "" }),
    }
}

fn stages(stages: &[StageStatus], now: Timestamp) -> String {
    let rows = stages.iter().map(|stage| {
        let since = stage.since.as_ref().map(|time| time.0);
        vec![
            stage.name.clone(),
            stage.state.clone(),
            stage.tries.to_string(),
            took(since, stage.ended.as_ref().map(|time| time.0), now),
            stage.message.clone().unwrap_or_default(),
        ]
    });
    table(&["STAGE", "STATE", "TRIES", "TOOK", "MESSAGE"], rows)
}

fn logs(kept: &Kept) -> String {
    let journal = match kept {
        Kept::Journal(journal) => journal,
        Kept::Nothing(why) => return format!("\nLogs: {}\n", printable(why)),
    };
    let mut text = String::new();
    for log in &journal.logs {
        let code = log.exit_code.map(|code| format!("; it exited with {code}")).unwrap_or_default();
        let before = if log.cut { "; earlier lines are not kept" } else { "" };
        let _ = writeln!(
            text,
            "\nLog of stage {}, try {}, container {} in Pod {}{code}{before}:",
            printable(&log.stage),
            log.attempt,
            printable(&log.container),
            printable(&log.pod),
        );
        for line in &log.lines {
            let _ = writeln!(text, "  {}", printable(line));
        }
        match &log.unread {
            Some(why) => {
                let _ = writeln!(text, "  (could not be read: {})", printable(why));
            }
            None if log.lines.is_empty() => text.push_str("  (nothing was written)\n"),
            None => {}
        }
    }
    if journal.dropped > 0 {
        let _ = writeln!(text, "\n{} earlier logs had to make room for these.", journal.dropped);
    }
    text
}
