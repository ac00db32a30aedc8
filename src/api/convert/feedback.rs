//! Environments and receipts as people at a Git host are told of them.

use super::environment::identity;
use crate::api::environment::{Environment, EnvironmentStatus, Phase};
use crate::api::receipt::FullReceipt;
use crate::domain::feedback::{Removal, StageStanding, Standing};
use crate::domain::inventory::Stage;
use crate::domain::run::{RunState, StageState};
use crate::domain::status::Phase as DomainPhase;
use crate::domain::why;

/// What is known of an environment.
///
/// # Errors
/// The first field that cannot be read: of such an Environment nothing is told.
pub fn standing(environment: &Environment) -> Result<Standing, String> {
    let identity = identity(environment)?;
    let status = environment.status.clone().unwrap_or_default();
    let (wanted, revision) = (identity.revision.as_str(), status.revision.clone().unwrap_or_default());
    let is_seen = revision.wanted.as_deref() == Some(wanted);
    let run = status.run.as_ref().filter(|run| run.revision == wanted);
    let stages = status.stages.iter().filter(|_| run.is_some());
    Ok(Standing {
        environment: identity.name.to_string(),
        project: identity.project.name.to_string(),
        branch: identity.branch,
        applied: revision.applied.and_then(|applied| applied.parse().ok()),
        phase: status.phase.map(phase),
        is_about_wanted: is_seen && !tells_of_older_run(&status, wanted),
        is_going: environment.metadata.deletion_timestamp.is_some(),
        trouble: trouble(&status).filter(|_| is_seen),
        approvals: status.pending_approvals.iter().map(|pending| pending.stage.clone()).collect(),
        url: status.url.clone(),
        stages: stages.filter_map(stage).collect(),
        pull_request: environment
            .spec
            .pull_request
            .as_ref()
            .and_then(|pull| u64::try_from(pull.number).ok()),
        wanted: identity.revision,
    })
}

/// Whether a failure is that of a run for another commit, which had to go on to its end. The next pass begins with the wanted one.
fn tells_of_older_run(status: &EnvironmentStatus, wanted: &str) -> bool {
    let is_of_run = matches!(reason(status), "StageFailed" | "RolledBack" | "ObjectFailed") || is_trouble(reason(status));
    let is_failure = |state: &str| matches!(RunState::from_name(state), Some(RunState::Failed | RunState::RolledBack));
    let older = status.run.as_ref().filter(|run| run.revision != wanted);
    is_of_run && older.is_some_and(|run| is_failure(&run.state))
}

/// What is wrong: the message of what failed, or of what is waited for longer than usual.
fn trouble(status: &EnvironmentStatus) -> Option<String> {
    let is_told = match status.phase? {
        Phase::Failed | Phase::Blocked => true,
        Phase::Deploying => is_trouble(reason(status)),
        Phase::Pending | Phase::Ready | Phase::Resting | Phase::Deleting => false,
    };
    status.message.clone().filter(|_| is_told)
}

/// Whether a reason is a class of trouble, which brings its own next step.
fn is_trouble(reason: &str) -> bool {
    !reason.is_empty() && why::next_step(reason).is_none() && !why::is_wait(reason)
}

fn reason(status: &EnvironmentStatus) -> &str {
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    ready.map(|condition| condition.reason.as_str()).unwrap_or_default()
}

/// Namespace and guardrails are no steps that people know.
fn stage(stage: &crate::api::environment::run::StageStatus) -> Option<StageStanding> {
    if Stage::is_before_the_bundle(&stage.name) {
        return None;
    }
    Some(StageStanding {
        name: stage.name.clone(),
        state: StageState::from_name(&stage.state)?,
        since: stage.since.as_ref().map(|time| time.0),
        ended: stage.ended.as_ref().map(|time| time.0),
    })
}

fn phase(phase: Phase) -> DomainPhase {
    match phase {
        Phase::Pending => DomainPhase::Pending,
        Phase::Deploying => DomainPhase::Deploying,
        Phase::Ready => DomainPhase::Ready,
        Phase::Failed => DomainPhase::Failed,
        Phase::Resting => DomainPhase::Resting,
        Phase::Deleting => DomainPhase::Deleting,
        Phase::Blocked => DomainPhase::Blocked,
    }
}

/// The phase of an environment.
pub fn phase_of(environment: &Environment) -> DomainPhase {
    let told = environment.status.as_ref().and_then(|status| status.phase).map(phase);
    match environment.metadata.deletion_timestamp {
        Some(_) if told != Some(DomainPhase::Blocked) => DomainPhase::Deleting,
        _ => told.unwrap_or(DomainPhase::Pending),
    }
}

/// What a receipt says; `None` if it names no branch that there can be.
pub fn removal(receipt: &FullReceipt) -> Option<Removal> {
    Some(Removal {
        environment: receipt.environment.clone(),
        branch: receipt.branch.parse().ok()?,
        revision: receipt.revision.as_deref().and_then(|revision| revision.parse().ok()),
        because: receipt.because.clone(),
        at: receipt.completed_at.0,
        created: receipt.created,
        removed: receipt.removed,
        kept: receipt.kept,
        left: receipt.left.iter().map(|left| (left.object.clone(), left.reason.clone())).collect(),
    })
}
