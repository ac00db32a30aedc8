//! What a pass concludes about an environment whose branch is gone, or whose pull request was closed.

use super::{PATIENTLY, Phase, Report, SOON, conclude_failure, is_change, needs_another_look, sentence, shorten, worst};
use crate::domain::git::BranchName;
use crate::domain::outcome::{self, Outcome};
use crate::domain::plan::{Plan, Waiting};
use crate::domain::roster::{Grace, GraceState};

/// Concludes from a plan that puts an environment to rest under the mark `grace`, and what came of it.
pub fn summarise_rest(branch: &BranchName, grace: &Grace, plan: &Plan, outcomes: &[Outcome]) -> Report {
    let mut report = report(plan, outcomes);
    let why = cause(grace);
    report.message = match plan.waiting.first() {
        _ if !outcomes.is_empty() || !plan.is_quiet() => format!("{why}; stopping what runs"),
        Some(first) => format!("{why}; stopping: {}", sentence(first, plan.waiting.len())),
        None if grace.state == GraceState::Sleeping => {
            format!("{why}; it sleeps; push the branch, reopen the pull request or run graftling env restore {branch}")
        }
        None => format!(
            "{why}; kept until {}; push the branch or run graftling env restore {branch}",
            grace.until
        ),
    };
    if plan.waiting.is_empty() && outcomes.is_empty() && plan.is_quiet() {
        report.again = None;
    }
    conclude(report, plan, outcomes)
}

/// Concludes from a plan that brings an environment back from its rest, and what came of it.
pub fn summarise_return(plan: &Plan, outcomes: &[Outcome]) -> Report {
    let mut report = report(plan, outcomes);
    report.message = "coming back from its rest".to_owned();
    report.again = Some(SOON);
    conclude(report, plan, outcomes)
}

/// In few words: that an environment runs although it would rest, and until when.
pub fn kept(grace: &Grace) -> String {
    format!("{}; restored until {}", cause(grace), grace.until)
}

fn cause(grace: &Grace) -> &'static str {
    match grace.state.is_of_sleep() {
        true => "pull request closed",
        false => "branch deleted",
    }
}

/// Concludes about an environment that runs although its branch is gone, and whose bundle is gone with it: what it was is what it should be.
pub fn summarise_restored(grace: &Grace, refusal: &str, waiting: &[Waiting], mut report: Report) -> Report {
    let kept = kept(grace);
    (report.phase, report.reason, report.message) = match waiting.first() {
        Some(first) => (Phase::Deploying, "Waiting", format!("{kept}; {}", sentence(first, waiting.len()))),
        None => (Phase::Ready, "Restored", format!("{kept}, as it was: {refusal}")),
    };
    report.message = shorten(&report.message);
    report
}

fn report(plan: &Plan, outcomes: &[Outcome]) -> Report {
    let mut report = Report {
        phase: Phase::Resting,
        reason: "Resting",
        message: String::new(),
        stages: Vec::new(),
        run: None,
        inventory: plan.write_ahead.clone(),
        applied: false,
        changed: outcomes.iter().filter(|outcome| is_change(outcome)).count(),
        again: Some(PATIENTLY),
    };
    outcome::absorb(&mut report.inventory, outcomes);
    report
}

fn conclude(mut report: Report, plan: &Plan, outcomes: &[Outcome]) -> Report {
    if let Some(failure) = worst(outcomes) {
        let (phase, reason, message, again) = conclude_failure(failure);
        // A server that cannot be reached for a moment is no news.
        if phase == Phase::Failed {
            (report.phase, report.reason) = (phase, reason);
        }
        (report.message, report.again) = (message, again);
    } else if outcomes.len() < plan.size() || outcomes.iter().any(needs_another_look) {
        report.again = Some(SOON);
    }
    report.message = shorten(&report.message);
    report
}
