//! What mirrors add to the facts of a look: `domain::mirror` says whose word counts.

use crate::api::Project;
use crate::controller::inbox::PendingHint;
use crate::controller::stores::existing_of;
use crate::domain::git::{Listing, RefLookup, Repository};
use crate::domain::mirror::{self, Known};
use crate::domain::policy::{self, Mirror};
use crate::domain::roster::Existing;
use crate::githost::Error;
use crate::metrics::HostOperation;

use super::Sync;

impl Sync {
    /// The answer about a branch: the primary's, or what a mirror that announced a push has instead.
    ///
    /// # Errors
    /// That of the primary, where no mirror can stand in for it.
    pub(super) async fn with_mirrors(
        &self,
        object: &Project,
        project: &policy::Project,
        hint: &PendingHint,
        primary: Result<RefLookup, Error>,
    ) -> Result<RefLookup, Error> {
        let Some(origin) = origin(project, hint) else { return primary };
        if primary.as_ref().is_ok_and(|lookup| lookup.head.is_some()) {
            return primary;
        }
        let answer = match self.connected(&origin.host).await {
            Some(connected) => {
                let answer = connected.host.lookup(&origin.repository, &hint.branch).await;
                self.count_host_call(HostOperation::Lookup, &answer);
                answer.ok()
            }
            None => None,
        };
        let environments = self.environments_of(project);
        let mut existing = environments.iter().filter_map(|member| member.existing());
        let of_branch = existing.find(|existing| existing.branch == hint.branch);
        let known = Known {
            repository: repository(object, project),
            pull_request: of_branch.and_then(|existing| existing.pull_request.clone()),
        };
        match mirror::lookup(primary.as_ref().ok(), answer.as_ref(), &known) {
            Some(lookup) => Ok(lookup),
            None => primary,
        }
    }

    /// Whether a hint announces a deletion on the word of the primary: a mirror's counts for nothing.
    pub(super) fn announces_deletion(project: &policy::Project, hint: &PendingHint) -> bool {
        hint.deletion_announced && origin(project, hint).is_none()
    }

    /// Keeps the branches in a listing that were pushed to a mirror a short time ago and are still there.
    pub(super) async fn keep_arriving(&self, project: &policy::Project, listing: &mut Listing) {
        if project.mirrors.is_empty() {
            return;
        }
        let existing = existing_of(&self.environments_of(project));
        if existing
            .iter()
            .all(|environment| listing.branches.contains_key(&environment.branch))
        {
            return;
        }
        let Some(now) = self.clock.now(&self.client).await else { return };
        let candidates = mirror::may_arrive(listing, &existing, now);
        let mut arriving = Vec::new();
        for environment in candidates {
            if self.is_mirrored(project, environment).await {
                arriving.push(environment);
            }
        }
        for environment in arriving {
            mirror::keep(listing, environment);
        }
    }

    /// Whether a mirror has the branch of an environment, or does not say that it has not.
    async fn is_mirrored(&self, project: &policy::Project, environment: &Existing) -> bool {
        for mirror in &project.mirrors {
            let Some(connected) = self.connected(&mirror.host).await else {
                continue;
            };
            let answer = connected.host.lookup(&mirror.repository, &environment.branch).await;
            self.count_host_call(HostOperation::Lookup, &answer);
            if answer.map_or(true, |lookup| lookup.head.is_some()) {
                return true;
            }
        }
        false
    }
}

/// The mirror that a hint came from; `None`: it came from the primary.
fn origin<'a>(project: &'a policy::Project, hint: &PendingHint) -> Option<&'a Mirror> {
    let name = hint.repository.name.as_str();
    let is_primary = hint.host == project.host && name.eq_ignore_ascii_case(project.repository.as_str());
    let mut mirrors = project.mirrors.iter().filter(|_| !is_primary);
    mirrors.find(|mirror| mirror.host == hint.host && name.eq_ignore_ascii_case(mirror.repository.as_str()))
}

/// The repository, as the primary told of it last.
fn repository(object: &Project, project: &policy::Project) -> Option<Repository> {
    let status = object.status.as_ref()?;
    Some(Repository {
        id: status.repository_id.as_ref()?.parse().ok()?,
        name: project.repository.clone(),
        default_branch: status.default_branch.as_ref().and_then(|head| head.name.parse().ok()),
    })
}
