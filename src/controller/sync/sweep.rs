//! The periodic listing of every repository, each Git host at its own pace.
//!
//! A host that is away delays its own Projects and no others. While it is away, one Project at a time asks whether it is back, every few
//! seconds; once it is, all of them are looked at at once, so that nobody waits for the next tick. A host that asks for patience is left
//! alone for as long as it wants. Hints have their own way: what webhooks tell is looked up meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::ResourceExt;
use tokio_util::task::AbortOnDropHandle;

use super::project::Sighting;
use super::{CONCURRENT_PROJECTS, LONGEST_BACK_OFF, ProjectProgress, Sync};
use crate::api::{GitHost, Project};
use crate::domain::policy;
use crate::githost::{Class, Error};

/// The namespace and the name of a GitHost, as a Project names it.
type HostPlace = (String, String);

/// What a look at a repository says of its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::controller) enum Outcome {
    /// It answered.
    Fine,
    /// It was not asked.
    Unasked,
    /// It did not answer, or only with a server error.
    Away,
    /// It wants to be left alone for so long.
    Busy(Duration),
    /// It answered with something that is about this repository.
    Unreadable(Class),
}

/// How the Projects of one host fared.
#[derive(Debug, Default)]
struct Round {
    fine: AtomicUsize,
    away: AtomicUsize,
    patience: std::sync::Mutex<Option<Duration>>,
}

/// Where it is free to hear that nothing has changed, so many sweeps take the place of one.
const FREE_SWEEPS: u32 = 4;
/// Between two questions whether a host is back.
const SHORTEST_PROBE: Duration = Duration::from_secs(1);
/// The same, once it has been away for long.
const LONGEST_PROBE: Duration = Duration::from_secs(8);

impl Sync {
    /// Lists the repository of every Project at each interval, and at each quarter of it where that is free.
    pub(super) async fn sweep_for_ever(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.settings.sweep_interval / FREE_SWEEPS);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut sweeps: HashMap<HostPlace, AbortOnDropHandle<()>> = HashMap::new();
        for turn in (0..FREE_SWEEPS).cycle() {
            ticks.tick().await;
            if turn == 0 {
                self.find_orphans().await;
                self.count_environments();
                self.count_held();
            }
            sweeps.retain(|_, sweep| !sweep.is_finished());
            for (host, objects) in self.objects_by_host() {
                if turn != 0 && !self.is_free(&objects) {
                    continue;
                }
                let sweep = || AbortOnDropHandle::new(tokio::spawn(self.clone().sweep_host(host.clone())));
                sweeps.entry(host.clone()).or_insert_with(sweep);
            }
        }
    }

    /// Whether the host of these Projects takes nothing for saying that nothing has changed.
    fn is_free(&self, objects: &[Arc<Project>]) -> bool {
        let project = objects.iter().find_map(|object| self.stores.policies.of(object).ok());
        let connected = project.and_then(|project| self.hosts.get(&project.host));
        connected.is_some_and(|connected| connected.unchanged_is_free)
    }

    async fn find_orphans(&self) {
        let (stores, scope) = (&self.stores, &self.settings.scope);
        self.orphans.find(&self.client, stores, scope, &self.metrics, &self.publisher).await;
    }

    /// All Projects in scope, valid or not, by the GitHost that they name.
    fn objects_by_host(&self) -> HashMap<HostPlace, Vec<Arc<Project>>> {
        let mut by_host: HashMap<_, Vec<_>> = HashMap::new();
        for object in self.stores.projects.state() {
            let namespace = object.namespace().unwrap_or_default();
            if self.settings.scope.contains(Some(&namespace)) {
                let host = (namespace, object.spec.git_host_ref.name.clone());
                by_host.entry(host).or_default().push(object);
            }
        }
        by_host
    }

    fn objects_of(&self, host: &HostPlace) -> Vec<Arc<Project>> {
        self.objects_by_host().remove(host).unwrap_or_default()
    }

    /// One sweep of a host, or several until it is back. The next tick finds it under way and leaves it alone.
    async fn sweep_host(self: Arc<Self>, host: HostPlace) {
        loop {
            let round = self.round(&host).await;
            if let Some(patience) = round.patience() {
                return tokio::time::sleep(patience.min(LONGEST_BACK_OFF)).await;
            }
            if !round.is_host_away() {
                return;
            }
            self.await_return(&host).await;
        }
    }

    async fn round(self: &Arc<Self>, host: &HostPlace) -> Round {
        let round = Round::default();
        stream::iter(self.objects_of(host))
            .for_each_concurrent(CONCURRENT_PROJECTS, |object| {
                let (sync, round) = (self.clone(), &round);
                async move {
                    if round.patience().is_none() {
                        round.count(sync.sweep_project(&object).await);
                    }
                }
            })
            .await;
        if !round.is_host_away() {
            return round;
        }
        tracing::warn!(namespace = %host.0, githost = %host.1, "the Git host is away; nothing is retired, and it is asked again");
        round
    }

    /// Asks by one Project after the other, so that one repository that is broken for good does not stand for its host.
    async fn await_return(self: &Arc<Self>, host: &HostPlace) {
        let mut pace = SHORTEST_PROBE;
        for turn in 0_usize.. {
            tokio::time::sleep(pace).await;
            pace = (pace * 2).min(LONGEST_PROBE);
            let objects = self.objects_of(host);
            let Some(object) = objects.get(turn % objects.len().max(1)) else {
                return;
            };
            match self.sweep_project(object).await {
                Outcome::Away | Outcome::Unasked => {}
                Outcome::Fine | Outcome::Busy(_) | Outcome::Unreadable(_) => return,
            }
        }
    }

    /// Lists the repositories of the Projects that name a GitHost.
    pub(in crate::controller) async fn sweep_projects_of(&self, host: &GitHost) {
        for project in self.objects_of(&(host.namespace().unwrap_or_default(), host.name_any())) {
            self.sweep_project(&project).await;
        }
    }

    /// Lists the repository of one Project, unless it failed a short while ago in a way that is its own.
    pub(in crate::controller) async fn sweep_project(&self, object: &Project) -> Outcome {
        let project = match self.stores.policies.of(object) {
            Ok(project) => project,
            Err(problems) => {
                self.report_invalid(object, &problems).await;
                return Outcome::Unasked;
            }
        };
        let progress = self.progress.of(&project.key);
        let mut progress = progress.lock().await;
        if progress.not_before.is_some_and(|time| time > Instant::now()) {
            return Outcome::Unasked;
        }
        self.sweep_under(object, &project, &mut progress).await
    }

    /// Lists the repository of one Project, also if it failed a short while ago.
    pub(super) async fn sweep_impatiently(&self, object: &Project, project: &policy::Project) -> Outcome {
        let progress = self.progress.of(&project.key);
        let mut progress = progress.lock().await;
        self.sweep_under(object, project, &mut progress).await
    }

    async fn sweep_under(&self, object: &Project, project: &policy::Project, progress: &mut ProjectProgress) -> Outcome {
        let outcome = self.look(object, project, Sighting::Everything, progress).await;
        match outcome {
            Outcome::Unreadable(class) => progress.failed(class, self.settings.sweep_interval),
            // The host's own pace, not the Project's.
            Outcome::Fine | Outcome::Unasked | Outcome::Away | Outcome::Busy(_) => {}
        }
        outcome
    }
}

