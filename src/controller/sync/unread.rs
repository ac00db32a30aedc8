//! Repositories that could not be read: they are asked for again soon at first and ever more patiently, one at a time of each host.
//!
//! Without this an outage that does not look like one, such as a page of maintenance with 200, would be over a sweep interval late; and what
//! a webhook told meanwhile would be forgotten.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio::sync::Notify;

use super::again::Again;
use super::project::Sighting;
use super::sweep::Outcome;
use super::{CONCURRENT_PROJECTS, LONGEST_BACK_OFF, Sync};
use crate::domain::name::{GitHostKey, ProjectKey};

/// What could not be read, by the host. It is lost with the process; the next sweep finds the same.
#[derive(Debug, Default)]
pub struct Unread {
    hosts: Mutex<BTreeMap<GitHostKey, Failing>>,
    changed: Notify,
}

/// The Projects of one host whose repositories could not be read.
#[derive(Debug)]
struct Failing {
    /// When the last of them joined the others.
    since: Instant,
    due: Instant,
    projects: BTreeMap<ProjectKey, Again>,
    /// The one that was asked for last.
    last: Option<ProjectKey>,
}

/// The first wait.
const SHORTEST: Duration = Duration::from_secs(1);
/// A wait is this part of the time that it has failed so far: whatever lasts for a minute is over within eight seconds more.
const PART: u32 = 8;

impl Sync {
    /// Asks again for what could not be read.
    pub(super) async fn read_again_for_ever(self: Arc<Self>) {
        loop {
            let (host, project, again) = self.unread.next().await;
            let sync = self.clone();
            tokio::spawn(async move { sync.read_again(&host, project, again).await });
        }
    }

    /// Asks for one, and for all of its host once that can be read.
    async fn read_again(&self, host: &GitHostKey, project: ProjectKey, again: Again) {
        if self.look_again(&project, &again).await != Outcome::Fine {
            return;
        }
        let others = self.unread.of(host);
        stream::iter(others)
            .for_each_concurrent(CONCURRENT_PROJECTS, |(project, again)| async move {
                self.look_again(&project, &again).await;
            })
            .await;
    }
}

// === impl Unread ===

impl Unread {
    /// Takes down a look at a repository that could not be read.
    pub(super) fn failed(&self, host: &GitHostKey, project: &ProjectKey, sighting: Sighting<'_>) {
        self.lock()
            .entry(host.clone())
            .or_insert_with(Failing::new)
            .add(project, sighting, Instant::now());
        self.changed.notify_one();
    }

    /// A repository was read as a whole, or those of its branches that hints were about.
    pub(super) fn succeeded(&self, host: &GitHostKey, project: &ProjectKey, sighting: Sighting<'_>) {
        let mut hosts = self.lock();
        let Some(failing) = hosts.get_mut(host) else { return };
        failing.settle(project, sighting);
        if failing.projects.is_empty() {
            hosts.remove(host);
        }
    }

    /// Waits until one is due.
    async fn next(&self) -> (GitHostKey, ProjectKey, Again) {
        loop {
            let (due, found) = self.take(Instant::now());
            if let Some(found) = found {
                return found;
            }
            let until = due.unwrap_or_else(|| Instant::now() + LONGEST_BACK_OFF);
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// One that is due, or when the next one will be.
    fn take(&self, now: Instant) -> (Option<Instant>, Option<(GitHostKey, ProjectKey, Again)>) {
        let mut hosts = self.lock();
        let next = hosts.iter_mut().min_by_key(|(_, failing)| failing.due);
        let Some((host, failing)) = next else { return (None, None) };
        if failing.due > now {
            return (Some(failing.due), None);
        }
        let turn = failing.turn(now);
        (None, turn.map(|(project, again)| (host.clone(), project, again)))
    }

    fn of(&self, host: &GitHostKey) -> BTreeMap<ProjectKey, Again> {
        self.lock().get(host).map(|failing| failing.projects.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GitHostKey, Failing>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Failing ===

impl Failing {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            since: now,
            due: now + SHORTEST,
            projects: BTreeMap::new(),
            last: None,
        }
    }

    fn add(&mut self, project: &ProjectKey, sighting: Sighting<'_>, now: Instant) {
        if !self.projects.contains_key(project) {
            self.since = now;
            self.due = self.due.min(now + SHORTEST);
        }
        self.projects.entry(project.clone()).or_default().add(sighting);
    }

    /// A whole repository tells of all branches, but not that a deletion was announced.
    fn settle(&mut self, project: &ProjectKey, sighting: Sighting<'_>) {
        let Some(again) = self.projects.get_mut(project) else { return };
        match sighting {
            Sighting::Everything => again.everything = false,
            Sighting::Branches(hints) => again.hints.retain(|known| !hints.iter().any(|hint| hint.branch == known.branch)),
        }
        if *again == Again::default() {
            self.projects.remove(project);
        }
    }

    /// The next one in turn, so that one repository that is broken for good does not stand for its host.
    fn turn(&mut self, now: Instant) -> Option<(ProjectKey, Again)> {
        self.due = now + ((now - self.since) / PART).clamp(SHORTEST, LONGEST_BACK_OFF);
        let later = self
            .projects
            .iter()
            .find(|(project, _)| self.last.as_ref().is_none_or(|last| *project > last));
        let (project, again) = later.or_else(|| self.projects.iter().next())?;
        self.last = Some(project.clone());
        Some((project.clone(), again.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> GitHostKey {
        GitHostKey {
            namespace: "team".parse().expect("a name"),
            name: "git".parse().expect("a name"),
        }
    }

    fn project(name: &str) -> ProjectKey {
        ProjectKey {
            namespace: "team".parse().expect("a name"),
            name: name.parse().expect("a name"),
        }
    }

    /// When each question is asked, in seconds, if none is answered.
    fn asked(unread: &Unread, begin: Instant, seconds: u64) -> Vec<(u64, ProjectKey)> {
        (0..seconds)
            .filter_map(|second| {
                let (_, found) = unread.take(begin + Duration::from_secs(second));
                found.map(|(_, project, _)| (second, project))
            })
            .collect()
    }

    #[test]
    fn f64_what_lasts_for_a_minute_is_over_within_ten_seconds_more_and_costs_few_questions() {
        let unread = Unread::default();
        let begin = Instant::now();
        for name in ["a", "b", "c"] {
            unread.failed(&host(), &project(name), Sighting::Everything);
        }
        let times: Vec<_> = asked(&unread, begin, 3600).into_iter().map(|(second, _)| second).collect();
        let in_a_minute = times.iter().filter(|second| **second <= 60).count();
        assert!((10..=30).contains(&in_a_minute), "{times:?}, of all Projects together");
        let next = times.iter().find(|second| **second > 60).expect("another");
        assert!(*next <= 70, "{next}");
        assert!(times.len() <= 60, "in an hour: {times:?}");
    }

    #[test]
    fn f64_each_repository_of_a_host_has_its_turn_and_a_new_one_is_asked_for_soon() {
        let unread = Unread::default();
        let begin = Instant::now();
        unread.failed(&host(), &project("a"), Sighting::Everything);
        unread.failed(&host(), &project("b"), Sighting::Everything);
        let turns: Vec<_> = asked(&unread, begin, 8).into_iter().map(|(_, project)| project).collect();
        assert_eq!(turns[..4], [project("a"), project("b"), project("a"), project("b")]);
        unread.succeeded(&host(), &project("a"), Sighting::Everything);
        unread.succeeded(&host(), &project("b"), Sighting::Everything);
        assert_eq!(asked(&unread, begin + Duration::from_secs(1000), 10), []);
    }
}
