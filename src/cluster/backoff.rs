//! How long an interrupted watch waits before it tries again.

use std::time::Duration;

use kube::runtime::utils::Backoff;

/// Waits that double from half a second to five: after an outage of the API server, however long, everything is seen again within
/// seconds. There are few watches and few replicas, so that this hurts no server that struggles.
#[derive(Debug)]
pub struct WatchBackoff(Duration);

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

impl Default for WatchBackoff {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        Some(wait)
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.0 = SHORTEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f14_a_watch_never_waits_longer_than_five_seconds_and_begins_anew_after_a_success() {
        let mut backoff = WatchBackoff::default();
        let waits: Vec<_> = backoff.by_ref().take(6).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next(), Some(SHORTEST));
    }
}
