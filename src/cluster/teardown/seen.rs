//! What a pass of a teardown has read already.

use std::collections::HashMap;
use std::time::Instant;

use super::FRESH;
use crate::domain::manifest::ObjectKey;
use crate::domain::observed::LiveObject;

/// Objects that were there a moment ago, and that nothing was asked of since.
///
/// A teardown goes from tier to tier, and each plan is made over everything. What the tier before has deleted is read anew until it is gone;
/// what waits for its turn is not, as long as the pass goes on without a wait.
#[derive(Debug, Default)]
pub struct Seen(HashMap<ObjectKey, (Instant, LiveObject)>);

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
}
