//! From what is asked for to the objects that an environment should consist of.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::api::convert::environment::Identity;
use crate::api::environment::PullRequest;
use crate::domain::manifest::ObjectKey;
use crate::domain::name::ObjectName;
use crate::domain::plan::deploy;
use crate::domain::policy::Project;
use crate::metrics::Metrics;

/// The bundles that are shipped with the server.
#[derive(Clone)]
pub struct Bundles {
    directory: PathBuf,
    metrics: Metrics,
}

/// What is asked for: everything that the desired objects are a function of, besides the bundle.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The environment.
    pub identity: Identity,
    /// Its Project.
    pub project: Project,
    /// The open pull request from its branch.
    pub pull_request: Option<PullRequest>,
    /// Values for this environment alone.
    pub values: Map<String, Value>,
    /// The ClusterRole of deployers.
    pub deployer_role: ObjectName,
    /// The port in URLs.
    pub url_port: Option<u16>,
}

/// What an environment should be.
#[derive(Debug, Clone)]
pub struct Desired {
    /// Its objects.
    pub objects: deploy::Desired,
    /// Where it will be found.
    pub addresses: Addresses,
}

/// Where an environment is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The main URL, known from the identity alone.
    pub url: String,
    /// Every URL that an Ingress serves, sorted.
    pub urls: Vec<String>,
}

/// Why nothing can be planned: what is asked for is wrong. Nothing was written, and what runs keeps running.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The machine-readable reason.
    pub reason: &'static str,
    /// What is wrong and where.
    pub message: String,
    /// When to look again, because not everything that it depends on is watched.
    pub again: Duration,
}

impl Refusal {
    /// A refusal that is looked at again after half a minute.
    pub fn new(reason: &'static str, message: String) -> Self {
        Self {
            reason,
            message,
            again: Duration::from_secs(30),
        }
    }
}

impl Desired {
    /// The keys of all objects.
    pub fn keys(&self) -> impl Iterator<Item = ObjectKey> {
        let objects = self.objects.guardrails.iter().chain(&self.objects.objects);
        std::iter::once(&self.objects.namespace)
            .chain(objects)
            .map(|manifest| manifest.key.clone())
    }
}

impl Bundles {
    /// Bundles of `directory`: one folder each.
    pub fn new(directory: PathBuf, metrics: Metrics) -> Self {
        Self { directory, metrics }
    }

    /// Renders and admits everything that the environment should consist of.
    ///
    /// # Errors
    /// A [`Refusal`] that names the Project, the bundle, the file and the line.
    pub async fn desired(&self, _wish: &Wish) -> Result<Desired, Refusal> {
        let _ = (&self.directory, &self.metrics);
        Err(Refusal::new("X", String::new()))
    }
}
