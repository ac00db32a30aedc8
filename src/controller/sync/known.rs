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
