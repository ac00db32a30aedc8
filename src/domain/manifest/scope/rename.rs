//! Names that end with the environment's hash, so that each environment has its own of what belongs to the whole cluster.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reference;
use crate::domain::manifest::{Admission, GroupKind, ObjectKey, digest_of};
use crate::domain::policy::ClusterScoped;

/// Kubernetes takes no longer name.
const MAX_NAME: usize = 253;
/// What tells two names apart whose ends were cut off.
const MARK: usize = 8;
/// The length of the hash at the end of an environment's name.
const HASH: usize = 10;

/// The new names of a bundle's cluster-scoped objects.
#[derive(Debug, Default)]
pub(in crate::domain::manifest) struct Renames {
    names: BTreeMap<GroupKind, BTreeMap<String, String>>,
}

impl Renames {
    /// Names every object of `objects` anew that belongs to no namespace; none under another policy than `Rename`.
    pub(in crate::domain::manifest) fn of<'v>(objects: impl IntoIterator<Item = &'v Value>, admission: &Admission<'_>) -> Self {
        let mut renames = Self::default();
        if admission.kinds.cluster_scoped != ClusterScoped::Rename {
            return renames;
        }
        let hash = hash(admission.environment.as_str());
        for object in objects {
            let Ok(key) = ObjectKey::try_from(object) else { continue };
            let kind = GroupKind::of(&key);
            if admission.kinds.is_cluster_scoped(&kind) {
                let new = renamed(&key.name, &hash);
                renames.names.entry(kind).or_default().insert(key.name, new);
            }
        }
        renames
    }

    /// Gives an object its new name, if it has one, and every reference in it the new name of what it refers to.
    pub(in crate::domain::manifest) fn apply(&self, key: &mut ObjectKey, body: &mut Value) {
        if self.names.is_empty() {
            return;
        }
        if let Some(new) = self.get(&GroupKind::of(key), &key.name) {
            key.name = new.to_owned();
            body["metadata"]["name"] = json!(new);
        }
        reference::visit(key, body, &|kind, name| self.get(kind, name).map(str::to_owned));
    }

    fn get(&self, kind: &GroupKind, name: &str) -> Option<&str> {
        self.names.get(kind)?.get(name).map(String::as_str)
    }
}

/// The hash at the end of an environment's name; of a name that was given by hand, a hash of the whole.
fn hash(environment: &str) -> String {
    let last = environment.rsplit('-').next().unwrap_or_default();
    let is_base32 = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
    if last.len() == HASH && last.bytes().all(is_base32) {
        last.to_owned()
    } else {
        digest_of(&json!(environment))[..HASH].to_owned()
    }
}

/// `<name>-<hash>`. A name that ends so already is the environment's own and stays; one that would be too long loses its end.
fn renamed(name: &str, hash: &str) -> String {
    if name.strip_suffix(hash).is_some_and(|rest| rest.ends_with('-')) {
        return name.to_owned();
    }
    if name.len() + 1 + hash.len() <= MAX_NAME {
        return format!("{name}-{hash}");
    }
    let room = MAX_NAME - hash.len() - MARK - 2;
    let kept = name.get(..room).unwrap_or(name).trim_end_matches(['-', '.']);
    format!("{kept}-{}-{hash}", &digest_of(&json!(name))[..MARK])
}
