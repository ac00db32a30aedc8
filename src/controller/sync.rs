//! Which environments exist: hints and sweeps in, Environment objects out.
//!
//! Both entries end in the same pure rule, `domain::roster`. A hint costs one look-up and a sweep one listing, whatever they say; only
//! what the host confirms is acted on.

mod act;
mod again;
mod brake;
mod clock;
mod comments;
mod decide;
mod ended;
mod facts;
mod mirrors;
mod project;
mod receipts;
mod retire;
mod sweep;
mod unfinished;
mod unread;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kube::{Client, ResourceExt};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::brake::BrakeMemory;
pub use self::clock::ServerClock;
pub use self::ended::EndedMemory;
use self::project::Sighting;
use self::sweep::Outcome;
pub use self::unfinished::Unfinished;
pub use self::unread::Unread;
use super::hosts::Hosts;
use super::inbox::{Inbox, PendingHint};
use super::orphans::Orphans;
use super::settings::Settings;
use super::stores::Stores;
use crate::api::Project;
use crate::cluster::publish::Publisher;
use crate::domain::git::BranchName;
use crate::domain::name::ProjectKey;
use crate::domain::policy::{self, Forks};
use crate::domain::roster::{Absences, ChangedPaths};
use crate::githost::Class;
use crate::metrics::{Metrics, Refusal};

/// Keeps the Environment objects of all Projects as their repositories say.
pub struct Sync {
    /// Writes Environment objects.
    pub client: Client,
    /// Connections to Git hosts.
    pub hosts: Hosts,
    /// Our custom resources.
    pub stores: Stores,
    /// Writes statuses and Events.
    pub publisher: Publisher,
    /// Hints to look at.
    pub inbox: Inbox,
    /// Counters.
    pub metrics: Metrics,
    /// What the platform engineer decided.
    pub settings: Settings,
    /// Namespaces whose Environment is lost.
    pub orphans: Orphans,
    /// What has to be remembered from one look at a Project to the next.
    pub progress: Progress,
    /// What is stored of environments that a rule has ended.
    pub ended: EndedMemory,
    /// What the brakes hold.
    pub brakes: BrakeMemory,
    /// What was decided and could not be done.
    pub unfinished: Unfinished,
    /// What could not be read at a Git host.
    pub unread: Unread,
    /// What time it is.
    pub clock: ServerClock,
}

/// What is remembered of each Project. It is lost with the process; that only delays.
#[derive(Default)]
pub struct Progress(Mutex<HashMap<ProjectKey, Arc<tokio::sync::Mutex<ProjectProgress>>>>);

/// What is remembered of one Project; whoever holds the lock is the only one to decide about the Project.
#[derive(Debug, Default)]
struct ProjectProgress {
    absences: Absences,
    closures: Absences,
    changed_paths: ChangedPaths,
    /// After a rate limit or a failure: not before this.
    not_before: Option<Instant>,
    failures: u32,
    /// Branches that are refused, and were counted.
    refused: BTreeSet<(BranchName, Refusal)>,
}

/// So many Projects talk to one Git host at the same time.
const CONCURRENT_PROJECTS: usize = 8;
/// A repository that cannot be read at a host that answers is asked for again after a sweep interval, doubled up to this.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(15 * 60);

