//! Secrets that stages may name: in the Project's namespace, marked for it by a label.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::Around;
use super::outside::NoAnswer;
use crate::api::keys::FOR_STAGES_LABEL;
use crate::cluster::error::chain;
use crate::controller::hosts::text;

/// Reads marked Secrets as the server, which may read by name where Projects live. Cheap to clone.
#[derive(Clone)]
pub(super) struct Secrets {
    client: Client,
}

/// Credentials for a registry.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) username: String,
    pub(super) password: SecretString,
}

impl Secrets {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The text under a key of a marked Secret.
    pub(super) async fn key(&self, around: &Around, name: &str, key: &str) -> Result<SecretString, NoAnswer> {
        let secret = self.of(around, name).await?;
        text(&secret, key).map_err(|error| NoAnswer::Refused(error.to_string()))
    }

    /// The text under a key of a marked Secret of a namespace in which Projects live.
    pub(super) async fn key_in(&self, namespace: &str, name: &str, key: &str) -> Result<SecretString, NoAnswer> {
        let secret = self.marked(namespace, name).await?;
        text(&secret, key).map_err(|error| NoAnswer::Refused(error.to_string()))
    }

    /// The credentials for a registry in a marked Secret of type `kubernetes.io/dockerconfigjson`.
    pub(super) async fn credentials(&self, around: &Around, name: &str, registry: &str) -> Result<Credentials, NoAnswer> {
        const KEY: &str = ".dockerconfigjson";
        let secret = self.of(around, name).await?;
        let config = text(&secret, KEY).map_err(|error| NoAnswer::Refused(error.to_string()))?;
        let problem = || NoAnswer::Refused(format!("Secret {name} has no credentials for {registry} under the key {KEY:?}"));
        credentials(config.expose_secret(), registry).ok_or_else(problem)
    }

    /// What code of strangers runs with gets no Secrets, whoever approved its commit.
    async fn of(&self, around: &Around, name: &str) -> Result<Secret, NoAnswer> {
        if around.commit.branch.pull_request().is_some() {
            let why = "environments of pull requests from forks get no Secrets of the Project";
            return Err(NoAnswer::Refused(why.to_owned()));
        }
        self.marked(around.deployer.namespace.as_str(), name).await
    }

    async fn marked(&self, namespace: &str, name: &str) -> Result<Secret, NoAnswer> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = match api.get_opt(name).await {
            Ok(Some(secret)) => secret,
            Ok(None) => return Err(NoAnswer::Refused(format!("Secret {name} does not exist in {namespace}"))),
            Err(error) => return Err(NoAnswer::Lost(format!("Secret {name} cannot be read: {}", chain(&error)))),
        };
        match secret.labels().get(FOR_STAGES_LABEL).map(String::as_str) {
            Some("true") => Ok(secret),
            _ => Err(NoAnswer::Refused(format!(
                "Secret {name} is not for stages: whoever may write it can give it the label {FOR_STAGES_LABEL}=true"
            ))),
        }
    }
}

/// The entry of a registry in a Docker configuration. Entries are keyed by host, by URL, or by the name that Docker Hub once had.
fn credentials(config: &str, registry: &str) -> Option<Credentials> {
    use base64::Engine;
    let config: Value = serde_json::from_str(config).ok()?;
    let is_of_registry = |key: &str| {
        let host = key.trim_start_matches("https://").trim_start_matches("http://");
        let host = host.split('/').next().unwrap_or_default();
        host == registry || registry == "docker.io" && host == "index.docker.io"
    };
    let (_, entry) = config.get("auths")?.as_object()?.iter().find(|(key, _)| is_of_registry(key))?;
    let field = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let (Some(username), Some(password)) = (field("username"), field("password")) {
        return Some(Credentials {
            username: username.to_owned(),
            password: password.to_owned().into(),
        });
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(field("auth")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Credentials {
        username: username.to_owned(),
        password: password.to_owned().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_t14_credentials_are_those_of_the_registry_alone() {
        let config = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "YTpiOmM="},
            "ghcr.io": {"username": "u", "password": "p"},
            "empty.example": {}
        }}"#;
        let found = |registry: &str| {
            let found = credentials(config, registry)?;
            Some((found.username, found.password.expose_secret().to_owned()))
        };
        assert_eq!(found("docker.io"), Some(("a".to_owned(), "b:c".to_owned())));
        assert_eq!(found("ghcr.io"), Some(("u".to_owned(), "p".to_owned())));
        for registry in ["quay.io", "empty.example", "evil-ghcr.io", "io"] {
            assert_eq!(found(registry), None, "{registry}");
        }
        assert!(credentials("no JSON", "ghcr.io").is_none());
    }
}
