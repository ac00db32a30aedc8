//! Objects of ours that came into being after what was under their keys was taken for gone: a request to create may arrive long after
//! whoever sent it has given up, and no precondition keeps a creation out.

use crate::domain::inventory::{Entry, Inventory, Relation};
use crate::domain::manifest::ObjectKey;
use crate::domain::name::EnvironmentName;
use crate::domain::observed::LiveObject;
use crate::domain::plan::Observed;
use crate::domain::residue::Found;

/// Whether an object of the inventory that was taken for gone may have come since.
pub fn is_possible(inventory: &Inventory) -> bool {
    inventory.iter().any(|(_, entry)| entry.gone)
}

/// Those of `found` that are under a key of the inventory whose object was taken for gone. Each has to be read before [`take_back`] can tell
/// whose it is.
pub fn reappeared(inventory: &Inventory, found: &[Found]) -> Vec<ObjectKey> {
    let was_gone = |found: &&Found| inventory.get(&found.key).is_some_and(|entry| entry.gone);
    found.iter().filter(was_gone).map(|found| found.key.clone()).collect()
}

/// Takes back that objects are gone where `late`, as it was read, is ours. Answers with these.
pub fn take_back(environment: &EnvironmentName, inventory: &mut Inventory, late: Observed) -> Observed {
    let is_ours = |live: &&LiveObject| {
        let entry = inventory.get(&live.key).filter(|entry| entry.gone);
        entry.is_some_and(|entry| as_if_never_seen(entry).relation(live, environment.as_str()) != Relation::Foreign)
    };
    let ours: Observed = late.values().filter(is_ours).map(|live| (live.key.clone(), live.clone())).collect();
    for live in ours.values() {
        inventory.come_late(&live.key, &live.uid);
    }
    ours
}

/// Another try may have made the object, and a teardown removed it, before the first one arrives: so the UID proves nothing, and who made
/// the object does.
fn as_if_never_seen(entry: &Entry) -> Entry {
    Entry {
        uid: None,
        ..entry.clone()
    }
}
