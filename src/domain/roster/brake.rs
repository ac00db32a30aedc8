//! The brake: too many retirements and rests at once stop and ask.

use aws_lc_rs::digest;

use super::{Question, Rest, Retirement, Roster};
use crate::domain::git::BranchName;
use crate::domain::name::EnvironmentName;

/// Retirements and rests that are held until somebody releases exactly these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brake {
    /// Names the set of held environments; a release that bears another digest releases nothing.
    pub digest: String,
    /// The held environments, sorted.
    pub environments: Vec<EnvironmentName>,
    /// Their branches, in the same order.
    pub branches: Vec<BranchName>,
}

/// So many may go at once whatever the size of the Project.
const ALWAYS_ALLOWED: usize = 3;
/// Beyond that, this share of a Project's environments, in percent.
const SHARE_PERCENT: usize = 30;

/// Moves the retirements of `roster` to `held` if, together with those already under way, they are too many.
///
/// What the Project's own rules end counts as what the host's answers end: a `ttl` of a minute instead of a month is as easily written
/// as an outage is read as "no branches". So does what only goes to rest: an outage must not stop everything
/// either. But many that expire at once do not keep branches from going that are gone.
pub(super) fn apply(question: &Question<'_>, roster: &mut Roster) {
    let under_way = question.existing.iter().filter(|environment| environment.deleting).count();
    let (allowed, resting) = (allowed(question.existing.len()), roster.rest.len());
    let gone = resting + roster.retire.iter().filter(|retirement| retirement.head.is_none()).count();
    let ending = resting + roster.retire.len();
    if ending == 0 || under_way + ending <= allowed {
        return;
    }
    let may_go = under_way + gone <= allowed;
    let (going, held): (Vec<_>, Vec<_>) = roster.retire.drain(..).partition(|retirement| retirement.head.is_none() && may_go);
    let resting = if may_go { Vec::new() } else { std::mem::take(&mut roster.rest) };
    let brake = Brake::over(&held, &resting);
    roster.retire = going;
    if question.released == Some(brake.digest.as_str()) {
        roster.retire.extend(held);
        roster.rest.extend(resting);
        roster.released = Some(brake);
    } else {
        roster.held = Some(brake);
    }
}

/// max(3, 30 %), rounded down.
fn allowed(environments: usize) -> usize {
    ALWAYS_ALLOWED.max(environments * SHARE_PERCENT / 100)
}

impl Brake {
    /// Over environments by name and UID. Who goes to rest and who goes for good count alike.
    fn over(retirements: &[Retirement], rests: &[Rest]) -> Self {
        let retired = retirements
            .iter()
            .map(|retirement| (&retirement.name, &retirement.uid, &retirement.branch));
        let resting = rests.iter().map(|rest| (&rest.wanted.name, &rest.uid, &rest.wanted.branch));
        let mut held: Vec<_> = retired.chain(resting).collect();
        held.sort();
        let mut context = digest::Context::new(&digest::SHA256);
        for (name, uid, _) in &held {
            // The UID as well: an old release must not release what a branch of the same name has since.
            for part in [name.as_str(), uid.as_str()] {
                context.update(part.as_bytes());
                context.update(b"\n");
            }
        }
        let environments = held.iter().map(|(name, ..)| (*name).clone()).collect();
        let branches = held.iter().map(|(.., branch)| (*branch).clone()).collect();
        let digest = context.finish().as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            digest,
            environments,
            branches,
        }
    }
}
