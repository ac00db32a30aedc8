//! Which environments the API server has put off, and until when.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Nobody is put off for longer than a pass may take, whatever the server says: it may be wrong, and then a deletion would wait for it.
pub const LONGEST: Duration = Duration::from_secs(60);

/// The environments that wait, by UID.
#[derive(Debug, Default)]
pub struct Patience(Mutex<HashMap<String, Instant>>);

impl Patience {
    /// The server asked an environment to wait.
    pub fn put_off(&self, uid: &str, wait: Duration, now: Instant) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, until| *until > now);
        waiting.insert(uid.to_owned(), now + wait.min(LONGEST));
    }

    /// How long an environment still has to wait; `None` if it may go on.
    pub fn left(&self, uid: &str, now: Instant) -> Option<Duration> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = waiting.get(uid)?;
        let left = until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f13_who_is_put_off_waits_as_long_as_was_asked_and_at_most_a_minute() {
        let (patience, now) = (Patience::default(), Instant::now());
        let seconds = Duration::from_secs;
        patience.put_off("a", seconds(8), now);
        patience.put_off("b", seconds(3600), now);
        assert_eq!(patience.left("a", now), Some(seconds(8)));
        assert_eq!(patience.left("a", now + seconds(5)), Some(seconds(3)));
        assert_eq!(patience.left("a", now + seconds(8)), None);
        assert_eq!(patience.left("b", now), Some(LONGEST));
        assert_eq!(patience.left("c", now), None);
        patience.put_off("c", seconds(1), now + seconds(70));
        assert_eq!(patience.0.lock().map_or(0, |waiting| waiting.len()), 1, "what is over is not kept");
    }
}
