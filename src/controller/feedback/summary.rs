//! How all environments of a Project stand, on the head of its default branch.

use std::sync::PoisonError;
use std::time::Duration;

use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use super::{Feedback, Place};
use crate::api::Project;
use crate::api::convert::feedback::phase_of;
use crate::cluster::error::chain;
use crate::controller::settings::Scope;
use crate::domain::feedback::{self, ToldStatus};
use crate::domain::report::CommitReport;

/// How often it is looked whether something else is to be said; after a restart it is said once more.
const ROUND: Duration = Duration::from_secs(30);

impl Feedback {
    /// Keeps the summaries true until `shutdown`.
    pub async fn summarise(&self, scope: &Scope, shutdown: CancellationToken) {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = rounds.tick() => {}
            }
            for project in self.stores.projects.state() {
                if scope.contains(project.namespace().as_deref()) {
                    self.summarise_one(&project).await;
                }
            }
        }
    }

    async fn summarise_one(&self, project: &Project) {
        let key = (project.namespace().unwrap_or_default(), project.name_any());
        let Some(place) = self.place(&key.0, &key.1).filter(|place| place.wants.commit_status) else {
            return;
        };
        let Some(report) = self.summary(project) else { return };
        let now = ToldStatus::of(&report);
        let told = self.summaries.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if told.as_ref() == Some(&now) {
            return;
        }
        if self.set_summary(&place, &report).await {
            self.summaries.lock().unwrap_or_else(PoisonError::into_inner).insert(key, now);
        }
    }

    /// A refusal counts as told: the environments' own statuses tell of it.
    async fn set_summary(&self, place: &Place, report: &CommitReport) -> bool {
        match self.call(place, |host| host.commit(&place.repository, report)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(project = %place.project.name_any(), error = %chain(&error), "could not set the summary of the default branch");
                super::over::<()>(Err(error)).is_ok()
            }
        }
    }

    /// Nothing where the default branch has an environment, whose status stands there.
    fn summary(&self, project: &Project) -> Option<CommitReport> {
        let head = project.status.as_ref()?.default_branch.as_ref()?;
        let namespace = project.metadata.namespace.as_deref().unwrap_or_default();
        let own = self.stores.members.of(namespace, &project.name_any());
        if own.iter().any(|environment| environment.spec.branch == head.name) {
            return None;
        }
        let (branch, revision) = (head.name.parse().ok()?, head.revision.parse().ok()?);
        let phases = own.iter().map(|environment| phase_of(environment));
        Some(feedback::summary(&project.name_any(), &branch, revision, phases))
    }
}
