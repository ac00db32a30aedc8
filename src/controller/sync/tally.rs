//! How many environments a Project has, told a little later: a burst of pushes changes nothing else of the Project's status, and
//! whoever waits for an environment does not wait for the number.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Sync;
use crate::api::ProjectStatus;
use crate::domain::name::ProjectKey;

/// The Projects whose number is still to be told.
#[derive(Default)]
pub struct Tally {
    due: Mutex<HashMap<ProjectKey, Instant>>,
    added: Notify,
}

/// How old a number may be: longer than it takes to write an environment's objects.
const LATE: Duration = Duration::from_millis(500);

impl Tally {
    /// Has the number of a Project told within [`LATE`].
    pub(super) fn tell_later(&self, project: &ProjectKey) {
        self.lock().entry(project.clone()).or_insert_with(|| Instant::now() + LATE);
        self.added.notify_one();
    }

    /// The next Project whose time has come.
    async fn next(&self) -> ProjectKey {
        loop {
            let added = self.added.notified();
            let first = self
                .lock()
                .iter()
                .min_by_key(|(_, due)| **due)
                .map(|(key, due)| (key.clone(), *due));
            let Some((key, due)) = first else {
                added.await;
                continue;
            };
            tokio::time::sleep_until(due).await;
            self.lock().remove(&key);
            return key;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProjectKey, Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sync {
    pub(super) async fn tell_numbers_for_ever(&self) {
        loop {
            let key = self.tally.next().await;
            let progress = self.progress.of(&key);
            // Nobody else decides about the Project meanwhile, and tells an older number.
            let _progress = progress.lock().await;
            let reference = ObjectRef::new(key.name.as_str()).within(key.namespace.as_str());
            let Some(object) = self.stores.projects.get(&reference) else {
                continue;
            };
            if self.valid(&object).is_none() {
                continue;
            }
            let number = self.stores.members.number_of(key.namespace.as_str(), key.name.as_str());
            self.tell_number(&object, number).await;
        }
    }
}

/// Whether a status tells nothing new but the number of environments.
pub(super) fn is_all(before: &ProjectStatus, after: &ProjectStatus) -> bool {
    without_number(before) == without_number(after)
}

fn without_number(status: &ProjectStatus) -> ProjectStatus {
    let mut status = status.clone();
    status.environments = 0;
    status.message = None;
    for condition in &mut status.conditions {
        condition.message.clear();
    }
    status
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "the test's own names are valid")]

    use super::*;

    fn key(name: &str) -> ProjectKey {
        ProjectKey {
            namespace: "team".parse().unwrap(),
            name: name.parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn a_project_that_is_told_of_often_has_one_turn_and_no_later_than_the_first_asked_for() {
        let tally = Tally::default();
        tally.tell_later(&key("a"));
        let due = tally.lock().get(&key("a")).copied();
        tally.tell_later(&key("a"));
        assert_eq!(tally.lock().get(&key("a")).copied(), due);
        tally.lock().insert(key("b"), Instant::now());
        assert_eq!(tally.next().await, key("b"), "whose time has come");
        assert_eq!(tally.lock().len(), 1);
    }

    #[test]
    fn a_reason_is_news_and_a_number_is_not() {
        let counted = |environments: u32, skipped: usize| ProjectStatus {
            environments,
            message: Some(format!("{environments} environments")),
            skipped: vec![
                crate::api::project::SkippedBranch {
                    branch: "main".to_owned(),
                    reason: "no".to_owned(),
                };
                skipped
            ],
            ..ProjectStatus::default()
        };
        assert!(is_all(&counted(1, 0), &counted(2, 0)));
        assert!(!is_all(&counted(1, 0), &counted(2, 1)));
    }
}
