//! What surrounds an errand: whose it is, and how far it may reach.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::convert::environment::Identity;
use crate::cluster::connection::Deployer;
use crate::controller::desired::Addresses;
use crate::domain::git::{Commit, RepositoryName};
use crate::domain::name::{GitHostKey, Namespace};
use crate::domain::policy::{Mirror, Outbound, Project};
use crate::domain::run::RunNumber;

/// What surrounds an errand. The same for all errands of one pass.
#[derive(Debug, Clone)]
pub struct Around {
    /// The environment's namespace.
    pub namespace: Namespace,
    /// Who reads in it.
    pub deployer: Deployer,
    /// The environment's own hosts, without ports.
    pub hosts: Vec<String>,
    /// The main URL.
    pub url: String,
    /// Which hosts of others may be called.
    pub outbound: Outbound,
    /// The GitHost.
    pub git_host: GitHostKey,
    /// The repository.
    pub repository: RepositoryName,
    /// The same repository elsewhere.
    pub mirrors: Vec<Mirror>,
    /// The wished commit.
    pub commit: Commit,
    /// The facts that a webhook is told unless it is told something else.
    pub facts: Value,
}

impl Around {
    /// What surrounds the errands of an environment in a run.
    pub fn new(identity: &Identity, project: &Project, addresses: &Addresses, run: RunNumber) -> Arc<Self> {
        let host = |url: &String| {
            let url = reqwest::Url::parse(url).ok()?;
            url.host_str().map(str::to_owned)
        };
        let mut hosts: Vec<String> = std::iter::once(&addresses.url).chain(&addresses.urls).filter_map(host).collect();
        hosts.sort();
        hosts.dedup();
        Arc::new(Self {
            namespace: identity.name.namespace(),
            deployer: Deployer {
                namespace: project.key.namespace.clone(),
                name: project.deployer.clone(),
            },
            hosts,
            url: addresses.url.clone(),
            outbound: project.outbound.clone(),
            git_host: project.host.clone(),
            repository: project.repository.clone(),
            mirrors: project.mirrors.clone(),
            commit: Commit {
                branch: identity.branch.clone(),
                revision: identity.revision.clone(),
            },
            facts: json!({
                "environment": identity.name.as_str(),
                "project": project.key.name.as_str(),
                "repository": project.repository.as_str(),
                "branch": identity.branch.as_str(),
                "revision": identity.revision.as_str(),
                "url": addresses.url,
                "run": run.0,
            }),
        })
    }
}
