//! What is left of the requests that a host grants, as its answers tell it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use super::Error;

/// The budget of one connection. Clones share it.
///
/// # Guarantees
/// Below a tenth of what the host grants, sweeps wait until it grants anew: what is left is for what webhooks, people and stages
/// ask for. A host that tells no budget has none.
#[derive(Debug, Clone, Default)]
pub struct Budget(Arc<Mutex<Option<Told>>>);

#[derive(Debug, Clone, Copy)]
struct Told {
    limit: u64,
    remaining: u64,
    /// When the host grants anew, by the machine's clock, which is what hosts mean.
    renewed: SystemTime,
}

/// The headers of one family of hosts: limit, remaining, and the second of the epoch when it begins anew.
const HEADERS: [[&str; 3]; 2] = [
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
];

/// A reset later than this is no reset: hosts grant by the hour or by the minute.
const LONGEST: Duration = Duration::from_secs(3600);

impl Budget {
    /// Takes note of what an answer tells.
    pub(super) fn observe(&self, headers: &HeaderMap) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let told = HEADERS.iter().find_map(|[limit, remaining, reset]| {
            Some(Told {
                limit: number(limit)?,
                remaining: number(remaining)?,
                renewed: UNIX_EPOCH.checked_add(Duration::from_secs(number(reset)?))?,
            })
        });
        if let Some(told) = told {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        }
    }

    /// Whether a sweep may ask for something.
    ///
    /// # Errors
    /// [`Error::Reserved`] with the time until the host grants anew.
    pub(super) fn spare(&self, operation: &'static str) -> Result<(), Error> {
        self.spare_at(operation, SystemTime::now())
    }

    fn spare_at(&self, operation: &'static str, now: SystemTime) -> Result<(), Error> {
        let told = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(told) = told else { return Ok(()) };
        let wait = told.renewed.duration_since(now).unwrap_or_default();
        if told.remaining.saturating_mul(10) >= told.limit || wait.is_zero() {
            return Ok(());
        }
        Err(Error::Reserved {
            operation,
            remaining: told.remaining,
            limit: told.limit,
            wait: wait.min(LONGEST),
        })
    }

    /// What is left, if the host has told; for metrics.
    pub fn remaining(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|told| told.remaining)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn told(prefix: &str, limit: &str, remaining: &str, reset: &str) -> Budget {
        let mut headers = HeaderMap::new();
        for (name, value) in [("limit", limit), ("remaining", remaining), ("reset", reset)] {
            let name: http::HeaderName = format!("{prefix}-{name}").parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        let budget = Budget::default();
        budget.observe(&headers);
        budget
    }

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn feature_h3_below_a_tenth_sweeps_wait_until_the_host_grants_anew() {
        for prefix in ["x-ratelimit", "ratelimit"] {
            assert!(told(prefix, "5000", "500", "1100").spare_at("look", at(1000)).is_ok());
            let error = told(prefix, "5000", "499", "1100").spare_at("look", at(1000)).unwrap_err();
            assert!(
                matches!(error, Error::Reserved { remaining: 499, wait, .. } if wait.as_secs() == 100),
                "{error}"
            );
            assert!(
                told(prefix, "5000", "0", "1100").spare_at("look", at(1100)).is_ok(),
                "it began anew"
            );
        }
    }

    #[test]
    fn a_host_that_tells_nothing_or_nonsense_has_no_budget() {
        for (limit, remaining, reset) in [("5000", "x", "1100"), ("5000", "-1", "1100"), ("5000", "1", "99999999999999999999")] {
            let budget = told("x-ratelimit", limit, remaining, reset);
            assert_eq!(budget.remaining(), None);
            assert!(budget.spare_at("look", at(1000)).is_ok());
        }
        let far = told("x-ratelimit", "10", "0", "99999999").spare_at("look", at(1)).unwrap_err();
        assert!(matches!(far, Error::Reserved { wait, .. } if wait == LONGEST), "{far}");
    }
}
