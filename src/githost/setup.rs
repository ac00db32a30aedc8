//! Help with setting a Git host up: what the credentials may do, which webhooks there are, and the one that graftling needs.

use futures::future::BoxFuture;
use secrecy::SecretString;

use super::Error;
use crate::domain::git::RepositoryName;
use crate::domain::setup::{Allowed, Capability, Endpoint, Webhook};

/// What a Git host lets be found out and prepared through its interface.
///
/// # Guarantees
/// Nothing is changed at the host but by [`Setup::install_webhook`]: what may be written is read where the host tells it, and
/// else found out by requests that it refuses for another reason when they are permitted.
///
/// # Errors
/// Every failure is an [`Error`].
pub trait Setup: Send + Sync {
    /// What the credentials may do with a repository, task by task.
    fn capabilities<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Vec<Capability>, Error>>;

    /// Every webhook of a repository.
    fn webhooks<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Vec<Webhook>, Error>>;

    /// Makes the webhook that delivers to `wanted`, or makes the one that is there right. Doing it twice leaves one.
    fn install_webhook<'a>(&'a self, name: &'a RepositoryName, wanted: &'a WantedWebhook) -> BoxFuture<'a, Result<Installed, Error>>;
}

/// A webhook to be.
#[derive(Debug)]
pub struct WantedWebhook {
    /// The path that tells it from others.
    pub endpoint: Endpoint,
    /// Where it delivers.
    pub url: String,
    /// What it signs with.
    pub secret: SecretString,
}

/// What came of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// There was none, and now there is.
    Created,
    /// The one that was there is right now; whether its secret was right before, no host tells.
    Updated,
}

/// What an answer to a request that can change nothing says of the right to make it. `permitted` are the statuses of a host that would
/// have done it, had there been anything to do.
pub(super) fn allowed(result: Result<u16, Error>, permitted: &[u16]) -> Allowed {
    match result {
        Ok(status) if permitted.contains(&status) => Allowed::Yes,
        Ok(401 | 403 | 404) | Err(Error::Refused { .. } | Error::RepositoryNotFound { .. }) => Allowed::No,
        Ok(status) => Allowed::Unknown(format!("the host answered HTTP {status}, which tells nothing")),
        Err(error) => Allowed::Unknown(error.to_string()),
    }
}

/// The events of `wanted` that `told` does not have.
pub(super) fn lacking(wanted: &[&str], told: &[String]) -> Vec<String> {
    let is_told = |event: &&&str| told.iter().any(|told| told == **event || told == "*");
    wanted.iter().filter(|event| !is_told(event)).map(ToString::to_string).collect()
}
