//! GitHosts: their connections, their webhook endpoints, and what their status says of both.

mod connected;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt};

pub use self::connected::Connected;
pub(super) use self::connected::text;
use crate::api::convert::condition::{Claim, conditions};
use crate::api::githost::Provider;
use crate::api::{GitHost as GitHostObject, GitHostStatus};
use crate::cluster::error::chain;
use crate::cluster::publish::Publisher;
use crate::domain::git;
use crate::domain::name::GitHostKey;
use crate::githost;
use crate::githost::endpoint::{Endpoint, Endpoints};

/// The connections to all GitHosts. Cheap to clone.
///
/// # Guarantees
/// Once [`remove`](Self::remove) has returned, nothing of that GitHost is there, and none of its Secrets that are still being read opens
/// anything. Of several versions, no older one replaces a newer one.
///
/// # Assumptions
/// The store, if there is one, knows a change before anybody is told of it here.
#[derive(Clone)]
pub struct Hosts {
    client: Client,
    endpoints: Endpoints,
    existing: Option<Store<GitHostObject>>,
    connections: Arc<Mutex<Connections>>,
}

type Connections = HashMap<GitHostKey, Connected>;

/// Why a GitHost cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its own name cannot be read.
    #[error("GitHost {name}: {problem}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A Secret is missing, incomplete or not readable.
    #[error("{problem}")]
    Secret {
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// The API server does not say what a Secret holds.
    #[error("could not read Secret {name}")]
    ReadSecret {
        /// Its name.
        name: String,
        /// The cause.
        #[source]
        source: kube::Error,
    },
    /// The settings do not make a connection.
    #[error("could not prepare the connection")]
    Connect(#[source] githost::Error),
}

/// What came of looking at a GitHost.
struct Findings {
    ready: Result<(), Error>,
    webhook: Result<(), NoEndpoint>,
}

/// Why a GitHost has no webhook endpoint, or only the one that it had.
struct NoEndpoint {
    reason: &'static str,
    message: String,
    is_kept: bool,
}

impl Hosts {
    /// No connections yet; webhook endpoints go to `endpoints`. Whatever is not in `existing` is not connected; without it, whoever asks
    /// has just seen it.
    pub fn new(client: Client, endpoints: Endpoints, existing: Option<Store<GitHostObject>>) -> Self {
        Self {
            client,
            endpoints,
            existing,
            connections: Arc::default(),
        }
    }

    /// The connection of `key`, if its GitHost exists and is complete.
    pub fn get(&self, key: &GitHostKey) -> Option<Connected> {
        self.lock().get(key).cloned()
    }

    /// Forgets a GitHost that is gone.
    pub fn remove(&self, object: &GitHostObject) {
        if let Ok(key) = key(object) {
            let mut connections = self.lock();
            self.endpoints.remove(&key);
            connections.remove(&key);
        }
    }

    /// Reads the Secrets of a GitHost anew and makes its connection and endpoint accordingly, unless it is gone or another by then.
    /// `publisher` is given by the replica that leads: only that one writes the status.
    pub async fn refresh(&self, object: &GitHostObject, publisher: Option<&Publisher>) {
        let findings = match key(object) {
            Ok(key) => self.look(object, &key).await,
            Err(error) => Some(Findings {
                ready: Err(error),
                webhook: Err(NoEndpoint::for_certain("InvalidName", "this GitHost has no usable name".to_owned())),
            }),
        };
        let (Some(publisher), Some(findings)) = (publisher, findings) else {
            return;
        };
        let status = status(object, &findings);
        if let Err(error) = publisher.status(object, object.status.as_ref(), &status).await {
            tracing::warn!(githost = %object.name_any(), error = %error.chain(), "could not write the status of a GitHost");
        }
    }

    /// Nothing is found of one that is gone or another by the time that its Secrets are read.
    async fn look(&self, object: &GitHostObject, key: &GitHostKey) -> Option<Findings> {
        let made = self.make_connection(object).await;
        let endpoint = self.endpoint(object).await;
        // Held over the look and what follows from it: whoever removes it comes before the look or after both.
        let mut connections = self.lock();
        self.is_there(object).then(|| Findings {
            ready: connect(&mut connections, object, key, made),
            webhook: self.open_endpoint(key, endpoint),
        })
    }

    fn is_there(&self, object: &GitHostObject) -> bool {
        let Some(existing) = &self.existing else { return true };
        let now = existing.get(&ObjectRef::from_obj(object));
        let is_it = |now: Arc<GitHostObject>| {
            let (now, read) = (&now.metadata, &object.metadata);
            now.uid == read.uid && now.generation <= read.generation
        };
        now.is_some_and(is_it)
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No secret, no endpoint: an unsigned delivery must never be believed. Where the API server does not tell the secret for now, the one
    /// that is known goes on: a delivery that is refused is lost, as few hosts send any twice.
    async fn endpoint(&self, object: &GitHostObject) -> Result<Endpoint, NoEndpoint> {
        let Some(webhook) = &object.spec.webhook else {
            let message = "there is no webhook endpoint, because spec.webhook.secret is not set; changes are found by the sweep alone";
            return Err(NoEndpoint::for_certain("NoWebhookSecret", message.to_owned()));
        };
        let secret = self.webhook_secret(object, webhook).await.map_err(|error| NoEndpoint {
            reason: "WebhookSecretUnusable",
            message: format!("there is no webhook endpoint: {}", chain(&error)),
            is_kept: error.is_outage(),
        })?;
        let provider = match object.spec.provider {
            Provider::Github => git::Provider::Github,
            Provider::Gitlab => git::Provider::Gitlab,
            Provider::Bitbucket => git::Provider::Bitbucket,
            Provider::Gitea => git::Provider::Gitea,
            Provider::Git => git::Provider::Git,
        };
        Ok(Endpoint { provider, secret })
    }

    fn open_endpoint(&self, key: &GitHostKey, endpoint: Result<Endpoint, NoEndpoint>) -> Result<(), NoEndpoint> {
        match endpoint {
            Ok(endpoint) => {
                self.endpoints.set(key.clone(), endpoint);
                Ok(())
            }
            Err(why) => {
                if !why.is_kept {
                    self.endpoints.remove(key);
                }
                Err(why)
            }
        }
    }
}

impl NoEndpoint {
    fn for_certain(reason: &'static str, message: String) -> Self {
        Self {
            reason,
            message,
            is_kept: false,
        }
    }
}

/// An outage leaves the connection as it was, if it is to the same place.
fn connect(connections: &mut Connections, object: &GitHostObject, key: &GitHostKey, made: Result<Connected, Error>) -> Result<(), Error> {
    match made {
        Ok(connected) => {
            connections.insert(key.clone(), connected);
            Ok(())
        }
        Err(error) => {
            let is_kept = error.is_outage() && connections.get(key).is_some_and(|known| known.url == object.spec.url);
            if !is_kept {
                connections.remove(key);
            }
            Err(error)
        }
    }
}

impl Error {
    /// Whether it is the API server that did not answer: then nothing is known to be wrong.
    fn is_outage(&self) -> bool {
        matches!(self, Self::ReadSecret { .. })
    }
}

fn key(object: &GitHostObject) -> Result<GitHostKey, Error> {
    let wrong = |error: crate::domain::name::NameError| Error::Name {
        name: object.name_any(),
        problem: error.to_string(),
    };
    Ok(GitHostKey {
        namespace: object.namespace().unwrap_or_default().parse().map_err(wrong)?,
        name: object.name_any().parse().map_err(wrong)?,
    })
}

fn status(object: &GitHostObject, findings: &Findings) -> GitHostStatus {
    let mut status = object.status.clone().unwrap_or_default();
    let (ready_reason, ready_message) = match &findings.ready {
        Ok(()) => ("Connected", "settings and Secrets are complete".to_owned()),
        Err(error) => ("Incomplete", chain(error)),
    };
    let path = format!("/hooks/{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    let (webhook_reason, webhook_message) = match &findings.webhook {
        Ok(()) => ("Accepting", format!("deliveries are accepted at {path}")),
        Err(why) => (why.reason, why.message.clone()),
    };
    let claims = [
        Claim {
            kind: "Ready",
            holds: Some(findings.ready.is_ok()),
            reason: ready_reason,
            message: &ready_message,
        },
        Claim {
            kind: "WebhookReady",
            holds: Some(findings.webhook.is_ok()),
            reason: webhook_reason,
            message: &webhook_message,
        },
    ];
    status.conditions = conditions(&status.conditions, &claims, object.metadata.generation, &Time(Timestamp::now()));
    status.observed_generation = object.metadata.generation;
    status.webhook_path = findings.webhook.is_ok().then_some(path);
    status.message = Some(if findings.ready.is_err() { ready_message } else { webhook_message });
    status
}

#[cfg(test)]
mod tests;
