//! Which look at a Project came to nothing and is to be repeated.

use kube::runtime::reflector::ObjectRef;

use super::Sync;
use super::project::Sighting;
use super::sweep::Outcome;
use crate::controller::inbox::PendingHint;
use crate::domain::name::ProjectKey;

/// How far to look again at one Project.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) everything: bool,
    pub(super) hints: Vec<PendingHint>,
}

/// So many branches of one Project are kept; of more, all are looked at.
const MOST_HINTS: usize = 1000;

impl Sync {
    /// Repeats what came to nothing. What comes to nothing once more is remembered once more.
    pub(super) async fn look_again(&self, key: &ProjectKey, again: &Again) -> Outcome {
        let reference = ObjectRef::new(key.name.as_str()).within(key.namespace.as_str());
        let Some(object) = self.stores.projects.get(&reference) else {
            return Outcome::Unasked;
        };
        let Some(project) = self.valid(&object) else {
            return Outcome::Unasked;
        };
        let mut outcome = Outcome::Fine;
        if !again.hints.is_empty() {
            outcome = self.look_up(&object, &project, &again.hints).await;
        }
        if again.everything && outcome == Outcome::Fine {
            outcome = self.sweep_impatiently(&object, &project).await;
        }
        outcome
    }
}

// === impl Again ===

impl Again {
    /// Remembers another look that came to nothing.
    pub(super) fn add(&mut self, sighting: Sighting<'_>) {
        match sighting {
            Sighting::Everything => self.everything = true,
            Sighting::Branches(hints) => hints.iter().for_each(|hint| self.add_hint(hint)),
        }
    }

    fn add_hint(&mut self, hint: &PendingHint) {
        let same = |known: &&mut PendingHint| known.branch == hint.branch && known.host == hint.host;
        if let Some(known) = self.hints.iter_mut().find(same) {
            let announced = known.deletion_announced || hint.deletion_announced;
            known.clone_from(hint);
            known.deletion_announced = announced;
        } else if self.hints.len() < MOST_HINTS {
            self.hints.push(hint.clone());
        } else {
            self.everything = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{DeliveryId, Happening, RepositoryHint};
    use crate::domain::name::GitHostKey;

    fn hint(branch: &str, happening: Happening) -> PendingHint {
        PendingHint {
            host: GitHostKey {
                namespace: "team".parse().expect("a name"),
                name: "git".parse().expect("a name"),
            },
            repository: RepositoryHint {
                id: None,
                name: "acme/shop".parse().expect("a name"),
            },
            branch: branch.parse().expect("a branch"),
            happening,
            deletion_announced: happening == Happening::BranchDeleted,
            delivery: DeliveryId::default(),
        }
    }

    #[test]
    fn f72_an_announced_deletion_is_kept_however_often_the_branch_is_heard_of() {
        let mut again = Again::default();
        again.add(Sighting::Branches(&[hint("a", Happening::BranchDeleted)]));
        again.add(Sighting::Branches(&[
            hint("a", Happening::BranchPushed),
            hint("b", Happening::BranchPushed),
        ]));
        let kept: Vec<_> = again
            .hints
            .iter()
            .map(|hint| (hint.branch.as_str(), hint.deletion_announced))
            .collect();
        assert_eq!(kept, [("a", true), ("b", false)]);
        assert!(!again.everything);
    }

    #[test]
    fn more_branches_than_are_kept_are_all_branches() {
        let mut again = Again::default();
        for number in 0..=MOST_HINTS {
            again.add_hint(&hint(&format!("feature/{number}"), Happening::BranchPushed));
        }
        assert!(again.everything);
        assert_eq!(again.hints.len(), MOST_HINTS);
    }
}
