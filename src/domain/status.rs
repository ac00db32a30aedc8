//! Where an environment stands, in the words that people read.

mod failure;
mod removal;
mod rest;
mod run;
pub mod url;

use std::time::Duration;

use super::inventory::{Inventory, Stage};
use super::manifest::ObjectKey;
use super::observed::LiveObject;
use super::outcome::{self, FailureClass, Outcome};
use super::plan::teardown::stuck::{self, Stuck};
use super::plan::teardown::{Next, TeardownPlan, retain};
use super::plan::{Obstacle, Plan, Waiting};
use super::readiness::Readiness;
use super::run::Run;
pub(super) use failure::grants_rights;
use failure::{conclude_failure, conclude_refusal, worst};
pub use removal::summarise_removal;
pub use rest::{kept, summarise_rest, summarise_restored, summarise_return};
pub use run::summarise_run;

/// Where an environment stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing was applied yet.
    Pending,
    /// Objects are being applied or are not ready yet.
    Deploying,
    /// Everything is applied and ready.
    Ready,
    /// Somebody has to change something; what runs keeps running.
    Failed,
    /// The branch is gone; everything is scaled to zero and kept for a while.
    Resting,
    /// The teardown is under way.
    Deleting,
    /// The teardown waits for somebody.
    Blocked,
}

/// What a reconcile concludes.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Where the environment stands.
    pub phase: Phase,
    /// The machine-readable reason, in UpperCamelCase, from a closed set.
    pub reason: &'static str,
    /// One sentence, at most [`Report::MESSAGE_LENGTH`] characters.
    pub message: String,
    /// Where each of graftling's own stages stands.
    pub stages: Vec<StageReport>,
    /// The run that was advanced; `None` where no run is concerned: what is stored of it stays.
    pub run: Option<Run>,
    /// The inventory.
    pub inventory: Inventory,
    /// Whether the wanted revision is applied completely; of a run that was rolled back, whether what it went back to is.
    pub applied: bool,
    /// How many objects were written or deleted.
    pub changed: usize,
    /// When to look again; `None` while only a change can bring anything new.
    pub again: Option<Duration>,
}

/// Where one stage stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageReport {
    /// The stage.
    pub stage: Stage,
    /// Where it stands.
    pub state: StageState,
    /// What it waits for or failed at.
    pub message: Option<String>,
}

/// Where a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageState {
    /// A stage before it is not ready.
    Waiting,
    /// Its objects are being applied or are not ready.
    Running,
    /// All its objects are ready.
    Ready,
    /// It cannot go on.
    Failed,
}

/// A lost answer or a full server: soon, for most such things pass in a second.
const SOON: Duration = Duration::from_secs(1);
/// What only a person or another controller changes: their change is usually watched, this is for the rest.
const PATIENTLY: Duration = Duration::from_secs(30);
/// No watch shows what the other owners of a shared object want, and what they wait for may be this environment.
const AGREEMENT: Duration = Duration::from_secs(10);
/// A namespace needs five seconds at least; its end is watched as well.
const NAMESPACE: Duration = Duration::from_secs(2);

/// Concludes from a deployment plan and what came of it.
pub fn summarise_deployment(plan: &Plan, outcomes: &[Outcome]) -> Report {
    let mut inventory = plan.write_ahead.clone();
    outcome::absorb(&mut inventory, outcomes);
    let carried_out = outcomes.iter().filter(|outcome| is_change(outcome)).count();
    let failure = worst(outcomes);
    let interrupted = outcomes.len() < plan.size() || outcomes.iter().any(needs_another_look);
    let waiting = waiting(plan, outcomes);
    let (phase, reason, message, again) = if let Some(obstacle) = plan.obstacles.first() {
        (Phase::Failed, "NotOurs", sentence(obstacle, plan.obstacles.len()), Some(PATIENTLY))
    } else if let Some(failure) = failure {
        if failure.class == FailureClass::Forbidden && grants_rights(outcomes) {
            (
                Phase::Deploying,
                "RightsSettling",
                "waiting for rights to take effect".to_owned(),
                Some(SOON),
            )
        } else {
            conclude_refusal(failure)
        }
    } else if interrupted {
        (Phase::Deploying, "Applying", "applying objects".to_owned(), Some(SOON))
    } else if let Some(failed) = waiting.iter().find(|waiting| waiting.failed) {
        (Phase::Failed, "ObjectFailed", sentence(failed, waiting.len()), Some(PATIENTLY))
    } else if let Some(first) = waiting.first() {
        let again = if plan.withheld > 0 { AGREEMENT } else { PATIENTLY };
        (Phase::Deploying, "Waiting", sentence(first, waiting.len()), Some(again))
    } else if plan.stale > 0 {
        let message = format!("removing {} objects that the bundle no longer contains", plan.stale);
        (Phase::Deploying, "Pruning", message, Some(SOON))
    } else {
        (Phase::Ready, "Ready", ready(plan), None)
    };
    let held = plan.waiting.iter().any(|waiting| waiting.deletion.is_some());
    let applied = plan.obstacles.is_empty() && failure.is_none() && !interrupted && !held && plan.withheld == 0;
    Report {
        stages: stages(plan, outcomes, &waiting),
        run: None,
        phase,
        reason,
        message: shorten(&message),
        inventory,
        applied,
        changed: carried_out,
        again,
    }
}

