//! What a teardown has read already.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::FRESH;
use crate::domain::manifest::ObjectKey;
use crate::domain::observed::LiveObject;

/// Objects that were there a moment ago, and that nothing was asked of since.
///
/// A teardown goes from tier to tier, and each plan is made over everything. What the tier before has deleted is read anew until it is gone;
/// what waits for its turn is not. It can only be taken for there although it is gone, and then its deletion finds nothing.
#[derive(Debug, Default)]
pub struct Seen(HashMap<ObjectKey, (Instant, LiveObject)>);

/// What the last pass of each teardown has seen, for the next one: while a Deployment ends, a pass follows the other many times a second. By
/// the UID of the environment. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LastSeen(Arc<Mutex<HashMap<String, Seen>>>);

impl Seen {
    /// Takes in what was read. Whatever is going already changes by itself.
    pub(super) fn add(&mut self, live: &LiveObject) {
        if live.deletion.is_none() {
            self.0.insert(live.key.clone(), (Instant::now(), live.clone()));
        }
    }

    /// What was seen of `key` and holds still.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&LiveObject> {
        self.0.get(key).map(|(_, live)| live)
    }

    /// Forgets what was seen too long ago, and what does not hold for another reason.
    pub(super) fn keep_fresh(&mut self, holds: impl Fn(&ObjectKey) -> bool) {
        self.0.retain(|key, (at, _)| at.elapsed() < FRESH && holds(key));
    }

    /// Somebody was asked to change it.
    pub fn doubt(&mut self, key: &ObjectKey) {
        self.0.remove(key);
    }

    fn is_fresh(&self) -> bool {
        self.0.values().any(|(at, _)| at.elapsed() < FRESH)
    }
}

impl LastSeen {
    /// What the pass before has left.
    pub fn take(&self, environment: &str) -> Seen {
        self.lock().remove(environment).unwrap_or_default()
    }

    /// Leaves it to the next pass, but for accounts: a token is made under the name alone, and must not be of somebody else's. Whatever is too
    /// old for any pass is let go, whoever's it is.
    pub fn leave(&self, environment: String, mut seen: Seen) {
        seen.0.retain(|key, _| key.kind != "ServiceAccount");
        let mut all = self.lock();
        all.insert(environment, seen);
        all.retain(|_, seen| seen.is_fresh());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use std::time::Duration;

    use super::*;
    use crate::cluster::MARKS;

    /// A Secret and an account that were seen so long ago.
    fn seen(ago: Duration) -> Seen {
        let key = |kind: &str| ObjectKey {
            group: String::new(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: Some("shop-a".to_owned()),
            name: "database".to_owned(),
        };
        let body = serde_json::json!({ "metadata": { "uid": "1", "resourceVersion": "1" } });
        let mut seen = Seen::default();
        for kind in ["Secret", "ServiceAccount"] {
            seen.add(&LiveObject::from_body(key(kind), &body, MARKS).unwrap());
        }
        for (at, _) in seen.0.values_mut() {
            *at -= ago;
        }
        seen
    }

    #[test]
    fn a_pass_finds_what_the_one_before_has_seen_once() {
        let last = LastSeen::default();
        last.leave("a".to_owned(), seen(Duration::ZERO));
        assert_eq!(last.take("b").0.len(), 0, "another's");
        let taken = last.take("a");
        assert_eq!(
            taken.0.keys().map(|key| key.kind.as_str()).collect::<Vec<_>>(),
            ["Secret"],
            "accounts are read anew"
        );
        assert_eq!(last.take("a").0.len(), 0);
    }

    #[test]
    fn what_is_too_old_for_any_pass_is_not_kept_for_a_teardown_that_waits() {
        let last = LastSeen::default();
        last.leave("a".to_owned(), seen(FRESH));
        last.leave("b".to_owned(), seen(Duration::ZERO));
        assert_eq!(last.lock().keys().collect::<Vec<_>>(), ["b"]);
    }
}
