//! The mark of an environment whose branch is gone ↔ domain.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::environment::{Grace, GraceState};
use crate::domain::roster;

/// The most characters of the reason: what the schema lets through.
const REASON: usize = 256;

/// Reads the mark.
pub fn grace(stored: &Grace) -> roster::Grace {
    roster::Grace {
        state: match stored.state {
            GraceState::Resting => roster::GraceState::Resting,
            GraceState::Restored => roster::GraceState::Restored,
            GraceState::Sleeping => roster::GraceState::Sleeping,
            GraceState::Woken => roster::GraceState::Woken,
        },
        since: stored.since.0,
        until: stored.until.0,
        reason: stored.reason.clone(),
    }
}

/// The mark as it is stored.
pub fn stored(grace: &roster::Grace) -> Grace {
    Grace {
        state: match grace.state {
            roster::GraceState::Resting => GraceState::Resting,
            roster::GraceState::Restored => GraceState::Restored,
            roster::GraceState::Sleeping => GraceState::Sleeping,
            roster::GraceState::Woken => GraceState::Woken,
        },
        since: Time(grace.since),
        until: Time(grace.until),
        reason: grace.reason.chars().take(REASON).collect(),
    }
}
