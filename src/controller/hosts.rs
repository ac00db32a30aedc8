//! GitHosts: their connections, their webhook endpoints, and what their status says of both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, Client, ResourceExt};
use secrecy::SecretString;

use crate::api::convert::condition::{Claim, conditions};
use crate::api::githost::{Provider, Webhook};
use crate::api::{GitHost as GitHostObject, GitHostStatus};
use crate::cluster::error::{chain, is_outage};
use crate::cluster::publish::Publisher;
use crate::domain::git;
use crate::domain::name::GitHostKey;
use crate::githost::bitbucket;
use crate::githost::endpoint::{Endpoint, Endpoints};
use crate::githost::gitea::{self, Gitea};
use crate::githost::github::{self, Github};
use crate::githost::gitlab::{self, Gitlab};
use crate::githost::plain::{Credentials, PlainGit};
use crate::githost::{self, GitHost};

/// The connections to all GitHosts. Cheap to clone.
#[derive(Clone)]
pub struct Hosts {
    client: Client,
    endpoints: Endpoints,
    connections: Arc<Mutex<HashMap<GitHostKey, Connected>>>,
}

/// A connection, ready to be asked.
#[derive(Clone)]
pub struct Connected {
    /// The base URL, part of every environment's identity.
    pub url: String,
    /// Whether the host knows pull requests.
    pub tells_pull_requests: bool,
    /// Whether it costs no budget to hear that nothing has changed, as at GitHub for who has credentials.
    pub unchanged_is_free: bool,
    /// The connection.
    pub host: Arc<dyn GitHost>,
}

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
    webhook: Result<(), (&'static str, String)>,
}

impl Hosts {
    /// No connections yet; webhook endpoints go to `endpoints`.
    pub fn new(client: Client, endpoints: Endpoints) -> Self {
        Self {
            client,
            endpoints,
            connections: Arc::default(),
        }
    }

