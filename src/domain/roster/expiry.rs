//! Environments that nobody has used for longer than the Project allows.

use std::time::Duration;

use super::{Existing, Proof, Question, Sight};

/// What proves that the environment has expired.
///
/// A push in the same look wins: the environment is refreshed, which is activity. Without a time that can be relied on nothing expires.
pub(super) fn expired(question: &Question<'_>, environment: &Existing, sight: Sight<'_>) -> Option<Proof> {
    let ttl = question.project.ttl?;
    let idle = question.server_time?.duration_since(environment.active?);
    // Activity that lies ahead is no lack of it.
    let idle = Duration::try_from(idle).ok()?;
    (idle >= ttl && environment.revision == sight.revision.as_str()).then_some(Proof::Expired { idle, ttl })
}
