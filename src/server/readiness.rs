//! Whether the process can do its work yet: a set of named checks, shared between those who pass them and the probe that asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The checks that must all pass before the process counts as ready. Clones share the same checks.
///
/// Leadership is no check: a standby is ready, or a rolling update of two replicas would never end.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Vec<Check>>>);

/// One named check; it begins as not passed. Clones are the same check.
#[derive(Debug, Clone)]
pub struct Check {
    name: &'static str,
    passed: Arc<AtomicBool>,
}

impl Readiness {
    /// No checks yet, which counts as ready: require every check before the listener starts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check under a name that people can understand without the code.
    pub fn require(&self, name: &'static str) -> Check {
        let check = Check {
            name,
            passed: Arc::default(),
        };
        self.lock().push(check.clone());
        check
    }

    /// The names of the checks that do not pass now, in the order in which they were required; empty when ready.
    pub fn missing(&self) -> Vec<&'static str> {
        let checks = self.lock();
        checks.iter().filter(|check| !check.passes()).map(|check| check.name).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Check>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Check {
    /// Says whether the check passes from now on. It may be taken back, at shutdown for example.
    pub fn set(&self, passed: bool) {
        self.passed.store(passed, Ordering::Release);
    }

    fn passes(&self) -> bool {
        self.passed.load(Ordering::Acquire)
    }
}
