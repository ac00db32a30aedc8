//! Status conditions that keep their transition time.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// A condition as it should be now.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// The condition's type.
    pub kind: &'static str,
    /// Whether it holds; `None` is `Unknown`.
    pub holds: Option<bool>,
    /// The reason, in UpperCamelCase.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: &'a str,
}

/// Makes conditions of `claims`. A condition whose status did not change keeps the time of its last transition, so that an unchanged
/// claim gives an unchanged condition.
pub fn conditions(previous: &[Condition], claims: &[Claim<'_>], generation: Option<i64>, now: &Time) -> Vec<Condition> {
    claims
        .iter()
        .map(|claim| {
            let status = match claim.holds {
                Some(true) => "True",
                Some(false) => "False",
                None => "Unknown",
            };
            let before = previous
                .iter()
                .find(|condition| condition.type_ == claim.kind && condition.status == status);
            Condition {
                type_: claim.kind.to_owned(),
                status: status.to_owned(),
                reason: claim.reason.to_owned(),
                message: claim.message.to_owned(),
                observed_generation: generation,
                last_transition_time: before.map_or_else(|| now.clone(), |condition| condition.last_transition_time.clone()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time(jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(seconds))
    }

    fn claim(holds: Option<bool>, message: &str) -> Claim<'_> {
        Claim {
            kind: "Ready",
            holds,
            reason: "Because",
            message,
        }
    }

    #[test]
    fn an_unchanged_claim_gives_an_unchanged_condition() {
        let first = conditions(&[], &[claim(Some(true), "m")], Some(1), &at(10));
        assert_eq!(conditions(&first, &[claim(Some(true), "m")], Some(1), &at(20)), first);
    }

    #[test]
    fn only_a_change_of_status_is_a_transition() {
        let first = conditions(&[], &[claim(Some(false), "one")], Some(1), &at(10));
        let reworded = conditions(&first, &[claim(Some(false), "two")], Some(2), &at(20));
        assert_eq!(reworded[0].last_transition_time, at(10));
        assert_eq!((reworded[0].message.as_str(), reworded[0].observed_generation), ("two", Some(2)));
        for (holds, status) in [(Some(true), "True"), (None, "Unknown")] {
            let turned = conditions(&first, &[claim(holds, "one")], Some(1), &at(20));
            assert_eq!(
                (turned[0].status.as_str(), turned[0].last_transition_time.clone()),
                (status, at(20))
            );
        }
    }

    #[test]
    fn conditions_that_are_no_longer_claimed_go() {
        let first = conditions(&[], &[claim(Some(true), "m")], None, &at(10));
        assert_eq!(conditions(&first, &[], None, &at(20)), []);
    }
}
