//! The one comment on a pull request, in Markdown.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::text::{block, code, is_plain_url, prose};
use super::{StageStanding, Standing, Verdict};
use crate::domain::git::{BranchName, Revision};
use crate::domain::run::StageState;

/// The most lines of a log in a comment.
pub const MAX_LOG_LINES: usize = 20;
/// The most stages that are listed.
const MAX_STAGES: usize = 30;
/// The most leftovers that are listed.
const MAX_LEFT: usize = 10;

/// The last lines of what failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// Whose they are.
    pub of: String,
    /// The lines, without what is known to be secret.
    pub lines: Vec<String>,
}

/// What is known of an environment that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Its name.
    pub environment: String,
    /// Its branch.
    pub branch: BranchName,
    /// The commit that it showed last.
    pub revision: Option<Revision>,
    /// Why it was removed.
    pub because: String,
    /// When its removal was complete.
    pub at: Timestamp,
    /// How many objects were made for it.
    pub created: u32,
    /// How many of them are gone.
    pub removed: u32,
    /// How many stay on purpose.
    pub kept: u32,
    /// What is left, and why.
    pub left: Vec<(String, String)>,
}

/// What our comment on the environment's pull request is known by. Only hosts that hide comments of HTML do not show it.
pub fn marker(environment: &str) -> String {
    format!("<!-- graftling.dev/environment: {environment} -->")
}

/// The comment on an environment that is there.
pub fn comment(standing: &Standing, log: Option<&Log>) -> String {
    let verdict = standing.verdict();
    let mut out = head(&standing.environment, &standing.branch, headline(standing, verdict));
    if let Some(url) = standing
        .url
        .as_deref()
        .filter(|_| !matches!(verdict, Verdict::Going | Verdict::Stuck))
    {
        let link = if is_plain_url(url) { format!("<{url}>") } else { code(url) };
        let _ = writeln!(out, "**Address:** {link}\n");
    }
    revisions(&mut out, standing, verdict);
    if let Some(trouble) = &standing.trouble {
        let what = if matches!(verdict, Verdict::Failed | Verdict::Stuck) {
            "Why"
        } else {
            "Waits for"
        };
        let _ = writeln!(out, "**{what}:** {}\n", prose(trouble));
    }
    if verdict == Verdict::UnderWay && !standing.approvals.is_empty() {
        let stages: Vec<String> = standing.approvals.iter().take(MAX_STAGES).map(|stage| code(stage)).collect();
        let _ = writeln!(out, "**Waits for a person to approve:** {}\n", stages.join(", "));
    }
    if let Some(log) = log.filter(|log| verdict == Verdict::Failed && !log.lines.is_empty()) {
        let last = log.lines.len().saturating_sub(MAX_LOG_LINES);
        let lines = log.lines[last..].iter().map(String::as_str);
        let _ = writeln!(out, "The last lines of {}:\n\n{}\n", code(&log.of), block(lines));
    }
    if !matches!(verdict, Verdict::Asleep | Verdict::Going | Verdict::Stuck) {
        stages(&mut out, &standing.stages);
    }
    out.trim_end().to_owned() + "\n"
}

/// The comment on an environment that is gone.
pub fn removed(removal: &Removal) -> String {
    let mut out = head(&removal.environment, &removal.branch, "removed");
    let because = prose(&removal.because);
    let _ = writeln!(out, "The preview was removed on {} ({because}).\n", day_and_time(removal.at));
    if let Some(revision) = &removal.revision {
        let _ = writeln!(out, "**Showed last:** {}\n", code(revision.short()));
    }
    let made = match removal.created {
        1 => "1 object was made for it".to_owned(),
        created => format!("{created} objects were made for it"),
    };
    let kept = match removal.kept {
        0 => String::new(),
        kept => format!(", {kept} kept on purpose"),
    };
    let left = match removal.left.len() {
        0 => "nothing is left behind".to_owned(),
        left => format!("{left} left behind"),
    };
    let _ = writeln!(out, "**Receipt:** {made}, {} are gone{kept}; {left}.\n", removal.removed);
    for (object, reason) in removal.left.iter().take(MAX_LEFT) {
        let _ = writeln!(out, "* {}: {}", code(object), prose(reason));
    }
    if removal.left.len() > MAX_LEFT {
        let _ = writeln!(out, "* and {} more", removal.left.len() - MAX_LEFT);
    }
    out.trim_end().to_owned() + "\n"
}

fn head(environment: &str, branch: &BranchName, headline: &str) -> String {
    format!("{}\n### Preview of {}: {headline}\n\n", marker(environment), code(branch.as_str()))
}

fn headline(standing: &Standing, verdict: Verdict) -> &'static str {
    let is_there = standing.applied.is_some();
    match verdict {
        Verdict::Waiting if is_there => "an update waits for its turn",
        Verdict::Waiting => "waits for its turn",
        Verdict::UnderWay if is_there => "is being updated",
        Verdict::UnderWay => "is being set up",
        Verdict::Ready => "ready",
        Verdict::Failed if is_there => "could not be updated",
        Verdict::Failed => "could not be set up",
        Verdict::Asleep => "asleep",
        Verdict::Going => "is being removed",
        Verdict::Stuck => "cannot be removed yet",
    }
}

fn revisions(out: &mut String, standing: &Standing, verdict: Verdict) {
    let shown = standing.applied.as_ref().filter(|applied| **applied != standing.wanted);
    let wanted = code(standing.wanted.short());
    let _ = match (verdict, shown) {
        (Verdict::Waiting | Verdict::UnderWay, Some(shown)) => {
            writeln!(out, "**Commit:** {wanted}; until then it shows {}\n", code(shown.short()))
        }
        (Verdict::Failed, Some(shown)) => writeln!(out, "**Commit:** {wanted}; it still shows {}\n", code(shown.short())),
        (Verdict::Asleep | Verdict::Going | Verdict::Stuck, Some(shown)) => writeln!(out, "**Showed last:** {}\n", code(shown.short())),
        _ => writeln!(out, "**Commit:** {wanted}\n"),
    };
}

fn stages(out: &mut String, stages: &[StageStanding]) {
    if stages.is_empty() {
        return;
    }
    out.push_str("| Step | State | Began (UTC) | Took |\n| --- | --- | --- | --- |\n");
    for stage in stages.iter().take(MAX_STAGES) {
        let state = match stage.state {
            StageState::Waiting => "waiting",
            StageState::Running => "under way",
            StageState::Succeeded => "done",
            StageState::Failed => "**failed**",
            StageState::Skipped => "left out",
        };
        let began = stage.since.map(|since| since.strftime("%H:%M:%S").to_string()).unwrap_or_default();
        let _ = writeln!(out, "| {} | {state} | {began} | {} |", code(&stage.name), took(stage));
    }
    if stages.len() > MAX_STAGES {
        let _ = writeln!(out, "\nand {} more", stages.len() - MAX_STAGES);
    }
}

fn took(stage: &StageStanding) -> String {
    let Some((since, ended)) = stage.since.zip(stage.ended) else {
        return String::new();
    };
    let seconds = ended.duration_since(since).as_secs().max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

fn day_and_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
