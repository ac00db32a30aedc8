//! What the settings and the Secrets of a GitHost make: its connection, and what its deliveries are signed with.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use secrecy::SecretString;

use super::{Error, Hosts};
use crate::api::GitHost as GitHostObject;
use crate::api::githost::{Provider, Webhook};
use crate::cluster::error::{chain, is_outage};
use crate::githost::GitHost;
use crate::githost::bitbucket;
use crate::githost::gitea::{self, Gitea};
use crate::githost::github::{self, Github};
use crate::githost::gitlab::{self, Gitlab};
use crate::githost::plain::{Credentials, PlainGit};

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

impl Hosts {
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

/// The text under a key of a Secret, without the line break that editors leave at its end.
pub(in crate::controller) fn text(secret: &Secret, key: &str) -> Result<SecretString, Error> {
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
