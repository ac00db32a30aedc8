//! Projects as the rules know them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

use crate::api::{Project, convert};
use crate::domain::policy;

/// What each Project says, converted once for each change of its spec: its patterns are compiled, which takes longer than all the rest, and
/// every pass over an environment asks. Cheap to clone.
///
/// # Assumptions
/// The conversion reads the spec and the names of a Project, and nothing else of it.
#[derive(Debug, Clone, Default)]
pub struct Policies(Arc<Mutex<HashMap<String, Converted>>>);

#[derive(Debug)]
struct Converted {
    generation: Option<i64>,
    project: Arc<policy::Project>,
}

impl Policies {
    /// Reads a Project.
    ///
    /// # Errors
    /// All problems, each naming its field.
    pub fn of(&self, object: &Project) -> Result<Arc<policy::Project>, Vec<String>> {
        let Some(uid) = object.uid() else {
            return convert::project::project(object).map(Arc::new);
        };
        let generation = object.metadata.generation;
        if let Some(known) = self.lock().get(&uid).filter(|known| known.generation == generation) {
            return Ok(known.project.clone());
        }
        let project = Arc::new(convert::project::project(object)?);
        let converted = Converted {
            generation,
            project: project.clone(),
        };
        self.lock().insert(uid, converted);
        Ok(project)
    }

    /// Forgets a Project that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Converted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use serde_json::json;

    use super::*;

    fn project(generation: i64, domain: &str) -> Project {
        let host = json!({ "name": "git" });
        let spec = json!({ "repository": "shop", "gitHostRef": host, "bundle": { "name": "web" }, "domain": domain });
        let metadata = json!({ "name": "shop", "namespace": "n", "uid": "1", "generation": generation });
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
    }

    #[test]
    fn a_project_is_converted_again_once_its_spec_has_changed() {
        let policies = Policies::default();
        let first = policies.of(&project(1, "a.example")).unwrap();
        assert!(Arc::ptr_eq(&first, &policies.of(&project(1, "a.example")).unwrap()));
        assert_eq!(policies.of(&project(2, "b.example")).unwrap().domain.as_str(), "b.example");
        policies.forget("1");
        assert!(!Arc::ptr_eq(&first, &policies.of(&project(1, "a.example")).unwrap()));
    }

    #[test]
    fn a_project_that_became_invalid_is_not_what_it_was() {
        let policies = Policies::default();
        policies.of(&project(1, "a.example")).unwrap();
        assert!(policies.of(&project(2, "not a domain")).is_err());
        assert!(policies.of(&project(2, "not a domain")).is_err());
    }
}
