//! Carrying out a roster: Environment objects are written, put to rest and retired.

use std::sync::Arc;

use futures::{StreamExt, stream};
use kube::{Resource, ResourceExt};

use super::Sync;
use crate::api::Environment;
use crate::api::convert::grace;
use crate::cluster::environments::{self, Precondition};
use crate::cluster::publish::Announcement;
use crate::domain::name::EnvironmentName;
use crate::domain::policy;
use crate::domain::roster::{Grace, Rest, Retirement, Roster, Wanted};

/// So many Environment objects of one Project are written at the same time.
const CONCURRENT_WRITES: usize = 8;

impl Sync {
    pub(super) async fn act(&self, project: &policy::Project, environments: &[Arc<Environment>], roster: &Roster) {
        let uid = |wanted: &Wanted| {
            let named = environments
                .iter()
                .find(|environment| environment.name_any() == wanted.name.as_str());
            named.and_then(|environment| environment.uid())
        };
        let creations = roster.create.iter().map(|wanted| self.write(project, wanted, None));
        let refreshes = roster.refresh.iter().map(|wanted| self.write(project, wanted, uid(wanted)));
        concurrently(creations.chain(refreshes).collect()).await;
        concurrently(roster.rest.iter().map(|rest| self.rest(project, rest)).collect()).await;
        concurrently(roster.retire.iter().map(|retirement| self.retire(project, retirement)).collect()).await;
    }

    async fn write(&self, project: &policy::Project, wanted: &Wanted, uid: Option<String>) {
        let precondition = Precondition {
            uid: uid.as_deref(),
            version: None,
        };
        let written = async {
            let written = environments::apply(self.client.clone(), &project.key, wanted, precondition).await?;
            match (&written.spec.grace, &wanted.grace) {
                // Somebody else owns the mark as well, so leaving it out was not enough: a restored backup, for example.
                (Some(_), None) => environments::unmark(self.client.clone(), &written).await,
                _ => Ok(()),
            }
        };
        match written.await {
            Ok(()) => {
                tracing::info!(project = %project.key, branch = %wanted.branch, revision = wanted.revision.short(), environment = %wanted.name, new = uid.is_none(), "environment wanted");
            }
            Err(error) => {
                tracing::warn!(project = %project.key, branch = %wanted.branch, error = %error.chain(), "could not write the Environment; the next look tries again");
            }
        }
    }

    /// The Environment as it is now, if it is still what was decided about: the watch may be behind, and who restored it meanwhile wins.
    async fn unchanged(
        &self,
        project: &policy::Project,
        (name, uid, mark): (&EnvironmentName, &str, Option<&Grace>),
    ) -> Result<Option<Environment>, crate::cluster::Error> {
        let fresh = environments::read(self.client.clone(), &project.key, name).await?;
        Ok(fresh.filter(|fresh| {
            let is_alive = fresh.metadata.deletion_timestamp.is_none() && fresh.uid().as_deref() == Some(uid);
            is_alive && fresh.spec.grace.as_ref().map(grace::grace).as_ref() == mark
        }))
    }

    /// Marks an environment as one that rests. It is written as it was read, so that nobody's change in between is lost.
    async fn rest(&self, project: &policy::Project, rest: &Rest) {
        let wanted = &rest.wanted;
        let rested = async {
            let Some(fresh) = self.unchanged(project, (&wanted.name, &rest.uid, rest.before.as_ref())).await? else {
                return Ok(());
            };
            let version = fresh.resource_version();
            let precondition = Precondition {
                uid: Some(&rest.uid),
                version: version.as_deref(),
            };
            environments::apply(self.client.clone(), &project.key, wanted, precondition).await?;
            let Some(grace) = &wanted.grace else { return Ok(()) };
            let branch = &wanted.branch;
            let announcement = Announcement {
                reason: "Resting",
                warning: false,
                note: format!(
                    "branch {branch} is gone: {}; the environment is scaled to zero and kept until {}; push the branch or run graftling env restore {branch}",
                    grace.reason, grace.until
                ),
            };
            self.publisher.announce(&fresh.object_ref(&()), &announcement).await;
            tracing::info!(project = %project.key, %branch, environment = %wanted.name, until = %grace.until, reason = grace.reason, "environment goes to rest");
            Ok::<_, crate::cluster::Error>(())
        };
        if let Err(error) = rested.await {
            tracing::warn!(project = %project.key, branch = %wanted.branch, error = %error.chain(), "could not put the Environment to rest; the next look tries again");
        }
    }

    /// The destructive one: repeats a consistent read first, because the watch may be behind.
    async fn retire(&self, project: &policy::Project, retirement: &Retirement) {
        let retired = async {
            let decided = (&retirement.name, retirement.uid.as_str(), retirement.grace.as_ref());
            let Some(fresh) = self.unchanged(project, decided).await? else {
                return Ok(());
            };
            environments::retire(self.client.clone(), &fresh).await?;
            self.metrics.retired();
            let announcement = Announcement {
                reason: "Retired",
                warning: false,
                note: format!(
                    "branch {} is gone: {}; the environment is removed",
                    retirement.branch, retirement.proof
                ),
            };
            self.publisher.announce(&fresh.object_ref(&()), &announcement).await;
            Ok::<_, crate::cluster::Error>(())
        };
        match retired.await {
            Ok(()) => {
                tracing::info!(project = %project.key, branch = %retirement.branch, environment = %retirement.name, proof = ?retirement.proof, "environment retired");
            }
            Err(error) => {
                tracing::warn!(project = %project.key, branch = %retirement.branch, error = %error.chain(), "could not retire the Environment; the next look tries again");
            }
        }
    }
}

async fn concurrently<F: Future<Output = ()>>(tasks: Vec<F>) {
    stream::iter(tasks).buffer_unordered(CONCURRENT_WRITES).collect::<()>().await;
}
