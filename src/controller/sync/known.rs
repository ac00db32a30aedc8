//! What the rule knows of environments, kept from one look at a Project to the next.

use std::collections::HashMap;
use std::sync::Arc;

use kube::ResourceExt;

use crate::api::{Environment, convert};
use crate::domain::roster::Existing;

/// Environments of one Project, converted once for each of their versions: a look is called for by each delivery, and of a thousand
/// environments hardly one has changed since the look before.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By UID.
    by_uid: HashMap<String, Version>,
}

#[derive(Debug)]
struct Version {
    resource_version: Option<String>,
    existing: Arc<Existing>,
}

impl Known {
    /// What the rule needs of these environments, which are all that the Project has. Those that cannot be read are left out.
    pub(super) fn of(&mut self, environments: &[Arc<Environment>]) -> Vec<Arc<Existing>> {
        if self.by_uid.len() > environments.len() {
            // Some are gone; whichever they are, the others are converted again this once.
            self.by_uid.clear();
        }
        environments.iter().filter_map(|environment| self.one(environment)).collect()
    }

    fn one(&mut self, environment: &Environment) -> Option<Arc<Existing>> {
        let uid = environment.metadata.uid.as_deref().unwrap_or_default();
        let version = environment.metadata.resource_version.as_deref();
        let is_same = |known: &&Version| known.resource_version.is_some() && known.resource_version.as_deref() == version;
        if let Some(known) = self.by_uid.get(uid).filter(is_same) {
            return Some(known.existing.clone());
        }
        let existing = Arc::new(convert::environment::existing(environment).ok()?);
        let version = Version {
            resource_version: environment.resource_version(),
            existing: existing.clone(),
        };
        self.by_uid.insert(uid.to_owned(), version);
        Some(existing)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use serde_json::json;

    use super::*;

    fn environment(uid: &str, version: &str, digit: &str) -> Arc<Environment> {
        let spec = json!({ "projectRef": { "name": "shop" }, "branch": "a", "repositoryId": "1", "revision": digit.repeat(40) });
        let name = format!("shop-a-{uid}aaaaaaaaa");
        let metadata = json!({ "name": name, "namespace": "team", "uid": uid, "resourceVersion": version });
        Arc::new(serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap())
    }

    #[test]
    fn an_environment_is_converted_again_once_it_has_changed() {
        let mut known = Known::default();
        let first = known.of(&[environment("a", "1", "1"), environment("b", "1", "1")]);
        let second = known.of(&[environment("a", "1", "1"), environment("b", "2", "2")]);
        assert!(Arc::ptr_eq(&first[0], &second[0]));
        assert_eq!(
            (first[1].revision.starts_with('1'), second[1].revision.starts_with('2')),
            (true, true)
        );
    }

    #[test]
    fn nothing_is_kept_of_environments_that_are_gone() {
        let mut known = Known::default();
        known.of(&[environment("a", "1", "1"), environment("b", "1", "1")]);
        assert_eq!(known.of(&[environment("b", "1", "1")]).len(), 1);
        assert_eq!(known.by_uid.keys().collect::<Vec<_>>(), ["b"]);
    }
}
