//! What we wrote last, until the watch has caught up with it, and what is not worth a write yet.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;

use super::stores::leave_out_fields;
use crate::api::{Environment, EnvironmentStatus};

/// The newest Environments that our own writes returned. Cheap to clone.
///
/// # Guarantees
/// A reconcile never works from a status older than the one that the reconcile before it wrote or drafted.
///
/// # Assumptions
/// A draft may be lost with the process: whatever is decided from the status that is stored is right as well.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    /// By UID.
    newest: HashMap<String, Arc<Environment>>,
    /// When each was written last.
    at: HashMap<String, Instant>,
    /// By UID.
    drafts: HashMap<String, Draft>,
}

/// A status that takes the place of the stored one for now, for as long as nobody writes another.
#[derive(Debug)]
struct Draft {
    stored: Option<EnvironmentStatus>,
    status: EnvironmentStatus,
}

impl Memory {
    /// The newest of `cached`, what was written last, and what the watch has shown, which is `stored`. Once the watch has caught up, the
    /// memory is released.
    ///
    /// Whoever calls has read `cached` before, and the memory may have been released since: then the watch has shown what it held. So
    /// `stored` is asked last.
    pub fn newest(&self, cached: Arc<Environment>, stored: impl FnOnce() -> Option<Arc<Environment>>) -> Arc<Environment> {
        let known = self.newer(cached);
        let is_newer = |stored: &Arc<Environment>| stored.metadata.uid == known.metadata.uid && version(stored) > version(&known);
        self.with_draft(stored().filter(is_newer).unwrap_or(known))
    }

    fn with_draft(&self, known: Arc<Environment>) -> Arc<Environment> {
        let Some(uid) = known.uid() else { return known };
        let drafts = &mut self.lock().drafts;
        match drafts.get(&uid) {
            Some(draft) if draft.stored == known.status => Arc::new(with_status(&known, Some(draft.status.clone()))),
            Some(_) => {
                drafts.remove(&uid);
                known
            }
            None => known,
        }
    }

    /// Has the next reconcile work from `status`, which nobody is told of yet.
    pub fn draft(&self, environment: &Environment, status: EnvironmentStatus) {
        if let Some(uid) = environment.uid() {
            let stored = self.stored(environment).status.clone();
            self.lock().drafts.insert(uid, Draft { stored, status });
        }
    }

