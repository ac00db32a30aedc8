//! What a Git host says, for one look at one Project.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::Sync;
use super::project::Sighting;
use crate::api::Project;
use crate::controller::hosts::Connected;
use crate::controller::inbox::PendingHint;
use crate::domain::git::{BranchName, RefLookup};
use crate::domain::policy;
use crate::domain::roster::{Facts, Sighted};
use crate::githost::{self, Class};
use crate::metrics::{HostCallResult, HostOperation};

/// So many branches of one Project are looked up at the same time.
const CONCURRENT_LOOKUPS: usize = 4;

impl Sync {
    /// What the host says of what is to be looked at.
    ///
    /// # Errors
    /// The host gave no answer that can be relied on, about anything.
    pub(super) async fn facts(
        &self,
        connected: &Connected,
        object: &Project,
        project: &policy::Project,
        sighting: Sighting<'_>,
    ) -> Result<Facts, githost::Error> {
        match sighting {
            Sighting::Everything => {
                let listing = connected.host.listing(&project.repository).await;
                self.count_host_call(HostOperation::Listing, &listing);
                let mut listing = listing?;
                self.keep_arriving(project, &mut listing).await;
                Ok(Facts::Listing(listing))
            }
            Sighting::Branches(hints) => {
                let known = self.look_up_together(connected, project, hints).await?;
                let sight = |hint| self.sight(connected, object, project, (hint, known.get(&hint.branch)));
                let lookups: Vec<_> = hints.iter().map(sight).collect();
                let lookups = stream::iter(lookups).buffer_unordered(CONCURRENT_LOOKUPS).try_collect().await?;
                Ok(Facts::Lookups(lookups))
            }
        }
    }

    /// Where the branches of several hints stand, as far as the host tells so at once; those that it does not tell are asked for one by one.
    ///
    /// # Errors
    /// The host's, where no mirror could stand in for it at any of them.
    async fn look_up_together(
        &self,
        connected: &Connected,
        project: &policy::Project,
        hints: &[PendingHint],
    ) -> Result<BTreeMap<BranchName, RefLookup>, githost::Error> {
        if hints.len() < 2 {
            return Ok(BTreeMap::new());
        }
        let branches: Vec<_> = hints.iter().map(|hint| hint.branch.clone()).collect();
        match connected.host.lookups(&project.repository, &branches).await {
            Ok(lookups) => Ok(lookups.into_iter().map(|lookup| (lookup.branch.clone(), lookup)).collect()),
            Err(_) if !project.mirrors.is_empty() => Ok(BTreeMap::new()),
            failed => {
                self.count_host_call(HostOperation::Lookup, &failed);
                failed.map(|_| BTreeMap::new())
            }
        }
    }

    async fn sight(
        &self,
        connected: &Connected,
        object: &Project,
        project: &policy::Project,
        (hint, known): (&PendingHint, Option<&RefLookup>),
    ) -> Result<Sighted, githost::Error> {
        let lookup = match known {
            Some(known) => Ok(known.clone()),
            None => connected.host.lookup(&project.repository, &hint.branch).await,
        };
        self.count_host_call(HostOperation::Lookup, &lookup);
        Ok(Sighted {
            lookup: self.with_mirrors(object, project, hint, lookup).await?,
            deletion_announced: Self::announces_deletion(project, hint),
        })
    }

    pub(super) fn count_host_call<T>(&self, operation: HostOperation, result: &Result<T, githost::Error>) {
        let result = match result {
            Ok(_) => HostCallResult::Ok,
            Err(error) => call_result(error.class()),
        };
        self.metrics.host_call(operation, result);
    }
}

fn call_result(class: Class) -> HostCallResult {
    match class {
        Class::Transient => HostCallResult::Transient,
        Class::RateLimited(_) => HostCallResult::RateLimited,
        Class::NeedsAttention => HostCallResult::NeedsAttention,
    }
}
