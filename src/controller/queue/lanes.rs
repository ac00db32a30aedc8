//! Two lanes, so that a burst of teardowns does not delay a push, nor a burst of pushes a teardown.
//!
//! A pass that finds its lane full does not wait: it is put down at the lane's end and triggered again, first come, first served, when a
//! place is free. So waiting costs no task, and how many passes there are at a time is bounded in each lane.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Which way an environment is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    /// Towards what it should be.
    Deployment,
    /// Towards nothing.
    Teardown,
}

/// Who may work now. Cheap to clone. `K` names an environment.
#[derive(Debug)]
pub(super) struct Lanes<K>(Arc<Shared<K>>);

/// The right to work; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Clone + Eq + Hash> {
    lanes: Lanes<K>,
    direction: Direction,
}

#[derive(Debug)]
struct Shared<K> {
    lanes: Mutex<HashMap<Direction, Lane<K>>>,
    /// Wakes whoever waits in `next`, after a place became free.
    freed: Notify,
}

#[derive(Debug)]
struct Lane<K> {
    places: usize,
    taken: usize,
    /// Called, and not yet come: their places are kept.
    called: HashSet<K>,
    waiting: VecDeque<K>,
    queued: HashSet<K>,
}

/// So much of the places for deployments there is for teardowns besides: one half.
const TEARDOWN_SHARE: usize = 2;

impl<K> Clone for Lanes<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Clone + Eq + Hash> Lanes<K> {
    /// `places` for deployments, and half as many for teardowns, at least one.
    pub(super) fn new(places: usize) -> Self {
        let lane = |places: usize| Lane {
            places: places.max(1),
            taken: 0,
            called: HashSet::new(),
            waiting: VecDeque::new(),
            queued: HashSet::new(),
        };
        Self(Arc::new(Shared {
            lanes: Mutex::new(HashMap::from([
                (Direction::Deployment, lane(places)),
                (Direction::Teardown, lane(places / TEARDOWN_SHARE)),
            ])),
            freed: Notify::new(),
        }))
    }

    /// A place in the lane, or a place in its queue: [`Lanes::next`] gives the environment back then.
    pub(super) fn enter(&self, key: &K, direction: Direction) -> Option<Place<K>> {
        let mut lanes = self.lock();
        // What waits for a deployment, or was called for one, may have been deleted since.
        for (_, other) in lanes.iter_mut().filter(|(other, _)| **other != direction) {
            other.leave(key);
        }
        self.0.freed.notify_one();
        let lane = lanes.get_mut(&direction)?;
        let was_called = lane.called.remove(key);
        if was_called || (lane.waiting.is_empty() && lane.has_room()) {
            lane.taken += 1;
            return Some(Place {
                lanes: self.clone(),
                direction,
            });
        }
        if lane.queued.insert(key.clone()) {
            lane.waiting.push_back(key.clone());
        }
        None
    }

    /// The next environment that there is a place for.
    pub(super) async fn next(&self) -> K {
        loop {
            let freed = self.0.freed.notified();
            if let Some(key) = self.call() {
                return key;
            }
            freed.await;
        }
    }

    /// The environment is gone: a place that is kept for it is free.
    pub(super) fn forget(&self, key: &K) {
        for lane in self.lock().values_mut() {
            lane.leave(key);
        }
        self.0.freed.notify_one();
    }

    fn call(&self) -> Option<K> {
        self.lock().values_mut().find_map(|lane| {
            let key = lane.has_room().then(|| lane.waiting.pop_front()).flatten()?;
            lane.queued.remove(&key);
            lane.called.insert(key.clone());
            Some(key)
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Direction, Lane<K>>> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Lane<K> {
    fn leave(&mut self, key: &K)
    where
        K: Eq + Hash,
    {
        self.called.remove(key);
        if self.queued.remove(key) {
            self.waiting.retain(|waiting| waiting != key);
        }
    }

    fn has_room(&self) -> bool {
        self.taken + self.called.len() < self.places
    }
}

impl<K: Clone + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        if let Some(lane) = self.lanes.lock().get_mut(&self.direction) {
            lane.taken -= 1;
        }
        self.lanes.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What `next` gives without waiting.
    async fn called(lanes: &Lanes<u32>) -> Option<u32> {
        tokio::time::timeout(Duration::ZERO, lanes.next()).await.ok()
    }

    #[tokio::test]
    async fn f48_a_burst_of_teardowns_leaves_every_place_for_deployments() {
        let lanes = Lanes::new(4);
        let teardowns: Vec<_> = (0..200).filter_map(|key| lanes.enter(&key, Direction::Teardown)).collect();
        assert_eq!(teardowns.len(), 2, "bounded");
        let pushes: Vec<_> = (1000..1004).filter_map(|key| lanes.enter(&key, Direction::Deployment)).collect();
        assert_eq!(pushes.len(), 4, "no push waits for a teardown");
        assert!(lanes.enter(&1004, Direction::Deployment).is_none());
    }

    #[tokio::test]
    async fn feature_h2_a_burst_of_pushes_leaves_places_for_teardowns() {
        let lanes = Lanes::new(4);
        let pushes: Vec<_> = (0..200).filter_map(|key| lanes.enter(&key, Direction::Deployment)).collect();
        assert_eq!(pushes.len(), 4);
        assert!(lanes.enter(&1000, Direction::Teardown).is_some());
    }

    #[tokio::test]
    async fn who_waits_is_called_in_order_once_for_each_place_that_becomes_free() {
        let lanes = Lanes::new(2);
        let place = lanes.enter(&0, Direction::Teardown);
        assert!(place.is_some());
        for key in [1, 2, 1, 3] {
            assert!(lanes.enter(&key, Direction::Teardown).is_none());
        }
        assert_eq!(called(&lanes).await, None);
        drop(place);
        assert_eq!(called(&lanes).await, Some(1));
        assert_eq!(called(&lanes).await, None, "the place is kept for whom it was called");
        assert!(lanes.enter(&3, Direction::Teardown).is_none(), "nobody gets in between");
        drop(lanes.enter(&1, Direction::Teardown));
        assert_eq!(called(&lanes).await, Some(2));
        lanes.forget(&2);
        assert_eq!(called(&lanes).await, Some(3), "one that is gone keeps no place");
    }

    #[tokio::test]
    async fn an_environment_that_was_called_and_turned_round_keeps_no_place() {
        let lanes = Lanes::new(1);
        drop((lanes.enter(&0, Direction::Deployment), lanes.enter(&1, Direction::Deployment)));
        assert_eq!(called(&lanes).await, Some(1));
        assert!(lanes.enter(&1, Direction::Teardown).is_some());
        let place = lanes.enter(&2, Direction::Deployment);
        assert!(place.is_some());
        // The same while it only waits: who comes later does not wait behind it.
        assert!(lanes.enter(&3, Direction::Deployment).is_none());
        assert!(lanes.enter(&3, Direction::Teardown).is_some());
        drop(place);
        assert!(lanes.enter(&4, Direction::Deployment).is_some());
    }

    #[tokio::test]
    async fn a_place_that_becomes_free_wakes_whoever_waits_for_it() {
        let lanes = Lanes::new(2);
        let place = lanes.enter(&0, Direction::Teardown);
        assert!(lanes.enter(&1, Direction::Teardown).is_none());
        let waiting = tokio::spawn({
            let lanes = lanes.clone();
            async move { lanes.next().await }
        });
        tokio::task::yield_now().await;
        drop(place);
        assert_eq!(waiting.await.ok(), Some(1));
    }
}
