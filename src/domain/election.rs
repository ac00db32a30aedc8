//! Who leads, by one Lease: what a replica does about the Lease as it reads it, and for how long it may count on having it.
//!
//! Replicas need not agree on what time it is. How long a Lease has not changed is measured by whoever waits for its end, by a clock that
//! never jumps; the times that stand in it are for people. So a clock that is wrong neither takes a Lease away nor keeps it for ever.

use std::time::Duration;

/// A Lease as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub holder: Option<String>,
    /// When it was renewed, as its holder wrote it. Only that this changes means anything.
    pub renewed: Option<String>,
    /// For how long a renewal is good.
    pub lasts: Duration,
}

/// What to do about a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// It is ours: renew it.
    Renew,
    /// It is nobody's, or its holder gave no sign for as long as it lasts: take it, if nobody else has by then.
    Take,
    /// Its holder may be alive: look again later.
    Wait,
}

/// What a replica has seen of a Lease. Times are since any moment, such as the start of the process, by a clock that never jumps.
#[derive(Debug)]
pub struct Candidate {
    identity: String,
    /// The Lease as it was when it changed last, and when that was seen.
    seen: Option<(Lease, Duration)>,
}

impl Candidate {
    /// A replica that has seen nothing yet.
    pub fn new(identity: &str) -> Self {
        Self {
            identity: identity.to_owned(),
            seen: None,
        }
    }

    /// What to do about the Lease as it is at `now`.
    ///
    /// # Guarantees
    /// The Lease of another is taken only after it was seen not to change for as long as it lasts, whatever the clock of any replica says.
    pub fn decide(&mut self, lease: &Lease, now: Duration) -> Move {
        if self.seen.as_ref().is_none_or(|(seen, _)| seen != lease) {
            self.seen = Some((lease.clone(), now));
        }
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        match lease.holder.as_deref() {
            Some(holder) if holder == self.identity => Move::Renew,
            Some(holder) if !holder.is_empty() && now.saturating_sub(since) < lease.lasts => Move::Wait,
            _ => Move::Take,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LASTS: Duration = Duration::from_secs(15);

    fn held(holder: &str, renewed: &str) -> Lease {
        Lease {
            holder: Some(holder.to_owned()),
            renewed: Some(renewed.to_owned()),
            lasts: LASTS,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn f07_a_lease_whose_holder_gives_no_sign_is_taken_when_its_time_is_over_and_not_before() {
        let mut us = Candidate::new("us");
        assert_eq!(us.decide(&held("them", "1"), at(100)), Move::Wait);
        assert_eq!(us.decide(&held("them", "1"), at(114)), Move::Wait);
        assert_eq!(us.decide(&held("them", "2"), at(114)), Move::Wait);
        assert_eq!(us.decide(&held("them", "2"), at(128)), Move::Wait);
        assert_eq!(us.decide(&held("them", "2"), at(129)), Move::Take);
    }

    #[test]
    fn f08_f84_what_time_the_holder_thinks_it_is_does_not_matter() {
        for renewed in ["1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", ""] {
            let mut us = Candidate::new("us");
            assert_eq!(us.decide(&held("them", renewed), at(5)), Move::Wait, "{renewed}");
            assert_eq!(us.decide(&held("them", renewed), at(20)), Move::Take, "{renewed}");
        }
    }

    #[test]
    fn a_lease_of_nobody_is_taken_at_once_and_our_own_is_renewed() {
        let mut us = Candidate::new("us");
        let free = Lease {
            holder: None,
            renewed: None,
            lasts: LASTS,
        };
        assert_eq!(us.decide(&free, at(0)), Move::Take);
        assert_eq!(us.decide(&held("", "1"), at(0)), Move::Take);
        assert_eq!(us.decide(&held("us", "1"), at(0)), Move::Renew);
        assert_eq!(us.decide(&held("us", "1"), at(1000)), Move::Renew);
    }

    proptest! {
        #[test]
        fn f07_f08_whoever_gives_a_sign_in_time_is_never_overtaken(signs in prop::collection::vec((0..15_u64, any::<i64>()), 1..50)) {
            let mut us = Candidate::new("us");
            let mut now = 0;
            for (number, (later, clock)) in signs.into_iter().enumerate() {
                now += later;
                // Their clock says anything; that two signs are never alike is all that counts.
                prop_assert_eq!(us.decide(&held("them", &format!("{clock} {number}")), at(now)), Move::Wait);
            }
        }
    }
}
