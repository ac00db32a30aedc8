//! How much a bundle may give: what etcd takes, and what the status of an environment can hold of it.

use std::collections::BTreeSet;

use super::{MAX_NAMES, MAX_OBJECT, MAX_OBJECTS_SIZE, Manifest, Refusal, refusal};

/// Everything that is too large.
pub(super) fn check(manifests: &[Manifest]) -> Vec<Refusal> {
    let mut refusals = oversize(manifests);
    refusals.extend(long_names(manifests));
    refusals
}

fn oversize(manifests: &[Manifest]) -> Vec<Refusal> {
    let mut total = 0;
    let mut refusals = Vec::new();
    for manifest in manifests {
        let size = manifest.body.to_string().len();
        total += size;
        if size > MAX_OBJECT {
            let reason = format!("the object has {size} bytes, at most {MAX_OBJECT} are allowed: split it");
            refusals.push(refusal(&manifest.source, &manifest.key.to_string(), "size", reason));
        } else if total > MAX_OBJECTS_SIZE && total - size <= MAX_OBJECTS_SIZE {
            let reason = format!("with this object the bundle exceeds {MAX_OBJECTS_SIZE} bytes: make the objects smaller");
            refusals.push(refusal(&manifest.source, &manifest.key.to_string(), "size", reason));
        }
    }
    refusals
}

/// Names of 48 characters fit for as many objects as there may be.
fn long_names(manifests: &[Manifest]) -> Option<Refusal> {
    let kinds: BTreeSet<String> = manifests
        .iter()
        .map(|manifest| format!("{}/{}", manifest.key.api_version(), manifest.key.kind))
        .collect();
    let total = manifests
        .iter()
        .map(|manifest| manifest.key.name.len())
        .chain(kinds.iter().map(String::len))
        .sum::<usize>();
    let longest = manifests.iter().max_by_key(|manifest| manifest.key.name.len())?;
    let reason = format!("the names of all objects have {total} bytes together, at most {MAX_NAMES} are allowed: use shorter names");
    (total > MAX_NAMES).then(|| refusal(&longest.source, &longest.key.to_string(), "metadata.name", reason))
}
