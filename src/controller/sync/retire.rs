//! The destructive one: Environments that the roster retires.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{Resource, ResourceExt};

use super::Sync;
use crate::api::Environment;
use crate::api::convert;
use crate::cluster;
use crate::cluster::environments::{self, Retired};
use crate::cluster::publish::Announcement;
use crate::controller::stores::Member;
use crate::domain::policy;
use crate::domain::removal::Reason;
use crate::domain::roster::Retirement;

/// The status of an environment changes often; so often the deletion is tried again with what is true by then.
const ATTEMPTS: usize = 3;

/// What came of a decision to retire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The teardown has begun.
    Retired,
    /// There is nothing left to retire: it is gone or going, or somebody restored it in between and has been faster.
    Void,
    /// It is another than the one that was decided about, or changes without end.
    Overtaken,
}

impl Sync {
    /// Retires one Environment, after a consistent read, because the watch may be behind. `environments` are those that the decision
    /// was made over. Whether nothing is left to decide anew, and nothing undone because the API server did not answer.
    pub(super) async fn retire(&self, project: &policy::Project, retirement: &Retirement, environments: &[Arc<Member>]) -> bool {
        let reason = Reason::proven(&retirement.branch, retirement.proof);
        match self.try_to_retire(project, retirement, environments, &reason).await {
            Ok(Outcome::Retired) => {
                tracing::info!(project = %project.key, branch = %retirement.branch, environment = %retirement.name, %reason, "environment retired");
                true
            }
            Ok(Outcome::Void) => {
                tracing::info!(project = %project.key, branch = %retirement.branch, environment = %retirement.name, "environment not retired, as it goes already or was restored");
                true
            }
            Ok(Outcome::Overtaken) => {
                tracing::info!(project = %project.key, branch = %retirement.branch, environment = %retirement.name, "environment not retired, as it has changed meanwhile; it is decided anew");
                false
            }
            Err(error) => {
                tracing::warn!(project = %project.key, branch = %retirement.branch, error = %error.chain(), "could not retire the Environment; the next look tries again");
                !error.is_outage()
            }
        }
    }

    async fn try_to_retire(
        &self,
        project: &policy::Project,
        retirement: &Retirement,
        environments: &[Arc<Member>],
        reason: &Reason,
    ) -> Result<Outcome, cluster::Error> {
        for _ in 0..ATTEMPTS {
            let fresh = environments::read(self.client.clone(), &project.key, &retirement.name).await?;
            let Some(fresh) = fresh.filter(|fresh| is_alive(retirement, fresh)) else {
                return Ok(Outcome::Void);
            };
            if !still_holds(retirement, &fresh, environments) {
                return Ok(Outcome::Overtaken);
            }
            if environments::retire(self.client.clone(), &fresh, reason, Timestamp::now()).await? == Retired::Deleted {
                let announcement = Announcement {
                    reason: "Retired",
                    warning: false,
                    note: format!("the environment is removed: {reason}"),
                };
                self.publisher.announce(&fresh.object_ref(&()), &announcement).await;
                return Ok(Outcome::Retired);
            }
        }
        Ok(Outcome::Overtaken)
    }
}

/// Whether it is the same environment, not going, and with the same mark: who restored it in between has been faster.
fn is_alive(retirement: &Retirement, fresh: &Environment) -> bool {
    let has_mark = fresh.spec.grace.as_ref().map(convert::grace::grace) == retirement.grace;
    has_mark && fresh.metadata.deletion_timestamp.is_none() && fresh.uid().as_deref() == Some(retirement.uid.as_str())
}

/// A proof of absence is about the branch. A rule of the Project speaks of what the environment was when it was decided: if somebody
/// pushed or a deployment ended since, there is something new to decide.
fn still_holds(retirement: &Retirement, fresh: &Environment, decided: &[Arc<Member>]) -> bool {
    let before = decided.iter().find(|environment| environment.uid() == fresh.uid());
    let before = before.and_then(|before| before.existing());
    let unchanged = || before.is_some_and(|before| convert::environment::existing(fresh).is_ok_and(|now| **before == now));
    retirement.head.is_none() || unchanged()
}
