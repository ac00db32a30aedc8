//! What we wrote last, until the watch has caught up with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;

use crate::api::Environment;

/// The newest Environments that our own writes returned. Cheap to clone.
///
/// # Guarantees
/// A reconcile never works from a status older than the one that the reconcile before it wrote.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<HashMap<String, Arc<Environment>>>>);

impl Memory {
    /// The newer of `cached` and what was written last. Once the watch has caught up, the memory is released.
    pub fn newest(&self, cached: Arc<Environment>) -> Arc<Environment> {
        let Some(uid) = cached.uid() else { return cached };
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get(&uid) {
            Some(ours) if version(ours) > version(&cached) => ours.clone(),
            Some(_) => {
                written.remove(&uid);
                cached
            }
            None => cached,
        }
    }

    /// Remembers what a write returned.
    pub fn remember(&self, environment: &Environment) {
        if let Some(uid) = environment.uid() {
            let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            written.insert(uid, Arc::new(environment.clone()));
        }
    }

    /// Releases an Environment that is gone.
    pub fn release(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// Versions of one kind can be compared as numbers (KEP-5504).
fn version(environment: &Environment) -> u64 {
    environment.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0)
}
