//! Clients for hosts outside of the cluster.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use reqwest::{Certificate, Client, ClientBuilder};

use crate::cluster::error::chain;

/// A client that is made when somebody is asked for the first time: it reads and keeps all certificate authorities of the machine, a good
/// part of what a server without work has in memory, and many servers never ask anybody. Clones share it and its connections.
#[derive(Clone)]
pub(super) struct LateClient(Arc<Late>);

struct Late {
    settings: Box<dyn Fn() -> ClientBuilder + Send + Sync>,
    made: OnceLock<Client>,
}

impl LateClient {
    /// A client with these settings. Nothing is made yet.
    pub(super) fn new(settings: impl Fn() -> ClientBuilder + Send + Sync + 'static) -> Self {
        Self(Arc::new(Late {
            settings: Box::new(settings),
            made: OnceLock::new(),
        }))
    }

    /// The client itself.
    ///
    /// # Errors
    /// What is wrong with the machine's authorities. The next call tries again.
    pub(super) fn get(&self) -> Result<&Client, String> {
        let Late { settings, made } = &*self.0;
        if let Some(client) = made.get() {
            return Ok(client);
        }
        let client = settings().build().map_err(|error| chain(&error))?;
        Ok(made.get_or_init(|| client))
    }
}

/// The authorities in a file, to be trusted besides the machine's own; none where there is no file.
///
/// # Errors
/// What is wrong with the file, by its path.
pub(super) fn authorities(file: Option<&Path>) -> Result<Vec<Certificate>, String> {
    let Some(path) = file else { return Ok(Vec::new()) };
    let unusable = |problem: String| format!("{}: {problem}", path.display());
    let bytes = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    Certificate::from_pem_bundle(&bytes).map_err(|error| unusable(chain(&error)))
}