    /// The connection of `key`, if its GitHost exists and is complete.
    pub fn get(&self, key: &GitHostKey) -> Option<Connected> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Forgets a GitHost that is gone.
    pub fn remove(&self, object: &GitHostObject) {
        if let Ok(key) = key(object) {
            self.endpoints.remove(&key);
            self.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }

    /// Reads the Secrets of a GitHost anew and makes its connection and endpoint accordingly. `publisher` is given by the replica
    /// that leads: only that one writes the status.
    pub async fn refresh(&self, object: &GitHostObject, publisher: Option<&Publisher>) {
        let findings = match key(object) {
            Ok(key) => Findings {
                ready: self.connect(object, &key).await,
                webhook: self.open_endpoint(object, &key).await,
            },
            Err(error) => Findings {
                ready: Err(error),
                webhook: Err(("InvalidName", "this GitHost has no usable name".to_owned())),
            },
        };
        let Some(publisher) = publisher else { return };
        let status = status(object, &findings);
        if let Err(error) = publisher.status(object, object.status.as_ref(), &status).await {
            tracing::warn!(githost = %object.name_any(), error = %error.chain(), "could not write the status of a GitHost");
        }
    }

    async fn connect(&self, object: &GitHostObject, key: &GitHostKey) -> Result<(), Error> {
        let made = self.make_connection(object).await;
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// A connection as `object` says, by the Secret that it names.
    ///
    /// # Errors
    /// The Secret cannot be used, or the settings make no connection.
    pub async fn make_connection(&self, object: &GitHostObject) -> Result<Connected, Error> {
        let spec = &object.spec;
        let secret = match &spec.credentials {
            Some(reference) => Some(self.secret(object, &reference.name).await?),
            None => None,
        };
        let host: Arc<dyn GitHost> = match spec.provider {
            Provider::Github => {
                let mut settings = github::Settings::new(spec.url.clone());
                settings.api_url.clone_from(&spec.api_url);
                match &secret {
                    Some(secret) if has(secret, "privateKey") => settings.app = Some(app(secret)?),
                    Some(secret) => settings.token = Some(text(secret, "token")?),
                    None => {}
                }
                Arc::new(Github::connect(&settings).map_err(Error::Connect)?)
            }
            Provider::Gitlab => {
                let mut settings = gitlab::Settings::new(spec.url.clone());
                settings.api_url.clone_from(&spec.api_url);
                settings.token = secret.as_ref().map(|secret| text(secret, "token")).transpose()?;
                Arc::new(Gitlab::connect(&settings).map_err(Error::Connect)?)
            }
            Provider::Bitbucket => {
                let settings = bitbucket_settings(object, secret.as_ref())?;
                bitbucket::connect(&settings).map_err(Error::Connect)?
            }
            Provider::Gitea => {
                let mut settings = gitea::Settings::new(spec.url.clone());
                settings.api_url.clone_from(&spec.api_url);
                settings.token = secret.as_ref().map(|secret| text(secret, "token")).transpose()?;
                Arc::new(Gitea::connect(&settings).map_err(Error::Connect)?)
            }
            Provider::Git => {
                let credentials = secret.as_ref().map(basic_credentials).transpose()?;
                Arc::new(PlainGit::connect(&spec.url, credentials).map_err(Error::Connect)?)
            }
        };
        Ok(Connected {
            url: spec.url.clone(),
            unchanged_is_free: spec.provider == Provider::Github && secret.is_some(),
            tells_pull_requests: match spec.provider {
                Provider::Github | Provider::Gitlab | Provider::Bitbucket | Provider::Gitea => true,
                Provider::Git => false,
            },
            host,
        })
    }

    /// No secret, no endpoint: an unsigned delivery must never be believed. Where the API server does not tell the secret for now, the one
    /// that is known goes on: a delivery that is refused is lost, as few hosts send any twice.
    async fn open_endpoint(&self, object: &GitHostObject, key: &GitHostKey) -> Result<(), (&'static str, String)> {
        let mut is_kept = false;
        let opened = match &object.spec.webhook {
            None => Err((
                "NoWebhookSecret",
                "there is no webhook endpoint, because spec.webhook.secret is not set; changes are found by the sweep alone".to_owned(),
            )),
            Some(webhook) => self
                .webhook_secret(object, webhook)
                .await
                .inspect_err(|error| is_kept = error.is_outage())
                .map_err(|error| ("WebhookSecretUnusable", format!("there is no webhook endpoint: {}", chain(&error)))),
        };
        match opened {
            Ok(secret) => {
                let provider = match object.spec.provider {
                    Provider::Github => git::Provider::Github,
                    Provider::Gitlab => git::Provider::Gitlab,
                    Provider::Bitbucket => git::Provider::Bitbucket,
                    Provider::Gitea => git::Provider::Gitea,
                    Provider::Git => git::Provider::Git,
                };
                self.endpoints.set(key.clone(), Endpoint { provider, secret });
                Ok(())
            }
            Err(problem) => {
                if !is_kept {
                    self.endpoints.remove(key);
                }
                Err(problem)
            }
        }
    }

    /// What the deliveries of `object` are signed with.
    ///
    /// # Errors
    /// The Secret cannot be used.
    pub async fn webhook_secret(&self, object: &GitHostObject, webhook: &Webhook) -> Result<SecretString, Error> {
        let secret = self.secret(object, &webhook.secret.name).await?;
        text(&secret, &webhook.secret.key)
    }

    async fn secret(&self, object: &GitHostObject, name: &str) -> Result<Secret, Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let problem = match api.get_opt(name).await {
            Ok(Some(secret)) => return Ok(secret),
            Ok(None) => format!("Secret {name} does not exist"),
            Err(source) if is_outage(&source) => {
                let name = name.to_owned();
                return Err(Error::ReadSecret { name, source });
            }
            Err(error) => format!("Secret {name} cannot be read: {}", chain(&error)),
        };
        Err(Error::Secret { problem })
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

/// The text under a key of a Secret, without the line break that editors leave at its end.
pub(super) fn text(secret: &Secret, key: &str) -> Result<SecretString, Error> {
    let wrong = |what: &str| Error::Secret {
        problem: format!("Secret {} {what} key {key:?}", secret.name_any()),
    };
    let bytes = secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .ok_or_else(|| wrong("lacks the"))?;
    let text = std::str::from_utf8(&bytes.0).map_err(|_| wrong("has no text under the"))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(wrong("has nothing under the")),
        text => Ok(SecretString::from(text.to_owned())),
    }
}

fn has(secret: &Secret, key: &str) -> bool {
    secret.data.as_ref().is_some_and(|data| data.contains_key(key))
}

/// The GitHub App of a Secret that has its private key.
fn app(secret: &Secret) -> Result<github::App, Error> {
    use secrecy::ExposeSecret;
    let number = |key: &str| {
        let parsed = text(secret, key)?.expose_secret().trim().parse();
        parsed.map_err(|_| Error::Secret {
            problem: format!("Secret {} has no number under the key {key:?}", secret.name_any()),
        })
    };
    Ok(github::App {
        id: number("appId")?,
        installation: number("installationId")?,
        private_key: text(secret, "privateKey")?,
    })
}

fn bitbucket_settings(object: &GitHostObject, secret: Option<&Secret>) -> Result<bitbucket::Settings, Error> {
    use secrecy::ExposeSecret;
    let mut settings = bitbucket::Settings::new(object.spec.url.clone());
    settings.api_url.clone_from(&object.spec.api_url);
    if let Some(secret) = secret {
        settings.token = Some(text(secret, "token")?);
        if has(secret, "username") {
            settings.username = Some(text(secret, "username")?.expose_secret().to_owned());
        }
    }
    Ok(settings)
}

fn basic_credentials(secret: &Secret) -> Result<Credentials, Error> {
    use secrecy::ExposeSecret;
    Ok(Credentials {
        username: text(secret, "username")?.expose_secret().to_owned(),
        password: text(secret, "password")?,
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
        Err((reason, message)) => (*reason, message.clone()),
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
