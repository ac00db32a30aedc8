//! Everything that a template can see.

mod table;
mod view;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::git::{BranchName, PullRequest, RepositoryId, RepositoryName, Revision};
use crate::domain::name::{DomainName, EnvironmentName, ProjectKey};
pub use table::context_page;
use view::View;

/// How long the context's `slug` may be: short enough to stand in a name beside other parts.
const SLUG_LENGTH: usize = 40;

/// What is known of an environment when its bundle is rendered.
#[derive(Clone, Serialize, Deserialize)]
pub struct RenderContext {
    /// The branch.
    #[serde(deserialize_with = "BranchName::read_stored")]
    pub branch: BranchName,
    /// The commit that the environment shall show.
    pub revision: Revision,
    /// The open pull request from this branch, if there is one.
    pub pull_request: Option<PullRequest>,
    /// The repository's identifier at its host.
    pub repository_id: RepositoryId,
    /// The repository as people write it.
    pub repository_name: RepositoryName,
    /// The Project.
    pub project: ProjectKey,
    /// The environment's name, which is its namespace's name, too.
    pub environment: EnvironmentName,
    /// Where the Project's environments are reached.
    pub address: Address,
    /// Whether no other revision was ever applied to this environment.
    pub is_first_deploy: bool,
    /// Values to lay over the bundle's defaults, weakest first.
    pub values: Vec<Layer>,
}

/// Values from one place, to be laid over weaker ones.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Where they were written.
    pub origin: Origin,
    /// The values.
    pub values: Map<String, Value>,
}

/// Where values were written, weakest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The bundle's `values.yaml`.
    Bundle,
    /// The Project's `spec.values`.
    Project,
    /// A rule of the Project, by the glob that matched the branch.
    Rule(String),
    /// The file `.graftling.yaml` of the branch.
    BranchFile,
    /// The Environment's `spec.values`.
    Environment,
    /// A file named on the command line.
    File(String),
    /// A value on the command line.
    Argument,
}

/// How a browser reaches the environments of a Project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Which kind of URL.
    pub scheme: Scheme,
    /// The domain right above the environments' hosts.
    pub domain: DomainName,
    /// A port other than the scheme's own, as a demo on one machine needs it.
    pub port: Option<u16>,
}

/// The scheme of an environment's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    #[default]
    Https,
}

// === impl Address ===

impl Address {
    /// `<name>.<domain>`.
    pub fn host(&self, environment: &EnvironmentName) -> String {
        format!("{environment}.{}", self.domain)
    }

    /// The URL of an environment, known before anything of it exists.
    pub fn url(&self, environment: &EnvironmentName) -> String {
        let host = self.host(environment);
        match self.port {
            Some(port) => format!("{}://{host}:{port}", self.scheme),
            None => format!("{}://{host}", self.scheme),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

// === impl Layer ===

impl Layer {
    /// Values that were written at `origin`.
    pub fn new(origin: Origin, values: Map<String, Value>) -> Self {
        Self { origin, values }
    }
}

/// Values may hold secrets, so only where they came from is shown.
impl fmt::Debug for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Layer({:?})", self.origin)
    }
}

/// Worded to follow "from".
impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle => formatter.write_str("the bundle's values.yaml"),
            Self::Project => formatter.write_str("the Project's spec.values"),
            Self::Rule(glob) => write!(formatter, "the Project's rule for {glob}"),
            Self::BranchFile => formatter.write_str(".graftling.yaml of the branch"),
            Self::Environment => formatter.write_str("the Environment's spec.values"),
            Self::File(path) => formatter.write_str(path),
            Self::Argument => formatter.write_str("--set"),
        }
    }
}

// === impl RenderContext ===

/// Values may hold secrets, so only what identifies the context is shown.
impl fmt::Debug for RenderContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RenderContext")
            .field("environment", &self.environment)
            .field("branch", &self.branch)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl RenderContext {
    /// The names that templates use, with the merged values.
    ///
    /// # Errors
    /// A part of the view has no JSON form, which no part of it is known to lack.
    pub(super) fn to_json(&self, values: Map<String, Value>) -> serde_json::Result<Value> {
        serde_json::to_value(View::new(self, values))
    }

    /// The names that templates use, without the values.
    ///
    /// # Errors
    /// As [`Self::to_json`].
    pub(super) fn facts(&self) -> serde_json::Result<Value> {
        let mut names = self.to_json(Map::new())?;
        if let Some(names) = names.as_object_mut() {
            names.remove("values");
        }
        Ok(names)
    }
}
