//! The brake: too many retirements and rests at once stop and ask.

use aws_lc_rs::digest;

use super::{Question, Roster, rest};
use crate::domain::name::EnvironmentName;

/// Retirements and rests that are held until somebody releases exactly these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brake {
    /// Names the set of held environments; a release that bears another digest releases nothing.
    pub digest: String,
    /// The held environments, sorted.
    pub environments: Vec<EnvironmentName>,
}

/// So many may go at once whatever the size of the Project.
const ALWAYS_ALLOWED: usize = 3;
/// Beyond that, this share of a Project's environments, in percent.
const SHARE_PERCENT: usize = 30;

/// Moves the retirements of `roster` to `held` if, together with those already under way, they are too many.
pub(super) fn apply(question: &Question<'_>, roster: &mut Roster) {
    let under_way = question.existing.iter().filter(|environment| environment.deleting).count();
    let ending = rest::ending(roster);
    if ending.is_empty() || under_way + ending.len() <= allowed(question.existing.len()) {
        return;
    }
    let brake = Brake::over(ending);
    if question.released == Some(brake.digest.as_str()) {
        return;
    }
    roster.retire.clear();
    roster.rest.clear();
    roster.held = Some(brake);
}

/// max(3, 30 %), rounded down.
fn allowed(environments: usize) -> usize {
    ALWAYS_ALLOWED.max(environments * SHARE_PERCENT / 100)
}

impl Brake {
    /// Over environments by name and UID. Who goes to rest and who goes for good count alike, so a release of the one is a release of the
    /// other: it says that exactly these are meant to go.
    fn over(mut held: Vec<(EnvironmentName, String)>) -> Self {
        held.sort();
        let mut context = digest::Context::new(&digest::SHA256);
        for (name, uid) in &held {
            // The UID as well: an old release must not release what a branch of the same name has since.
            for part in [name.as_str(), uid] {
                context.update(part.as_bytes());
                context.update(b"\n");
            }
        }
        let environments = held.into_iter().map(|(name, _)| name).collect();
        let digest = context.finish().as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { digest, environments }
    }
}
