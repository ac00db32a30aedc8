//! A run as text: a tree for a terminal, and a line for each thing that can change.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::Environment;
use crate::api::environment::run::StageStatus;
use crate::cli::environment::show::phase;
use crate::cli::printable::printable;

/// So many letters of a revision tell it from others.
const SHORT: usize = 12;
/// A line longer than this would break on most terminals, and a broken line cannot be drawn over.
const WIDTH: usize = 118;

/// The run as a tree.
pub fn frame(environment: &Environment, now: Timestamp) -> String {
    let mut rows = vec![head(environment)];
    rows.extend(run(environment).map(|run| format!("└─ {run}")));
    let stages = stages(environment);
    let names = stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or_default();
    for (index, stage) in stages.iter().enumerate() {
        let branch = if index + 1 == stages.len() { "└─" } else { "├─" };
        let took = took(stage, now).map(spoken).unwrap_or_default();
        let name = format!("{:<names$}", printable(&stage.name));
        let row = format!(
            "   {branch} {} {name}  {:<9} {took:>6}  {}",
            sign(&stage.state),
            stage.state,
            detail(stage)
        );
        rows.push(row.trim_end().to_owned());
    }
    let mut text = String::new();
    for row in rows {
        text.extend(row.chars().take(WIDTH));
        text.push('\n');
    }
    text
}

/// The run as lines of which each says one thing.
pub fn lines(environment: &Environment) -> Vec<String> {
    let name = environment.name_any();
    let mut told = vec![head(environment)];
    told.extend(run(environment).map(|run| format!("{name} {run}")));
    let begun = stages(environment)
        .into_iter()
        .filter(|stage| stage.state != "Waiting" || stage.tries > 0);
    told.extend(begun.map(|stage| {
        let line = format!("{name} stage {}: {} {}", printable(&stage.name), stage.state, detail(stage));
        line.trim_end().to_owned()
    }));
    told
}

fn head(environment: &Environment) -> String {
    let status = environment.status.as_ref();
    let message = status
        .and_then(|status| status.message.as_deref())
        .unwrap_or("nothing has happened yet");
    let branch = printable(&environment.spec.branch);
    format!(
        "{} ({branch}): {}: {}",
        environment.name_any(),
        phase(environment),
        printable(message)
    )
}

fn run(environment: &Environment) -> Option<String> {
    let run = environment.status.as_ref()?.run.as_ref()?;
    let revision: String = run.revision.chars().take(SHORT).collect();
    let because = printable(&run.because);
    Some(format!("run {} of {revision}: {}, because {because}", run.number, run.state))
}

fn stages(environment: &Environment) -> Vec<&StageStatus> {
    environment.status.iter().flat_map(|status| &status.stages).collect()
}

fn detail(stage: &StageStatus) -> String {
    let message = stage.message.as_deref().map(printable).unwrap_or_default();
    match stage.tries {
        0 | 1 => message,
        tries => format!("try {tries}: {message}"),
    }
}

/// How long the last try of a stage took, or takes.
fn took(stage: &StageStatus, now: Timestamp) -> Option<Duration> {
    let since = stage.since.as_ref()?.0;
    let end = stage.ended.as_ref().map_or(now, |ended| ended.0);
    Some(end.duration_since(since).unsigned_abs())
}

fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < 60 => format!("{seconds}s"),
        seconds if seconds < 3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        seconds => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

fn sign(state: &str) -> char {
    match state {
        "Succeeded" | "Ready" => '✔',
        "Failed" => '✘',
        "Running" => '▶',
        "Skipped" => '↷',
        _ => '·',
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an Environment that cannot be made is the test's failure")]

    use serde_json::json;

    use super::*;

    fn environment(message: &str) -> Environment {
        serde_json::from_value(json!({
            "apiVersion": "graftling.dev/v1alpha1", "kind": "Environment",
            "metadata": {"name": "shop-feature-a-abc"},
            "spec": {"projectRef": {"name": "shop"}, "branch": "feature/a", "repositoryId": "1", "revision": "a".repeat(40)},
            "status": {
                "phase": "Deploying", "message": message,
                "run": {"number": 3, "revision": "a".repeat(40), "digest": "d", "because": "the branch moved",
                    "started": "2026-01-01T00:00:00Z", "state": "Running"},
                "stages": [
                    {"name": "guardrails", "state": "Ready"},
                    {"name": "data", "state": "Succeeded", "tries": 1, "since": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:05Z"},
                    {"name": "migrate", "state": "Running", "tries": 2, "since": "2026-01-01T00:00:05Z", "message": "Job migrate-3-2 runs"},
                    {"name": "web", "state": "Waiting"},
                ],
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_run_is_drawn_as_a_tree_with_times() {
        let now = "2026-01-01T00:01:10Z".parse().unwrap();
        assert_eq!(
            frame(&environment("stage migrate: Job migrate-3-2 runs"), now),
            "\
shop-feature-a-abc (feature/a): Deploying: stage migrate: Job migrate-3-2 runs
└─ run 3 of aaaaaaaaaaaa: Running, because the branch moved
   ├─ ✔ guardrails  Ready
   ├─ ✔ data        Succeeded     5s
   ├─ ▶ migrate     Running    1m05s  try 2: Job migrate-3-2 runs
   └─ · web         Waiting
"
        );
    }

    #[test]
    fn what_changed_is_told_in_lines_without_times_and_without_what_has_not_begun() {
        assert_eq!(
            lines(&environment("m")),
            [
                "shop-feature-a-abc (feature/a): Deploying: m",
                "shop-feature-a-abc run 3 of aaaaaaaaaaaa: Running, because the branch moved",
                "shop-feature-a-abc stage guardrails: Ready",
                "shop-feature-a-abc stage data: Succeeded",
                "shop-feature-a-abc stage migrate: Running try 2: Job migrate-3-2 runs",
            ]
        );
    }

    #[test]
    fn threat_t33_no_text_of_others_moves_the_cursor_or_breaks_a_line_of_the_drawing() {
        let now = "2026-01-01T00:01:10Z".parse().unwrap();
        let drawn = frame(&environment(&format!("\u{1b}[2J\n{}", "x".repeat(500))), now);
        assert_eq!(drawn.lines().count(), 6);
        assert!(drawn.lines().all(|line| line.chars().count() <= WIDTH && !line.contains('\u{1b}')));
    }
}