impl Sync {
    /// Serves hints and sweeps until `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let hints = self.clone().serve_hints();
        let sweeps = self.clone().sweep_for_ever();
        let receipts = self.clone().expire_receipts_for_ever();
        let comments = self.clone().serve_comments();
        let unfinished = self.clone().take_up_for_ever();
        let unread = self.clone().read_again_for_ever();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = hints => {}
            () = sweeps => {}
            () = receipts => {}
            () = comments => {}
            () = unfinished => {}
            () = unread => {}
        }
    }

    async fn serve_hints(self: Arc<Self>) {
        let slots = Arc::new(Semaphore::new(CONCURRENT_PROJECTS));
        loop {
            let hints = self.inbox.take().await;
            if hints.is_empty() {
                return;
            }
            for (object, project, hints) in self.by_project(hints) {
                // Taken here, so that a slow host fills the inbox instead of the memory.
                let Ok(slot) = slots.clone().acquire_owned().await else { return };
                let sync = self.clone();
                tokio::spawn(async move {
                    sync.look_up(&object, &project, &hints).await;
                    drop(slot);
                });
            }
            // Sweeps and passes share this task, and hints that come without end must not keep them from their turns.
            tokio::task::yield_now().await;
        }
    }

    /// The hints of each Project that they concern.
    fn by_project(&self, hints: Vec<PendingHint>) -> impl Iterator<Item = (Arc<Project>, Arc<policy::Project>, Vec<PendingHint>)> {
        let mut by_project: BTreeMap<_, (Arc<Project>, Vec<PendingHint>)> = BTreeMap::new();
        for hint in hints {
            for object in self.stores.projects_of(&hint.host, &hint.repository) {
                let place = (object.namespace(), object.name_any());
                by_project.entry(place).or_insert((object, Vec::new())).1.push(hint.clone());
            }
        }
        by_project.into_values().filter_map(|(object, hints)| {
            let project = self.valid(&object)?;
            Some((object, project, hints))
        })
    }

    /// The Project, if it is valid and in scope.
    fn valid(&self, object: &Project) -> Option<Arc<policy::Project>> {
        let in_scope = self.settings.scope.contains(object.namespace().as_deref());
        in_scope.then(|| self.stores.policies.of(object).ok()).flatten()
    }

    async fn look_up(&self, object: &Project, project: &policy::Project, hints: &[PendingHint]) -> Outcome {
        let progress = self.progress.of(&project.key);
        let mut progress = progress.lock().await;
        let (forks, own): (Vec<_>, Vec<_>) = hints.iter().cloned().partition(|hint| hint.branch.pull_request().is_some());
        let outcome = match own.is_empty() {
            true => Outcome::Fine,
            false => self.look(object, project, Sighting::Branches(&own), &mut progress).await,
        };
        // No branch tells of a pull request from a fork: all of them are listed, as patiently as in a sweep.
        let is_patient = progress.not_before.is_none_or(|time| time <= Instant::now());
        if !forks.is_empty() && project.forks == Forks::Approve && is_patient {
            self.look(object, project, Sighting::Everything, &mut progress).await;
        }
        outcome
    }

    fn count_environments(&self) {
        use crate::api::environment::Phase as Stored;
        use crate::metrics::Phase;
        let environments = self.stores.environments.state();
        for (phase, stored) in [
            (Phase::Pending, Stored::Pending),
            (Phase::Deploying, Stored::Deploying),
            (Phase::Ready, Stored::Ready),
            (Phase::Failed, Stored::Failed),
            (Phase::Resting, Stored::Resting),
            (Phase::Deleting, Stored::Deleting),
            (Phase::Blocked, Stored::Blocked),
        ] {
            let of = |environment: &crate::api::Environment| environment.status.as_ref().and_then(|status| status.phase);
            let count = environments
                .iter()
                .filter(|environment| of(environment).unwrap_or(Stored::Pending) == stored)
                .count();
            self.metrics.environments(phase, count);
        }
    }
}

/// Time since the process started: unlike the wall clock it never jumps.
fn uptime() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

// === impl Progress ===

impl Progress {
    fn of(&self, key: &ProjectKey) -> Arc<tokio::sync::Mutex<ProjectProgress>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key.clone()).or_default().clone()
    }
}

impl ProjectProgress {
    fn succeeded(&mut self) {
        self.not_before = None;
        self.failures = 0;
    }

    fn failed(&mut self, class: Class, interval: Duration) {
        self.failures = self.failures.saturating_add(1);
        let doubled = interval * 2_u32.saturating_pow(self.failures.min(10) - 1);
        let wait = match class {
            Class::RateLimited(Some(wait)) => wait,
            Class::Transient | Class::NeedsAttention | Class::RateLimited(None) => doubled,
        };
        // A little less than the interval, or every second sweep would be missed.
        self.not_before = Some(Instant::now() + wait.min(LONGEST_BACK_OFF).mul_f64(0.9));
    }
}
