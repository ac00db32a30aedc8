//! Who is asked next: places, those who wait for one, and answers. No input or output, no clock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tokio::task::AbortHandle;

use super::{Around, Asked, Bounds, ErrandKey, Pace};
use crate::domain::errand::{Answer, Errand};

/// An errand with everything that it needs.
pub(super) struct Job {
    pub(super) key: ErrandKey,
    /// Tells two questions with one key apart. Given by the pool.
    pub(super) serial: u64,
    pub(super) errand: Errand,
    pub(super) around: Arc<Around>,
}

/// What is under way, what waits and what was answered.
pub(super) struct Pool {
    bounds: Bounds,
    /// One question a stage, by the UID of the environment and the name of the stage.
    slots: HashMap<String, BTreeMap<String, Slot>>,
    waiting: VecDeque<Job>,
    of_all: usize,
    of_projects: HashMap<String, usize>,
    of_environments: HashMap<String, usize>,
    serial: u64,
}

struct Slot {
    key: ErrandKey,
    serial: u64,
    state: State,
    /// When the last answer came.
    answered: Option<Instant>,
    /// Where that answer, or one before in the same try, told to ask on.
    next: Option<String>,
}

enum State {
    Idle,
    Waiting,
    /// The handle is there once the task was started.
    UnderWay(Option<AbortHandle>),
    Answered(Answer),
}

impl Pool {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            slots: HashMap::new(),
            waiting: VecDeque::new(),
            of_all: 0,
            of_projects: HashMap::new(),
            of_environments: HashMap::new(),
            serial: 0,
        }
    }

    pub(super) fn ask(&mut self, key: &ErrandKey, pace: Pace, now: Instant, job: impl FnOnce() -> Job) -> Asked {
        let slot = self.take_slot(key);
        let age = slot.answered.map(|answered| now.saturating_duration_since(answered));
        match (&slot.state, age) {
            (State::Waiting | State::UnderWay(_), _) => return Asked::UnderWay,
            (State::Answered(answer), Some(age)) if age < pace.keep => return Asked::Answer(answer.clone(), pace.keep - age),
            (State::Idle, Some(age)) if age < pace.pause => return Asked::Later(pace.pause - age),
            (State::Idle | State::Answered(_), _) => {}
        }
        slot.state = State::Waiting;
        self.serial += 1;
        let serial = self.serial;
        if let Some(slot) = self.slot(key) {
            slot.serial = serial;
        }
        self.waiting.push_back(Job { serial, ..job() });
        Asked::UnderWay
    }

    /// The slot of a key, rid of whatever was asked for another.
    fn take_slot(&mut self, key: &ErrandKey) -> &mut Slot {
        let stages = self.slots.entry(key.environment.uid.clone()).or_default();
        stages.retain(|_, slot| slot.key.run == key.run || !slot.end());
        let slot = stages.entry(key.stage.clone()).or_insert_with(|| Slot::new(key));
        if slot.key != *key {
            slot.end();
            let is_same_try = slot.key.try_number == key.try_number;
            let next = slot.next.take().filter(|_| is_same_try);
            let answered = slot.answered.filter(|_| is_same_try);
            *slot = Slot {
                next,
                answered,
                ..Slot::new(key)
            };
        }
        slot
    }

    pub(super) fn next_url(&self, key: &ErrandKey) -> Option<String> {
        let slot = self.slots.get(&key.environment.uid)?.get(&key.stage)?;
        let is_same_try = slot.key.run == key.run && slot.key.try_number == key.try_number;
        slot.next.clone().filter(|_| is_same_try)
    }

    /// The errand that has waited longest among those whose environment and Project have a place left.
    pub(super) fn next(&mut self) -> Option<Job> {
        while self.of_all < self.bounds.all {
            let index = self.waiting.iter().position(|job| self.has_place(&job.key))?;
            let job = self.waiting.remove(index)?;
            let slot = self.slot(&job.key).filter(|slot| slot.serial == job.serial);
            // Nobody wants it any more.
            let Some(slot) = slot else { continue };
            slot.state = State::UnderWay(None);
            self.of_all += 1;
            *self.of_projects.entry(project(&job.key)).or_default() += 1;
            *self.of_environments.entry(job.key.environment.uid.clone()).or_default() += 1;
            return Some(job);
        }
        None
    }

    fn has_place(&self, key: &ErrandKey) -> bool {
        let taken = |places: &HashMap<String, usize>, of: &str| places.get(of).copied().unwrap_or_default();
        taken(&self.of_environments, &key.environment.uid) < self.bounds.environment
            && taken(&self.of_projects, &project(key)) < self.bounds.project
    }

    pub(super) fn started(&mut self, key: &ErrandKey, serial: u64, handle: AbortHandle) {
        if let Some(slot) = self.slot(key).filter(|slot| slot.serial == serial)
            && let State::UnderWay(place) = &mut slot.state
        {
            *place = Some(handle);
        }
    }

    /// Keeps an answer; `false` if nobody wants it any more.
    pub(super) fn settle(&mut self, key: &ErrandKey, serial: u64, answer: Answer, now: Instant) -> bool {
        let Some(slot) = self.slot(key).filter(|slot| slot.serial == serial) else {
            return false;
        };
        if answer.next.is_some() {
            slot.next.clone_from(&answer.next);
        }
        slot.state = State::Answered(answer);
        slot.answered = Some(now);
        true
    }

    /// Gives a place back.
    pub(super) fn leave(&mut self, key: &ErrandKey) {
        self.of_all = self.of_all.saturating_sub(1);
        give_back(&mut self.of_projects, &project(key));
        give_back(&mut self.of_environments, &key.environment.uid);
    }

    pub(super) fn forget(&mut self, uid: &str) {
        for slot in self.slots.remove(uid).into_iter().flat_map(BTreeMap::into_values) {
            slot.end();
        }
        self.waiting.retain(|job| job.key.environment.uid != uid);
    }

    /// The stages of an environment that something is kept for.
    #[cfg(test)]
    pub(super) fn slots_of(&self, uid: &str) -> Vec<&str> {
        self.slots
            .get(uid)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .map(String::as_str)
            .collect()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.of_all
    }

    fn slot(&mut self, key: &ErrandKey) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(&key.environment.uid)?.get_mut(&key.stage)?;
        (slot.key == *key).then_some(slot)
    }
}

impl Slot {
    fn new(key: &ErrandKey) -> Self {
        Self {
            key: key.clone(),
            serial: 0,
            state: State::Idle,
            answered: None,
            next: None,
        }
    }

    /// Ends what is under way; its task gives the place back. Always `true`.
    fn end(&self) -> bool {
        if let State::UnderWay(Some(handle)) = &self.state {
            handle.abort();
        }
        true
    }
}

fn project(key: &ErrandKey) -> String {
    format!("{}/{}", key.environment.namespace, key.environment.project)
}

fn give_back(places: &mut HashMap<String, usize>, of: &str) {
    if let Some(taken) = places.get_mut(of) {
        *taken -= 1;
        if *taken == 0 {
            places.remove(of);
        }
    }
}