    /// The Environment with the status that is stored, where [`newest`](Self::newest) has given it a draft.
    pub fn stored<'a>(&self, environment: &'a Environment) -> Cow<'a, Environment> {
        let written = self.lock();
        let draft = environment.metadata.uid.as_deref().and_then(|uid| written.drafts.get(uid));
        match draft.filter(|draft| Some(&draft.status) == environment.status.as_ref()) {
            Some(draft) => Cow::Owned(with_status(environment, draft.stored.clone())),
            None => Cow::Borrowed(environment),
        }
    }

    fn newer(&self, cached: Arc<Environment>) -> Arc<Environment> {
        let Some(uid) = cached.uid() else { return cached };
        let written = &mut self.lock().newest;
        match written.get(&uid) {
            Some(ours) if version(ours) > version(&cached) => ours.clone(),
            Some(_) => {
                written.remove(&uid);
                cached
            }
            None => cached,
        }
    }

    /// Remembers what a write returned.
    pub fn remember(&self, environment: &Environment) {
        if let Some(uid) = environment.uid() {
            let mut environment = environment.clone();
            leave_out_fields(&mut environment);
            let mut written = self.lock();
            written.at.insert(uid.clone(), Instant::now());
            written.drafts.remove(&uid);
            written.newest.insert(uid, Arc::new(environment));
        }
    }

    /// Releases what was written if the watch has shown it or something newer: for an Environment that rests there is no next pass.
    pub fn caught_up(&self, seen: &Environment) {
        let written = &mut self.lock().newest;
        if let Some(uid) = seen.metadata.uid.as_deref()
            && written.get(uid).is_some_and(|ours| version(ours) <= version(seen))
        {
            written.remove(uid);
        }
    }

    /// Releases an Environment that is gone.
    pub fn release(&self, uid: &str) {
        let mut written = self.lock();
        written.newest.remove(uid);
        written.at.remove(uid);
        written.drafts.remove(uid);
    }

    /// How long ago we wrote an Environment last; `None` if this process never has.
    pub fn since_written(&self, uid: &str) -> Option<Duration> {
        self.lock().at.get(uid).map(Instant::elapsed)
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn with_status(environment: &Environment, status: Option<EnvironmentStatus>) -> Environment {
    Environment {
        metadata: environment.metadata.clone(),
        spec: environment.spec.clone(),
        status,
    }
}

/// Versions of one kind can be compared as numbers (KEP-5504).
fn version(environment: &Environment) -> u64 {
    environment.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::environment::EnvironmentSpec;
    use crate::api::project::LocalReference;

    fn environment(uid: &str, version: &str) -> Arc<Environment> {
        let spec = EnvironmentSpec {
            project_ref: LocalReference { name: "shop".into() },
            branch: "a".into(),
            repository_id: "1".into(),
            revision: "a".repeat(40),
            pull_request: None,
            values: serde_json::Map::new(),
            suspend: false,
            pinned: false,
            grace: None,
            request: None,
            approvals: Vec::new(),
        };
        let mut environment = Environment::new("shop-a", spec);
        environment.metadata.uid = Some(uid.into());
        environment.metadata.resource_version = Some(version.into());
        Arc::new(environment)
    }

    fn newest(memory: &Memory, uid: &str, version: &str) -> Option<String> {
        memory.newest(environment(uid, version), || None).resource_version()
    }

    #[test]
    fn f20_what_was_written_last_is_seen_until_the_watch_has_caught_up() {
        let memory = Memory::default();
        memory.remember(&environment("1", "10"));
        assert_eq!(newest(&memory, "1", "9").as_deref(), Some("10"), "as numbers: 10 is newer than 9");
        assert_eq!(newest(&memory, "1", "10").as_deref(), Some("10"));
        assert!(memory.lock().newest.is_empty(), "then the memory is released");
        assert_eq!(newest(&memory, "1", "9").as_deref(), Some("9"));
    }

    #[test]
    fn f20_what_the_watch_has_shown_since_the_pass_was_called_for_is_seen() {
        let memory = Memory::default();
        memory.remember(&environment("1", "10"));
        memory.caught_up(&environment("1", "10"));
        let seen = |stored| memory.newest(environment("1", "9"), || stored).resource_version();
        assert_eq!(
            seen(Some(environment("1", "10"))).as_deref(),
            Some("10"),
            "the memory was released for it"
        );
        assert_eq!(seen(Some(environment("2", "11"))).as_deref(), Some("9"), "another of the same name");
        assert_eq!(seen(None).as_deref(), Some("9"));
    }

    #[test]
    fn nothing_is_kept_of_what_the_watch_has_shown() {
        let memory = Memory::default();
        memory.remember(&environment("1", "10"));
        memory.caught_up(&environment("1", "9"));
        assert_eq!(newest(&memory, "1", "9").as_deref(), Some("10"), "not shown yet");
        memory.caught_up(&environment("1", "10"));
        assert!(memory.lock().newest.is_empty());
    }

    fn saying(words: &str) -> EnvironmentStatus {
        EnvironmentStatus {
            message: Some(words.to_owned()),
            ..EnvironmentStatus::default()
        }
    }

    fn words(environment: &Environment) -> Option<&str> {
        environment.status.as_ref()?.message.as_deref()
    }

    /// The Environment in a version, as a status is stored of it.
    fn stored(version: &str, words: &str) -> Arc<Environment> {
        Arc::new(with_status(&environment("1", version), Some(saying(words))))
    }

    #[test]
    fn f20_a_draft_takes_the_place_of_the_status_that_it_was_made_over_and_of_no_other() {
        let memory = Memory::default();
        memory.draft(&stored("10", "applying"), saying("waiting"));
        let next = memory.newest(stored("10", "applying"), || None);
        assert_eq!(words(&next), Some("waiting"));
        assert_eq!(
            words(&memory.newest(stored("11", "applying"), || None)),
            Some("waiting"),
            "something else was changed"
        );
        assert_eq!(words(&memory.newest(stored("12", "paused"), || None)), Some("paused"));
        assert!(memory.lock().drafts.is_empty(), "somebody wrote another");
    }

    #[test]
    fn what_is_stored_under_a_draft_is_known_however_often_it_is_drafted_and_written_once() {
        let memory = Memory::default();
        memory.draft(&stored("10", "applying"), saying("0 of 2"));
        memory.draft(&memory.newest(stored("10", "applying"), || None), saying("1 of 2"));
        let next = memory.newest(stored("10", "applying"), || None);
        assert_eq!((words(&next), words(&memory.stored(&next))), (Some("1 of 2"), Some("applying")));
        memory.remember(&stored("11", "ready"));
        assert_eq!(words(&memory.stored(&stored("11", "1 of 2"))), Some("1 of 2"), "no draft any more");
        assert!(memory.lock().drafts.is_empty());
    }

    #[test]
    fn of_who_wrote_only_the_name_and_the_time_are_kept() {
        let memory = Memory::default();
        let mut written = Environment::clone(&environment("1", "10"));
        let entries = serde_json::json!([{ "manager": "graftling", "time": "2026-01-01T00:00:00Z", "fieldsV1": { "f:spec": {} } }]);
        written.metadata.managed_fields = serde_json::from_value(entries).ok();
        memory.remember(&written);
        let kept = memory.newest(environment("1", "9"), || None);
        let entry = kept.metadata.managed_fields.iter().flatten().next();
        assert!(entry.is_some_and(|entry| entry.time.is_some() && entry.fields_v1.is_none()));
    }

    #[test]
    fn an_environment_of_the_same_name_with_another_uid_is_another() {
        let memory = Memory::default();
        memory.remember(&environment("1", "10"));
        assert_eq!(newest(&memory, "2", "5").as_deref(), Some("5"));
    }

    #[test]
    fn what_is_gone_is_released() {
        let memory = Memory::default();
        memory.remember(&environment("1", "10"));
        assert!(memory.since_written("1").is_some());
        memory.draft(&stored("10", "applying"), saying("waiting"));
        memory.release("1");
        assert!(memory.lock().drafts.is_empty());
        assert!(memory.since_written("1").is_none());
        assert_eq!(newest(&memory, "1", "9").as_deref(), Some("9"));
    }
}
