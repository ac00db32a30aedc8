//! Objects that no watch shows, for as long as one look at them holds.
//!
//! While an environment comes up, each of its workloads' changes is a pass of its own, a few within the same second. What has to be read by
//! a request of its own, as Secrets have, is not asked for with each of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::manifest::ObjectKey;
use crate::domain::observed::LiveObject;

/// What was read or written last. Cheap to clone.
#[derive(Clone, Default)]
pub struct Recent(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    objects: HashMap<ObjectKey, Sight>,
    /// In the order in which they were seen, to be forgotten in it.
    order: VecDeque<(Instant, ObjectKey)>,
}

struct Sight {
    at: Instant,
    live: LiveObject,
    /// Whether somebody has relied on it since.
    relied_on: bool,
}

/// For so long what was seen is taken for what there is. An edit by hand in between is found by the next look after it.
const HOLDS: Duration = Duration::from_secs(3);

impl Recent {
    /// What was seen of `key`, if that holds still.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<LiveObject> {
        self.get_at(key, Instant::now())
    }

    /// Takes in what the server returned.
    pub(super) fn keep(&self, live: &LiveObject) {
        self.keep_at(live, Instant::now());
    }

    /// What is there is not known any more.
    pub(super) fn forget(&self, key: &ObjectKey) {
        self.lock().objects.remove(key);
    }

    /// If somebody has relied on what was seen of `key`: after which time it has to be looked at again, so that nothing that happened in
    /// between is overlooked.
    pub fn unsure_after(&self, key: &ObjectKey) -> Option<Duration> {
        let seen = self.lock();
        let sight = seen.objects.get(key).filter(|sight| sight.relied_on)?;
        Some(HOLDS.saturating_sub(sight.at.elapsed()))
    }

    fn get_at(&self, key: &ObjectKey, now: Instant) -> Option<LiveObject> {
        let mut seen = self.lock();
        let sight = seen.objects.get_mut(key).filter(|sight| now.duration_since(sight.at) < HOLDS)?;
        sight.relied_on = true;
        Some(sight.live.clone())
    }

    fn keep_at(&self, live: &LiveObject, now: Instant) {
        let mut seen = self.lock();
        seen.forget_before(now);
        let sight = Sight {
            at: now,
            live: live.clone(),
            relied_on: false,
        };
        seen.objects.insert(live.key.clone(), sight);
        seen.order.push_back((now, live.key.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn forget_before(&mut self, now: Instant) {
        while let Some((_, key)) = self.order.pop_front_if(|(at, _)| now.duration_since(*at) >= HOLDS) {
            if self.objects.get(&key).is_some_and(|sight| now.duration_since(sight.at) >= HOLDS) {
                self.objects.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "the test's own objects are complete")]

    use serde_json::json;

    use super::*;
    use crate::cluster::MARKS;

    fn secret(name: &str, version: u64) -> LiveObject {
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name, "namespace": "shop-a", "uid": "1", "resourceVersion": version.to_string() },
        });
        let key = ObjectKey::try_from(&body).unwrap();
        LiveObject::from_body(key, &body, MARKS).unwrap()
    }

    #[test]
    fn what_was_seen_holds_for_a_while_and_is_released_then() {
        let (recent, begin) = (Recent::default(), Instant::now());
        let (first, again) = (secret("a", 1), secret("a", 2));
        recent.keep_at(&first, begin);
        recent.keep_at(&again, begin + HOLDS / 2);
        assert_eq!(recent.get_at(&first.key, begin + HOLDS), Some(again), "seen again since");
        assert_eq!(recent.get_at(&first.key, begin + HOLDS * 2), None);
        recent.keep_at(&secret("b", 1), begin + HOLDS * 2);
        let seen = recent.lock();
        assert_eq!((seen.objects.len(), seen.order.len()), (1, 1));
    }

    #[test]
    fn who_relied_on_what_was_seen_looks_again_once_it_holds_no_more() {
        let (recent, key) = (Recent::default(), secret("a", 1).key);
        recent.keep(&secret("a", 1));
        assert_eq!(recent.unsure_after(&key), None, "nobody has relied on it");
        assert!(recent.get(&key).is_some());
        assert!(recent.unsure_after(&key).is_some_and(|after| after <= HOLDS));
        recent.keep(&secret("a", 2));
        assert_eq!(recent.unsure_after(&key), None, "it was looked at again");
    }

    #[test]
    fn what_is_doubted_is_read_anew() {
        let recent = Recent::default();
        recent.keep(&secret("a", 1));
        assert!(recent.get(&secret("a", 1).key).is_some());
        recent.forget(&secret("a", 1).key);
        assert!(recent.get(&secret("a", 1).key).is_none());
    }
}
