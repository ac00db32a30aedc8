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
