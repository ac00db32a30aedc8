//! Requests and approvals: out of an Environment's spec into the domain.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::environment::requests as stored;
use crate::api::{EnvironmentSpec, EnvironmentStatus};
use crate::domain::bundle::pipeline::Stage;
use crate::domain::comment::Waiting;
use crate::domain::drift::{self, Drift};
use crate::domain::run::approval::{Approval, Verdict};
use crate::domain::run::request::{Action, Goal, ObjectName, Request};
use crate::domain::run::{Run, RunNumber, StageState};
use crate::domain::stage::{Settings, with_outputs};
use crate::domain::status::shorten;

/// The request that nobody has acted on yet, if there is one.
///
/// # Errors
/// What cannot be read of it: it comes from another version or around the schema. It is answered like one that is refused.
pub fn open_request(spec: &EnvironmentSpec, status: Option<&EnvironmentStatus>) -> Option<Result<Request, Unreadable>> {
    let request = spec.request.as_ref()?;
    let handled = status.and_then(|status| status.request_handled.as_ref());
    let is_open = handled.is_none_or(|handled| handled.id != request.id);
    is_open.then(|| {
        read(request).map_err(|problem| Unreadable {
            id: request.id.clone(),
            problem,
        })
    })
}

/// A request that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spec.request cannot be read: {problem}; write it anew, with the command line of the server's version")]
pub struct Unreadable {
    /// What tells it from every other.
    pub id: String,
    /// The field, and what is wrong with it.
    pub problem: String,
}

fn read(request: &stored::Request) -> Result<Request, String> {
    Ok(Request {
        id: request.id.clone(),
        action: action(request)?,
        by: request.by.clone(),
    })
}

fn action(request: &stored::Request) -> Result<Action, String> {
    let stage = || request.stage.clone().ok_or_else(|| "stage is missing".to_owned());
    Ok(match request.action {
        stored::RequestAction::Retry => Action::Retry {
            from: request.stage.clone(),
        },
        stored::RequestAction::Skip => Action::Skip { stage: stage()? },
        stored::RequestAction::Rerun => Action::Rerun { stage: stage()? },
        stored::RequestAction::Rollback => Action::Rollback {
            to: match (request.run, &request.revision) {
                (Some(run), None) => Goal::Run(RunNumber(run)),
                (None, Some(revision)) => Goal::Revision(revision.clone()),
                (None, None) => Goal::Previous,
                (Some(_), Some(_)) => return Err("run and revision exclude each other".to_owned()),
            },
        },
        stored::RequestAction::Sync => {
            let only: Result<Vec<ObjectName>, _> = request.objects.iter().map(|text| text.parse()).collect();
            let only = only.map_err(|error| format!("objects: {error}"))?;
            if only.is_empty() {
                return Err("objects is empty".to_owned());
            }
            Action::Sync { only }
        }
    })
}

/// What the status says of a request once it is answered: what it did, or why it did nothing.
pub fn handled<E: std::error::Error>(id: &str, outcome: &Result<String, E>, now: &Time) -> stored::RequestHandled {
    stored::RequestHandled {
        id: id.to_owned(),
        accepted: outcome.is_ok(),
        message: match outcome {
            Ok(told) => told.clone(),
            Err(refusal) => refusal.to_string(),
        },
        at: now.clone(),
    }
}

/// What people said.
pub fn approvals(spec: &EnvironmentSpec) -> Vec<Approval> {
    let read = |approval: &stored::Approval| Approval {
        run: RunNumber(approval.run),
        stage: approval.stage.clone(),
        attempt: approval.attempt,
        by: approval.by.clone(),
        verdict: match approval.verdict {
            stored::Verdict::Approved => Verdict::Approved,
            stored::Verdict::Rejected => Verdict::Rejected,
        },
        groups: approval.groups.clone(),
        comment: approval.comment.clone(),
    };
    spec.approvals.iter().map(read).collect()
}

/// A word as it is stored.
pub fn stored_approval(approval: &Approval, now: &Time) -> stored::Approval {
    stored::Approval {
        run: approval.run.0,
        stage: approval.stage.clone(),
        attempt: approval.attempt,
        by: approval.by.clone(),
        verdict: match approval.verdict {
            Verdict::Approved => stored::Verdict::Approved,
            Verdict::Rejected => stored::Verdict::Rejected,
        },
        groups: approval.groups.clone(),
        at: now.clone(),
        comment: approval.comment.clone(),
    }
}

/// The stages that wait for a word.
pub fn waiting(status: Option<&EnvironmentStatus>) -> Vec<Waiting> {
    let read = |pending: &stored::PendingApproval| Waiting {
        run: RunNumber(pending.run),
        stage: pending.stage.clone(),
        attempt: pending.attempt,
        since: pending.since.0,
        groups: pending.groups.clone(),
    };
    status
        .map(|status| status.pending_approvals.iter().map(read).collect())
        .unwrap_or_default()
}

/// The questions of a run that are open.
pub fn pending_approvals(run: &Run, stages: &[Stage]) -> Vec<stored::PendingApproval> {
    let outputs = run.outputs();
    let open = |stage: &Stage| {
        let own = run.stage(&stage.name).filter(|own| own.state == StageState::Running)?;
        let Ok(Settings::Approve(approve)) = with_outputs(&stage.action, &outputs) else {
            return None;
        };
        let since = own.since?;
        let end = |span| since.checked_add(SignedDuration::try_from(span).ok()?).ok();
        Some(stored::PendingApproval {
            run: run.number.0,
            stage: own.name.clone(),
            attempt: own.attempt(),
            since: Time(since),
            groups: approve.groups,
            until: approve.expires_after.and_then(end).map(Time),
        })
    };
    stages.iter().filter_map(open).collect()
}

/// What was changed by hand, as it is stored.
pub fn drifted(drifts: &[Drift]) -> Vec<stored::DriftedObject> {
    let store = |drift: &Drift| stored::DriftedObject {
        object: format!("{}/{}", drift.key.kind, drift.key.name),
        change: shorten(&drift.change.to_string()),
    };
    drifts.iter().take(drift::OBJECTS).map(store).collect()
}

#[cfg(test)]
mod tests;
