//! What the namespace holds beside the inventory, and what of it has to go before identities do.

use std::collections::BTreeSet;

use super::{Next, Rules, Tier, View};
use crate::domain::inventory::{Entry, Inventory, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::observed::Deletion;
use crate::domain::plan::{Obstacle, Waiting};
use crate::domain::residue::{self, Found};

/// What a look over every kind found in the namespace beside the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Objects of others that nobody is removing.
    pub foreign: Vec<ObjectKey>,
    /// What has to end before identities go: whoever works on it may need one.
    pub pending: Vec<Waiting>,
    /// What somebody asked to keep, whoever made it.
    pub retained: Vec<Found>,
}

// === impl Contents ===

impl Contents {
    /// Sorts what was found.
    ///
    /// A descendant of what we removed counts while it holds finalizers or is being deleted: the rest is collected without anybody's
    /// help, but for what lost its owners already: nobody can say any more whose descendant it is. A descendant of what is still there (an account may own things) goes with its owner and is not waited for, or the two would
    /// wait for each other. An object of others that is being deleted is waited for instead of blocking: somebody has asked for its end.
    pub fn of(inventory: &Inventory, found: &[Found]) -> Self {
        let foreign = residue::foreign(inventory, found);
        let recorded: BTreeSet<&str> = uids(inventory.iter());
        let ours = residue::descendants(&recorded, found);
        let of_present = residue::descendants(&uids(inventory.present()), found);
        let is_pending = |object: &Found| {
            let uid = object.uid.as_str();
            let below = ours.contains(uid) && !recorded.contains(uid);
            let held = below && !object.finalizers.is_empty() && !of_present.contains(uid);
            held || object.lost || object.deleting_since.is_some() && (below || foreign.contains(&object.key))
        };
        let pending: Vec<_> = found.iter().filter(|object| is_pending(object)).map(waiting).collect();
        let is_ending = |key: &ObjectKey| pending.iter().any(|waiting| waiting.key == *key);
        Self {
            foreign: foreign.iter().filter(|key| !is_ending(key)).cloned().collect(),
            pending,
            retained: residue::retained(found),
        }
    }
}

fn uids<'a>(entries: impl Iterator<Item = (&'a ObjectKey, &'a Entry)>) -> BTreeSet<&'a str> {
    entries.filter_map(|(_, entry)| entry.uid.as_deref()).collect()
}

fn waiting(found: &Found) -> Waiting {
    let reason = match (&found.deleting_since, found.finalizers.is_empty()) {
        (Some(_), _) => "is being deleted, and who ends that may need an identity".to_owned(),
        (None, true) => "hangs below a removed object and is about to be deleted".to_owned(),
        (None, false) => format!(
            "hangs below a removed object, and who takes its finalizers off may need an identity: {}",
            found.finalizers.join(", ")
        ),
    };
    Waiting {
        key: found.key.clone(),
        reason,
        deletion: found.deleting_since.as_ref().map(|since| Deletion {
            since: since.clone(),
            finalizers: found.finalizers.clone(),
        }),
        failed: false,
    }
}

/// Whether rights or identities are left, which others may need: only then is a look worth its requests before they go.
pub(super) fn has_rights(inventory: &Inventory) -> bool {
    inventory
        .present()
        .any(|(key, entry)| matches!(Tier::of_entry(key, entry), Tier::Access | Tier::Identity))
}

/// What keeps identities and the namespace, or the request to look; `None` if nothing does. Objects of others do not where the namespace
/// stays anyway.
pub(super) fn hold(view: &View, rules: &Rules, stays: bool) -> Option<Next> {
    let Some(foreign) = &view.foreign else {
        return Some(Next::LookForForeign);
    };
    if !view.pending.is_empty() {
        return Some(Next::Drain {
            tier: Tier::Custom,
            deletes: Vec::new(),
            waiting: view.pending.clone(),
        });
    }
    if foreign.is_empty() || rules.delete_foreign || stays {
        return None;
    }
    let obstacles = foreign.iter().map(|key| Obstacle {
        key: key.clone(),
        reason: "was not created by graftling; remove it, or set policy.foreignObjects of the Project to Delete".to_owned(),
        stage: Stage::Namespace,
    });
    Some(Next::Blocked(obstacles.collect()))
}
