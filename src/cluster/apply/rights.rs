//! Rights that were given a moment ago.

use std::time::{Duration, Instant};

use crate::domain::inventory::Stage;
use crate::domain::outcome::{FailureClass, Outcome};

/// Whether this plan has given the deployer its rights, and when.
///
/// The API server judges by what its own watch of bindings shows, which is a few milliseconds behind the answer to the write of one. So a
/// moment passes before they are made use of, and what is refused all the same is asked for again here: to end the pass, and begin another,
/// costs more of everything.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rights {
    given: Option<Instant>,
}

/// For so long after a binding was written a refusal may be due to it.
const IN_EFFECT_WITHIN: Duration = Duration::from_secs(1);

/// So long the API server's watch takes mostly, where nothing else is going on. Without it more than half of the first writes were refused.
const SEEN_AFTER: Duration = Duration::from_millis(3);

/// The first wait after a refusal; each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(2);

impl Rights {
    /// Takes in what was written before the next step. Rights that were given have a moment to be seen.
    pub(super) async fn learn(&mut self, outcomes: &[Outcome]) {
        let is_binding = |outcome: &Outcome| match outcome {
            Outcome::Applied { stage, live, .. } => *stage == Stage::Guardrails && live.key.kind == "RoleBinding",
            _ => false,
        };
        if outcomes.iter().any(is_binding) {
            self.given = Some(Instant::now());
            tokio::time::sleep(SEEN_AFTER).await;
        }
    }

    /// What comes of a write, once it is not refused any more for rights that were given just now.
    pub(super) async fn take_effect<F: Future<Output = Outcome>>(self, write: impl Fn() -> F) -> Outcome {
        let mut wait = FIRST_WAIT;
        loop {
            let outcome = write().await;
            let is_fresh = self.given.is_some_and(|given| given.elapsed() + wait < IN_EFFECT_WITHIN);
            if !is_fresh || !is_refused(&outcome) {
                return outcome;
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }
}

fn is_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(failure) if failure.class == FailureClass::Forbidden)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::domain::manifest::ObjectKey;
    use crate::domain::outcome::Failure;

    fn key() -> ObjectKey {
        ObjectKey {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: Some("shop-a".to_owned()),
            name: "record".to_owned(),
        }
    }

    fn failed(class: FailureClass) -> Outcome {
        Outcome::Failed(Failure {
            key: key(),
            class,
            message: String::new(),
        })
    }

    /// How often a write is sent that fails so, twice at most, with rights that were given so long ago.
    async fn times(given: Option<Duration>, class: FailureClass) -> u32 {
        let rights = Rights {
            given: given.and_then(|ago| Instant::now().checked_sub(ago)),
        };
        let sent = Cell::new(0);
        let write = || {
            sent.set(sent.get() + 1);
            let outcome = match sent.get() {
                1 => failed(class),
                _ => Outcome::Vanished { key: key() },
            };
            std::future::ready(outcome)
        };
        rights.take_effect(write).await;
        sent.get()
    }

    #[tokio::test]
    async fn a_write_that_is_refused_right_after_its_binding_is_sent_again() {
        assert_eq!(times(Some(Duration::ZERO), FailureClass::Forbidden).await, 2);
        assert_eq!(
            times(Some(Duration::from_secs(2)), FailureClass::Forbidden).await,
            1,
            "in effect long since"
        );
        assert_eq!(times(None, FailureClass::Forbidden).await, 1, "no rights were given here");
        assert_eq!(
            times(Some(Duration::ZERO), FailureClass::Rejected).await,
            1,
            "it has nothing to do with rights"
        );
    }

    #[tokio::test]
    async fn rights_that_stay_missing_are_told_within_a_second() {
        let rights = Rights {
            given: Instant::now().checked_sub(IN_EFFECT_WITHIN - Duration::from_millis(20)),
        };
        let sent = Cell::new(0);
        let write = || {
            sent.set(sent.get() + 1);
            std::future::ready(failed(FailureClass::Forbidden))
        };
        assert!(is_refused(&rights.take_effect(write).await));
        assert!(sent.get() <= 4, "waits double, and there are 20 ms left: {}", sent.get());
    }
}
