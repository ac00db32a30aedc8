//! A GitHost as the command line sets it up: with the caller's own rights in the cluster, and the GitHost's own credentials at its host.

use kube::ResourceExt;
use secrecy::SecretString;

use super::{Access, Error, Scope};
use crate::api::GitHost;
use crate::api::convert::githost::provider;
use crate::cluster::error::chain;
use crate::controller::hosts::{self, Connected, Hosts};
use crate::domain::git::{Provider, RepositoryName};
use crate::domain::name::{Namespace, ObjectName};
use crate::domain::setup::{Endpoint, Finding, ping_finding, unreachable_finding, webhook_findings};
use crate::githost;
use crate::githost::endpoint::Endpoints;
use crate::githost::ping::{PingError, ping};
use crate::githost::setup::{Installed, WantedWebhook};

/// A GitHost and everything that it names.
pub struct SetUp {
    name: String,
    provider: Provider,
    connected: Result<Connected, hosts::Error>,
    /// None: the GitHost names no secret.
    secret: Option<Result<SecretString, hosts::Error>>,
    repositories: Vec<RepositoryName>,
    path: String,
}

/// Why a webhook was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The GitHost or one of its Secrets cannot be used.
    #[error("could not install the webhook: the GitHost is not ready")]
    Connect(#[source] hosts::Error),
    /// There is nothing to sign deliveries with.
    #[error("could not install the webhook: the GitHost has no spec.webhook.secret, and an unsigned delivery is never believed")]
    FindSecret,
    /// The host did not do it.
    #[error("could not install the webhook; {next}")]
    Install {
        /// What to do.
        next: String,
        /// What it said.
        #[source]
        source: githost::Error,
    },
}

/// What an installation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The host has the webhook.
    Done(Installed),
    /// This kind of host has none that could be installed from afar: the command that installs a hook beside the repository.
    ByHand(String),
}

impl Access {
    /// Reads a GitHost, its Secrets and the Projects that name it; `None` when there is no such GitHost.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn set_up(&self, namespace: &Namespace, name: &ObjectName) -> Result<Option<SetUp>, Error> {
        let Some(object) = self.git_host(namespace, name).await? else {
            return Ok(None);
        };
        let projects = self.projects(&Scope::Namespace(namespace.clone())).await?;
        let of_host = projects.iter().filter(|project| project.spec.git_host_ref.name == name.as_str());
        let mut repositories: Vec<RepositoryName> = of_host.filter_map(|project| project.spec.repository.parse().ok()).collect();
        repositories.sort();
        repositories.dedup();
        let hosts = Hosts::new(self.client.clone(), Endpoints::default(), None);
        Ok(Some(SetUp {
            name: object.name_any(),
            provider: provider(object.spec.provider).unwrap_or(Provider::Git),
            connected: hosts.make_connection(&object).await,
            secret: webhook_secret(&hosts, &object).await,
            repositories,
            path: format!("/hooks/{namespace}/{name}"),
        }))
    }
}

async fn webhook_secret(hosts: &Hosts, object: &GitHost) -> Option<Result<SecretString, hosts::Error>> {
    match &object.spec.webhook {
        Some(webhook) => Some(hosts.webhook_secret(object, webhook).await),
        None => None,
    }
}

impl SetUp {
    /// The kind of host.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The repositories of the Projects that name this GitHost.
    pub fn repositories(&self) -> &[RepositoryName] {
        &self.repositories
    }

    /// Looks at everything: credentials, what they may do with each repository, its webhook, and the server's endpoint.
    ///
    /// # Guarantees
    /// Nothing is changed, at the host or in the cluster, and no secret is in a finding.
    pub async fn check(&self, repositories: &[RepositoryName], server: Option<&str>) -> Vec<Finding> {
        let endpoint = self.endpoint(server);
        let mut findings = vec![self.about_secret()];
        let mut delivers_to = None;
        match &self.connected {
            Ok(connected) => {
                findings.push(Finding::new("settings").good("settings and Secrets are complete"));
                for repository in repositories {
                    let found = self.about_repository(connected, repository, &endpoint, &mut delivers_to).await;
                    findings.extend(found);
                }
            }
            Err(error) => {
                let next = "write the Secret that spec.credentials names, with the keys that the provider needs";
                findings.push(Finding::new("settings").missing(chain(error), next));
            }
        }
        if repositories.is_empty() {
            let finding = Finding::new("repositories").unknown("no Project names this GitHost");
            findings.push(finding.then("give --repository, or create a Project"));
        }
        findings.push(self.about_endpoint(endpoint.url.or(delivers_to)).await);
        findings
    }