// === impl Outcome ===

impl Outcome {
    pub(super) fn of(error: &Error, interval: Duration) -> Self {
        match (error, error.class()) {
            (Error::Unreachable { .. } | Error::ServerError { .. }, _) => Self::Away,
            (_, Class::RateLimited(patience)) => Self::Busy(patience.unwrap_or(interval)),
            (_, class) => Self::Unreadable(class),
        }
    }
}

// === impl Round ===

impl Round {
    fn count(&self, outcome: Outcome) {
        match outcome {
            Outcome::Fine | Outcome::Unreadable(_) => drop(self.fine.fetch_add(1, Ordering::Relaxed)),
            Outcome::Away => drop(self.away.fetch_add(1, Ordering::Relaxed)),
            Outcome::Unasked => {}
            Outcome::Busy(patience) => *self.patience.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(patience),
        }
    }

    fn patience(&self) -> Option<Duration> {
        *self.patience.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Nobody got an answer, and somebody asked.
    fn is_host_away(&self) -> bool {
        self.fine.load(Ordering::Relaxed) == 0 && self.away.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(outcomes: &[Outcome]) -> Round {
        let round = Round::default();
        for outcome in outcomes {
            round.count(*outcome);
        }
        round
    }

    #[test]
    fn a_host_is_away_when_nobody_got_an_answer_and_not_when_one_repository_is_broken() {
        assert!(round(&[Outcome::Away, Outcome::Unasked, Outcome::Away]).is_host_away());
        assert!(!round(&[Outcome::Away, Outcome::Fine]).is_host_away());
        assert!(!round(&[Outcome::Away, Outcome::Unreadable(Class::NeedsAttention)]).is_host_away());
        assert!(!round(&[Outcome::Unasked]).is_host_away() && !round(&[]).is_host_away());
    }

    #[test]
    fn a_host_that_asks_for_patience_is_left_alone_for_as_long_as_it_says() {
        let interval = Duration::from_secs(60);
        let limited = |retry_after| Error::RateLimited {
            operation: "look",
            retry_after,
        };
        assert_eq!(
            Outcome::of(&limited(Some(Duration::from_secs(7))), interval),
            Outcome::Busy(Duration::from_secs(7))
        );
        assert_eq!(Outcome::of(&limited(None), interval), Outcome::Busy(interval));
        assert_eq!(round(&[Outcome::Fine, Outcome::Busy(interval)]).patience(), Some(interval));
        let unusable = Error::Unusable {
            operation: "look",
            problem: String::new(),
        };
        assert_eq!(Outcome::of(&unusable, interval), Outcome::Unreadable(Class::Transient));
    }
}
