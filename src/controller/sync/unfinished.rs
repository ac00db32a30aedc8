//! What was decided and not done, because the API server did not answer or because what it was decided about has changed: taken up as
//! soon as the API server answers.
//!
//! The next sweep would find the same, but only after a sweep interval; and that a deletion was announced is known from the hint alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::Api;
use tokio::sync::Notify;

use super::again::Again;
use super::project::Sighting;
use super::{CONCURRENT_PROJECTS, Sync};
use crate::api::Project;
use crate::domain::name::ProjectKey;

/// Where to look again. It is lost with the process; the next sweep finds the same.
#[derive(Debug, Default)]
pub struct Unfinished {
    projects: Mutex<BTreeMap<ProjectKey, Again>>,
    added: Notify,
}

/// Between two questions whether the API server is back.
const SHORTEST: Duration = Duration::from_millis(500);
/// The same, once it has been away for a while.
const LONGEST: Duration = Duration::from_secs(2);

impl Sync {
    /// Takes up what is unfinished, each time that the API server answers.
    ///
    /// The Git host is asked only once that is so; and where it remains undone all the same, ever less often, as a sweep would.
    pub(super) async fn take_up_for_ever(self: Arc<Self>) {
        let mut pace = SHORTEST;
        loop {
            let project = self.unfinished.first().await;
            tokio::time::sleep(pace).await;
            self.await_api_server(&project).await;
            stream::iter(self.unfinished.take())
                .for_each_concurrent(CONCURRENT_PROJECTS, |(key, again)| self.take_up(key, again))
                .await;
            pace = match self.unfinished.is_empty() {
                true => SHORTEST,
                false => (pace * 2).min(self.settings.sweep_interval.max(SHORTEST)),
            };
        }
    }

    /// Reads what any look needs, so that an API server without its store counts as away.
    async fn await_api_server(&self, project: &ProjectKey) {
        let api: Api<Project> = Api::namespaced(self.client.clone(), project.namespace.as_str());
        let mut pace = SHORTEST;
        loop {
            let read = tokio::time::timeout(LONGEST, api.get_metadata_opt(project.name.as_str())).await;
            if matches!(read, Ok(Ok(_))) {
                return;
            }
            tokio::time::sleep(pace).await;
            pace = (pace * 2).min(LONGEST);
        }
    }

    async fn take_up(&self, key: ProjectKey, again: Again) {
        tracing::info!(project = %key, branches = again.hints.len(), everything = again.everything, "the API server answers; taking up what could not be done");
        self.look_again(&key, &again).await;
    }
}

// === impl Unfinished ===

impl Unfinished {
    /// Remembers a look whose outcome was not carried out.
    pub(super) fn add(&self, project: &ProjectKey, sighting: Sighting<'_>) {
        self.lock().entry(project.clone()).or_default().add(sighting);
        self.added.notify_one();
    }

    /// One of the Projects; waits until there is one.
    async fn first(&self) -> ProjectKey {
        loop {
            if let Some(key) = self.lock().keys().next() {
                return key.clone();
            }
            self.added.notified().await;
        }
    }

    fn take(&self) -> BTreeMap<ProjectKey, Again> {
        std::mem::take(&mut *self.lock())
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProjectKey, Again>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
