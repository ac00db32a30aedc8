//! Carrying out a roster: Environment objects are written, put to rest and retired.

use std::sync::Arc;

use futures::{StreamExt, stream};
use kube::{Resource, ResourceExt};

use super::Sync;
use crate::api::Environment;
use crate::api::convert::grace;
use crate::cluster::environments::{self, Precondition};
use crate::cluster::publish::Announcement;
use crate::controller::stores::Member;
use crate::domain::policy;
use crate::domain::roster::{GraceState, Rest, Roster, Wanted};

/// So many Environment objects of one Project are written at the same time.
const CONCURRENT_WRITES: usize = 8;

impl Sync {
    /// Whether nothing is left undone because the API server did not answer.
    pub(super) async fn act(&self, project: &policy::Project, environments: &[Arc<Member>], roster: &Roster) -> bool {
        let uid = |wanted: &Wanted| {
            let named = environments
                .iter()
                .find(|environment| environment.metadata.name.as_deref() == Some(wanted.name.as_str()));
            named.and_then(|environment| environment.uid())
        };
        let creations = roster.create.iter().map(|wanted| self.write(project, wanted, None));
        let refreshes = roster.refresh.iter().map(|wanted| self.write(project, wanted, uid(wanted)));
        let written = concurrently(creations.chain(refreshes).collect()).await;
        let rested = concurrently(roster.rest.iter().map(|rest| self.rest(project, rest)).collect()).await;
        let retire = |retirement| self.retire(project, retirement, environments);
        let retired = concurrently(roster.retire.iter().map(retire).collect()).await;
        written && rested && retired
    }

    async fn write(&self, project: &policy::Project, wanted: &Wanted, uid: Option<String>) -> bool {
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
                true
            }
            Err(error) => {
                tracing::warn!(project = %project.key, branch = %wanted.branch, error = %error.chain(), "could not write the Environment; the next look tries again");
                !error.is_outage()
            }
        }
    }

    /// Marks an environment as one that rests. It is written as it was read, so that nobody's change in between is lost.
    async fn rest(&self, project: &policy::Project, rest: &Rest) -> bool {
        let wanted = &rest.wanted;
        let rested = async {
            let fresh = environments::read(self.client.clone(), &project.key, &wanted.name).await?;
            // The watch may be behind, and who restored it meanwhile has been faster.
            let Some(fresh) = fresh.filter(|fresh| is_as_decided(rest, fresh)) else {
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
            let (reason, kept) = match grace.state {
                GraceState::Sleeping => ("Sleeping", "sleeps; push the branch, reopen the pull request".to_owned()),
                _ => ("Resting", format!("kept until {}; push the branch", grace.until)),
            };
            let announcement = Announcement {
                reason,
                warning: false,
                note: format!(
                    "{}; the environment is scaled to zero and {kept} or run graftling env restore {branch}",
                    grace.reason
                ),
            };
            self.publisher.announce(&fresh.object_ref(&()), &announcement).await;
            tracing::info!(project = %project.key, %branch, environment = %wanted.name, until = %grace.until, reason = grace.reason, "environment goes to rest");
            Ok::<_, crate::cluster::Error>(())
        };
        let rested = rested.await.inspect_err(|error| {
            tracing::warn!(project = %project.key, branch = %wanted.branch, error = %error.chain(), "could not put the Environment to rest; the next look tries again");
        });
        !rested.is_err_and(|error| error.is_outage())
    }
}

/// Whether each of them is done.
async fn concurrently<F: Future<Output = bool>>(tasks: Vec<F>) -> bool {
    let done = stream::iter(tasks).buffer_unordered(CONCURRENT_WRITES);
    done.fold(true, |all, one| async move { all && one }).await
}

fn is_as_decided(rest: &Rest, fresh: &Environment) -> bool {
    let is_alive = fresh.metadata.deletion_timestamp.is_none() && fresh.uid().as_deref() == Some(rest.uid.as_str());
    is_alive && fresh.spec.grace.as_ref().map(grace::grace) == rest.before
}