/// Concludes from an error that came before anything could be planned: nothing was written.
pub fn summarise_refusal(reason: &'static str, message: &str, inventory: Inventory, again: Option<Duration>) -> Report {
    Report {
        phase: Phase::Failed,
        reason,
        message: shorten(message),
        stages: Vec::new(),
        run: None,
        inventory,
        applied: false,
        changed: 0,
        again,
    }
}

/// Concludes from a teardown plan and what came of its step.
pub fn summarise_teardown(plan: &TeardownPlan, outcomes: &[Outcome]) -> Report {
    let mut report = Report {
        phase: Phase::Deleting,
        reason: "Deleting",
        message: String::new(),
        stages: Vec::new(),
        run: None,
        inventory: plan.inventory.clone(),
        applied: false,
        changed: outcomes.iter().filter(|outcome| is_change(outcome)).count(),
        again: Some(stuck::patience(None, true)),
    };
    outcome::absorb(&mut report.inventory, outcomes);
    match &plan.next {
        Next::Drain { tier, deletes, waiting } => {
            report.message = match waiting.first() {
                Some(first) => sentence(first, waiting.len()),
                None => format!("removing {tier} ({})", deletes.len()),
            };
        }
        Next::LookForForeign => report.message = "looking for objects of others".to_owned(),
        Next::LookForReferences => report.message = "looking for what counts on the service accounts".to_owned(),
        Next::DeleteNamespace(_) => report.message = "removing the namespace".to_owned(),
        Next::AwaitNamespace(waiting) => report.message = waiting.to_string(),
        Next::Conclude => report.message = "everything is removed".to_owned(),
        Next::Blocked(obstacles) => {
            report.phase = Phase::Blocked;
            report.reason = "TeardownBlocked";
            report.message = obstacles.first().map(|first| sentence(first, obstacles.len())).unwrap_or_default();
            report.again = Some(PATIENTLY);
        }
    }
    if let Some(failure) = worst(outcomes) {
        let (phase, reason, message, again) = conclude_failure(failure);
        report.phase = if phase == Phase::Failed { Phase::Blocked } else { Phase::Deleting };
        (report.reason, report.message, report.again) = (reason, message, again);
    }
    if let Some(kept) = retain::sentence(&plan.kept) {
        report.message = format!("{}; {kept}", report.message);
    }
    report.message = shorten(&report.message);
    report
}

/// Makes of a teardown that goes on one that waits for somebody: something has not ended for too long.
pub fn summarise_stuck(report: Report, stuck: &[Stuck]) -> Report {
    Report {
        phase: Phase::Blocked,
        reason: "TerminationBlocked",
        message: shorten(&stuck::sentence(stuck)),
        ..report
    }
}

fn ready(plan: &Plan) -> String {
    let ready = "everything is applied and ready";
    match plan.retained.as_slice() {
        [] => ready.to_owned(),
        [first, ..] => format!(
            "{ready}; {} objects that the bundle no longer contains stay because of the annotation graftling.dev/retain: {first}",
            plan.retained.len()
        ),
    }
}

impl Report {
    /// A status message is read in one line of a terminal or a pull request.
    pub const MESSAGE_LENGTH: usize = 512;

    /// What is told before a plan is carried out.
    pub fn ahead(plan: &Plan, run: &Run) -> Self {
        Self {
            phase: Phase::Deploying,
            reason: "Applying",
            message: format!("applying {} objects", plan.size()),
            stages: Vec::new(),
            run: Some(run.clone()),
            inventory: plan.write_ahead.clone(),
            applied: false,
            changed: 0,
            again: None,
        }
    }

