//! `approve` stages: who was asked, who has spoken, and who is reminded.

use jiff::Timestamp;
use kube::Resource;

use super::stages::{Standing, unable};
use super::{Reconciler, Site, Work};
use crate::api::convert::requests::approvals;
use crate::api::environment::Environment;
use crate::cluster::publish::Announcement;
use crate::domain::bundle::pipeline::Stage;
use crate::domain::run::approval::{Judgement, Question, Terms, judge};
use crate::domain::run::{Progress, StageRun};
use crate::domain::stage::approve::Approve;

impl Reconciler {
    /// How the question of a stage stands. A reminder that is due is an Event; how many were sent is kept as the streak.
    pub(super) async fn approval_standing(&self, site: &Site<'_>, work: &Work, stage: &Stage, approve: &Approve) -> Standing {
        let Some(own) = work.run.stage(&stage.name) else {
            return unable("it is not of this run");
        };
        let terms = Terms {
            message: approve.message.clone(),
            groups: approve.groups.clone(),
            remind_after: approve.remind_after,
            expires_after: approve.expires_after,
        };
        let name = command_name(site.environment);
        let question = Question {
            environment: &name,
            run: work.run.number,
            stage: own,
            terms: &terms,
        };
        let proof = self.approvals.proof().await;
        let Judgement {
            progress,
            reminders,
            again,
        } = judge(&question, &approvals(&site.environment.spec), proof.as_proof(), site.now);
        if let Progress::Pending { message, .. } = &progress
            && (reminders > own.streak || is_asked_first(own, site.now))
        {
            let reason = if reminders > own.streak {
                "ApprovalReminder"
            } else {
                "ApprovalNeeded"
            };
            let announcement = Announcement {
                reason,
                warning: false,
                note: format!("stage {}: {message}", stage.name),
            };
            self.publisher.announce(&site.environment.object_ref(&()), &announcement).await;
        }
        Standing {
            progress,
            streak: Some(reminders),
            again: again.map(|due| due.duration_since(site.now).unsigned_abs()),
        }
    }
}

/// The environment as a command names it.
fn command_name(environment: &Environment) -> String {
    let namespace = environment.metadata.namespace.as_deref().unwrap_or_default();
    format!("{} -n {namespace}", environment.spec.branch)
}

/// Whether this very pass asks for the first time.
fn is_asked_first(own: &StageRun, now: Timestamp) -> bool {
    own.since == Some(now) && own.message.is_none()
}