    /// Makes the webhook of a repository, or makes it right.
    ///
    /// # Errors
    /// An [`InstallError`]; then nothing was changed, or it is unknown whether the host did it, and doing it again is safe.
    pub async fn install(&self, repository: &RepositoryName, server: &str) -> Result<Outcome, InstallError> {
        let endpoint = self.endpoint(Some(server));
        let url = endpoint.url.clone().unwrap_or_default();
        let connected = self.connected.as_ref().map_err(|error| InstallError::Connect(copy(error)))?;
        let secret = match &self.secret {
            Some(secret) => secret.as_ref().map_err(|error| InstallError::Connect(copy(error)))?,
            None => return Err(InstallError::FindSecret),
        };
        let Some(setup) = connected.host.setup() else {
            return Ok(Outcome::ByHand(by_hand(repository, &url)));
        };
        let wanted = WantedWebhook {
            endpoint,
            url,
            secret: secret.clone(),
        };
        let installed = setup.install_webhook(repository, &wanted).await;
        installed.map(Outcome::Done).map_err(|source| InstallError::Install {
            next: format!(
                "`graftling githost check {} --repository {repository}` tells what is missing",
                self.name
            ),
            source,
        })
    }

    fn endpoint(&self, server: Option<&str>) -> Endpoint {
        let url = server.map(|server| format!("{}{}", server.trim_end_matches('/'), self.path));
        Endpoint {
            path: self.path.clone(),
            url,
        }
    }

    fn about_secret(&self) -> Finding {
        let finding = Finding::new("webhook secret");
        match &self.secret {
            Some(Ok(_)) => finding.good("is there"),
            Some(Err(error)) => finding.missing(chain(error), "write the Secret that spec.webhook.secret names"),
            None => finding.missing(
                "spec.webhook.secret is not set: there is no endpoint, and changes are found by the sweep alone",
                "create a Secret with a random key `secret`, and name it in spec.webhook.secret of the GitHost",
            ),
        }
    }

    async fn about_repository(
        &self,
        connected: &Connected,
        repository: &RepositoryName,
        endpoint: &Endpoint,
        delivers_to: &mut Option<String>,
    ) -> Vec<Finding> {
        let Some(setup) = connected.host.setup() else {
            return self.about_plain(connected, repository, endpoint).await;
        };
        let mut findings: Vec<Finding> = match setup.capabilities(repository).await {
            Ok(found) => found.iter().map(|one| one.finding(self.provider, repository)).collect(),
            Err(error) => return vec![unanswered("repository", repository, &error)],
        };
        match setup.webhooks(repository).await {
            Ok(webhooks) => {
                *delivers_to = delivers_to.take().or_else(|| endpoint.own(&webhooks).map(|own| own.url.clone()));
                findings.extend(webhook_findings(endpoint, &self.name, repository, &webhooks));
            }
            Err(error) => findings.push(unanswered("webhook", repository, &error)),
        }
        findings
    }

    /// A plain Git host can only be read; its hook is a file beside the repository.
    async fn about_plain(&self, connected: &Connected, repository: &RepositoryName, endpoint: &Endpoint) -> Vec<Finding> {
        let read = match connected.host.repository(repository).await {
            Ok(_) => Finding::new("read the repository").of(repository).good("the credentials may"),
            Err(error) => unanswered("read the repository", repository, &error),
        };
        let url = endpoint.url.clone().unwrap_or_else(|| format!("https://GRAFTLING{}", self.path));
        let mut hook = Finding::new("hook")
            .of(repository)
            .good("lies beside the repository and cannot be seen from here");
        hook.state = crate::domain::setup::State::Optional;
        vec![read, hook.then(by_hand(repository, &url))]
    }

    async fn about_endpoint(&self, url: Option<String>) -> Finding {
        let Some(url) = url else {
            let finding = Finding::new("endpoint").unknown("was not looked at: the server's address is not known");
            return finding.then("give --server-url, the URL under which Git hosts reach graftling's webhook listener");
        };
        let Some(Ok(secret)) = &self.secret else {
            return Finding::new("endpoint").unknown("was not looked at: there is nothing to sign with");
        };
        match ping(self.provider, &url, secret).await {
            Ok(pong) => ping_finding(&url, pong.status, &pong.words),
            Err(error @ PingError::Exchange(_)) => unreachable_finding(&url, &chain(&error)),
            Err(error @ PingError::Prepare(_)) => Finding::new("endpoint").missing(chain(&error), "give another --server-url"),
        }
    }
}

/// The command that installs the hook of a plain Git repository.
fn by_hand(repository: &RepositoryName, url: &str) -> String {
    format!("where the bare repository lies: graftling hook install FOLDER --repository {repository} --url {url} --secret-file FILE")
}

fn unanswered(about: &str, repository: &RepositoryName, error: &githost::Error) -> Finding {
    let finding = Finding::new(about).of(repository);
    match error.class() {
        githost::Class::NeedsAttention => {
            finding.missing(chain(error), "check the GitHost's url, the repository's name and the credentials")
        }
        githost::Class::Transient | githost::Class::RateLimited(_) => finding.unknown(chain(error)).then("try again"),
    }
}

/// The same error in words: the value stays with the GitHost.
fn copy(error: &hosts::Error) -> hosts::Error {
    hosts::Error::Secret { problem: chain(error) }
}
