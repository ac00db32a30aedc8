//! The webhook endpoints that exist now, one per GitHost: what the server must know before it reads a byte of a body.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::SecretString;

use crate::domain::git::Provider;
use crate::domain::name::GitHostKey;

/// The endpoints of all GitHosts: the controller writes, the webhook server reads.
///
/// # Guarantees
/// Clones share one table. The lock is held for a map operation only, never across input or output.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(Arc<RwLock<HashMap<GitHostKey, Arc<Endpoint>>>>);

/// How the deliveries to one GitHost are verified and read.
#[derive(Debug)]
pub struct Endpoint {
    /// Decides about the signature's header and the payload's form.
    pub provider: Provider,
    /// What the sender signs with. An empty secret verifies nothing: see [`verify`](super::signature::verify).
    pub secret: SecretString,
}

impl Endpoints {
    /// Opens the endpoint of `key`, or replaces it, for instance after its secret was rotated.
    pub fn set(&self, key: GitHostKey, endpoint: Endpoint) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, Arc::new(endpoint));
    }

    /// Closes the endpoint of `key`, if it is open.
    pub fn remove(&self, key: &GitHostKey) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// The endpoint of `key`, if it is open.
    pub fn get(&self, key: &GitHostKey) -> Option<Arc<Endpoint>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn key(name: &str) -> GitHostKey {
        GitHostKey {
            namespace: "team".parse().unwrap(),
            name: name.parse().unwrap(),
        }
    }

    fn endpoint(secret: &str) -> Endpoint {
        Endpoint {
            provider: Provider::Github,
            secret: secret.to_owned().into(),
        }
    }

    #[test]
    fn clones_share_what_was_set_and_removed() {
        let controller = Endpoints::default();
        let server = controller.clone();
        controller.set(key("github"), endpoint("s3cret"));
        assert_eq!(server.get(&key("github")).unwrap().provider, Provider::Github);
        assert!(server.get(&key("other")).is_none());
        controller.remove(&key("github"));
        assert!(server.get(&key("github")).is_none());
    }

    #[test]
    fn the_debug_output_never_shows_a_secret() {
        let endpoints = Endpoints::default();
        endpoints.set(key("github"), endpoint("s3cret"));
        let shown = format!("{endpoints:?}");
        assert!(shown.contains("REDACTED") && !shown.contains("s3cret"), "{shown}");
    }
}
