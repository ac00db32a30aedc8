//! One log line for each delivery, at its end, and never more lines than somebody can read.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answer::{Accepted, Refusal};
use crate::domain::event::DeliveryId;
use crate::domain::name::GitHostKey;

/// Writes the log lines of deliveries.
///
/// A line holds the endpoint, the delivery id and the result; never a header, a body, or anything else that the sender wrote.
#[derive(Debug)]
pub(super) struct Journal {
    accepted: Allowance,
    refused: Allowance,
}

/// How many lines may be written in a second. Refusals are cheap to provoke for anybody, so that they have an allowance of their own.
#[derive(Debug)]
struct Allowance {
    lines_per_second: u32,
    state: Mutex<Option<Second>>,
}

/// The lines of the second that is under way.
#[derive(Debug, Clone, Copy)]
struct Second {
    began: Instant,
    written: u32,
    suppressed: u64,
}

// === impl Journal ===

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            accepted: Allowance::new(100),
            refused: Allowance::new(10),
        }
    }

    pub(super) fn accepted(&self, githost: &GitHostKey, delivery: &DeliveryId, accepted: &Accepted) {
        let Some(suppressed) = self.accepted.admit(Instant::now()) else {
            return;
        };
        let (branches, reason) = match accepted {
            Accepted::Hints { branches } => (Some(*branches), None),
            Accepted::Pong => (None, None),
            Accepted::Ignored(reason) => (None, Some(*reason)),
        };
        tracing::info!(
            webhook.githost = %githost,
            webhook.delivery_id = delivery.as_str(),
            webhook.result = accepted.result().as_str(),
            webhook.branches = branches,
            webhook.reason = reason,
            webhook.lines_suppressed = suppressed,
            "webhook delivery accepted"
        );
    }

    pub(super) fn refused(&self, githost: &GitHostKey, delivery: &DeliveryId, refusal: &Refusal) {
        let Some(suppressed) = self.refused.admit(Instant::now()) else {
            return;
        };
        tracing::warn!(
            webhook.githost = %githost,
            webhook.delivery_id = delivery.as_str(),
            webhook.result = refusal.result().as_str(),
            webhook.reason = refusal.reason(),
            webhook.lines_suppressed = suppressed,
            "webhook delivery refused"
        );
    }
}

// === impl Allowance ===

impl Allowance {
    fn new(lines_per_second: u32) -> Self {
        Self {
            lines_per_second,
            state: Mutex::default(),
        }
    }

    /// Whether a line may be written at `now`, and if so how many were suppressed since the last one.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut second = match *state {
            Some(second) if now.saturating_duration_since(second.began) < Duration::from_secs(1) => second,
            previous => Second {
                began: now,
                written: 0,
                suppressed: previous.map_or(0, |previous| previous.suppressed),
            },
        };
        let admitted = if second.written < self.lines_per_second {
            second.written += 1;
            Some(std::mem::take(&mut second.suppressed))
        } else {
            second.suppressed += 1;
            None
        };
        *state = Some(second);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threat_t10_a_flood_writes_only_its_allowance_and_the_next_line_says_what_was_left_out() {
        let allowance = Allowance::new(3);
        let begin = Instant::now();
        let written = (0..1_000).filter(|_| allowance.admit(begin).is_some()).count();
        assert_eq!(written, 3);
        assert_eq!(allowance.admit(begin + Duration::from_millis(999)), None);
        assert_eq!(allowance.admit(begin + Duration::from_secs(1)), Some(998));
        assert_eq!(allowance.admit(begin + Duration::from_secs(1)), Some(0));
    }
}