    /// Whether a stage cannot go on.
    pub fn fails_at(&self, stage: Stage) -> bool {
        self.stages
            .iter()
            .any(|report| report.stage == stage && report.state == StageState::Failed)
    }
}

/// What the plan waits for, and what was just applied and is not ready, in the order of keys.
pub fn waiting(plan: &Plan, outcomes: &[Outcome]) -> Vec<Waiting> {
    let applied = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Applied { live, .. } => waiting_for(live),
        _ => None,
    });
    let mut waiting: Vec<_> = plan.waiting.iter().cloned().chain(applied).collect();
    waiting.sort_by(|left, right| left.key.cmp(&right.key));
    waiting
}

fn waiting_for(live: &LiveObject) -> Option<Waiting> {
    let (reason, failed) = match &live.readiness {
        Readiness::Ready => return None,
        Readiness::Progressing { reason } => (reason, false),
        Readiness::Failed { reason } => (reason, true),
    };
    Some(Waiting {
        key: live.key.clone(),
        reason: reason.clone(),
        deletion: live.deletion.clone(),
        failed,
    })
}

fn is_change(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Applied { .. } | Outcome::Deleting { .. })
}

fn needs_another_look(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Exists { .. } | Outcome::Vanished { .. })
}

fn stages(plan: &Plan, outcomes: &[Outcome], waiting: &[Waiting]) -> Vec<StageReport> {
    let mut reached = true;
    Stage::ALL
        .into_iter()
        .map(|stage| {
            let report = stage_report(stage, plan, outcomes, waiting, reached);
            reached &= report.state == StageState::Ready;
            report
        })
        .collect()
}

fn stage_report(stage: Stage, plan: &Plan, outcomes: &[Outcome], waiting: &[Waiting], reached: bool) -> StageReport {
    let belongs = |key: &ObjectKey| match plan.write_ahead.get(key) {
        Some(entry) => entry.stage == stage,
        None => stage == Stage::Namespace && key.kind == "Namespace",
    };
    let failure = outcome::failures(outcomes).find(|failure| belongs(&failure.key));
    let waiting = waiting.iter().find(|waiting| belongs(&waiting.key));
    let obstacle = plan.obstacles.iter().find(|obstacle| obstacle.stage == stage);
    let applied = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Applied { stage: of, .. } if *of == stage))
        .count();
    let running = applied < planned(stage, plan);
    let (state, message) = match (failure, obstacle, waiting) {
        (Some(failure), _, _) => (StageState::Failed, Some(format!("{}: {}", failure.key, failure.message))),
        (_, Some(obstacle), _) => (StageState::Failed, Some(obstacle.to_string())),
        (_, _, Some(waiting)) if waiting.failed => (StageState::Failed, Some(waiting.to_string())),
        (_, _, Some(waiting)) => (StageState::Running, Some(waiting.to_string())),
        _ if !plan.obstacles.is_empty() || !reached => (StageState::Waiting, None),
        _ if running => (StageState::Running, None),
        _ => (StageState::Ready, None),
    };
    StageReport {
        stage,
        state,
        message: message.map(|text| shorten(&text)),
    }
}

/// How many objects of a stage the plan applies.
fn planned(stage: Stage, plan: &Plan) -> usize {
    plan.applies().filter(|apply| apply.stage == stage).count()
}

trait Sentence: std::fmt::Display {}
impl Sentence for Waiting {}
impl Sentence for Obstacle {}

/// The first of several things, and how many more there are.
fn sentence(first: &impl Sentence, count: usize) -> String {
    match count {
        0 | 1 => first.to_string(),
        more => format!("{first} (and {} more)", more - 1),
    }
}

/// Cuts to what a status holds, without control characters: server messages and names may come from anybody.
pub fn shorten(text: &str) -> String {
    let clean = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut short: String = clean.clone().take(Report::MESSAGE_LENGTH).collect();
    if clean.count() > Report::MESSAGE_LENGTH {
        short.pop();
        short.push('…');
    }
    short
}

impl StageState {
    /// The state's name in a status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Running => "Running",
            Self::Ready => "Ready",
            Self::Failed => "Failed",
        }
    }
}

#[cfg(test)]
mod tests;
