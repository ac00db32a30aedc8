//! The tests that a bundle brings along: what a case of `tests/*.yaml` says, and how objects are compared with what it expects.
//!
//! A case is an environment that does not exist, and what its rendering must give. `tests/` is not part of a bundle's digest.

mod compare;
mod read;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Problem;
use crate::domain::git::{BranchName, PullRequest, RepositoryId, RepositoryName, Revision};
use crate::domain::manifest::AllowedKinds;
use crate::domain::name::{DomainName, EnvironmentName, Identity, Namespace, ProjectKey, ProjectName};
use crate::domain::policy::{ClaimPolicy, Permission};
use crate::domain::render::{Address, Layer, Origin, RenderContext, Scheme};

pub use compare::mismatches;
pub use read::parse;

/// The most cases of one file.
pub const MAX_CASES: usize = 100;

/// One case: an environment, and what its rendering gives.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// What it shows, unique in its file.
    pub name: String,
    /// The branch.
    #[serde(default = "default_branch")]
    pub branch: BranchName,
    /// The commit.
    #[serde(default = "default_revision")]
    pub revision: Revision,
    /// The open pull request from the branch; none is open if it is left out.
    #[serde(default)]
    pub pull_request: Option<OpenPullRequest>,
    /// The Project, where it matters.
    #[serde(default)]
    pub project: ProjectFacts,
    /// The name that templates see instead of the one computed from branch and Project.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// Values over the bundle's defaults.
    #[serde(default)]
    pub values: Map<String, Value>,
    /// Kinds that the Project allows beyond the ordinary ones, as `group/Kind`.
    #[serde(default)]
    pub allow_kinds: Vec<String>,
    /// Which things that a cluster has only once the Project lets its environments claim.
    #[serde(default)]
    pub allow_claims: Vec<Claim>,
    /// Whether nothing of the environment was ever applied.
    #[serde(default = "yes")]
    pub is_first_deploy: bool,
    /// What rendering gives.
    pub expect: Expectation,
}

/// A thing that a cluster has only once, as `policy.claims` of a Project names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Claim {
    /// Ports of every node, by Services.
    NodePorts,
    /// Ports of one node, by pods.
    HostPorts,
    /// Load balancers of the cloud, and their addresses.
    LoadBalancers,
    /// Volumes that exist or that the bundle makes.
    StaticVolumes,
}

/// A pull request as a case writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenPullRequest {
    /// Its number.
    pub number: u64,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// Its author's login.
    #[serde(default)]
    pub author: String,
    /// The branch to merge into.
    #[serde(default = "default_base")]
    pub base: String,
    /// Its labels.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// A Project as a case writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectFacts {
    /// Its name.
    pub name: ProjectName,
    /// Its namespace.
    pub namespace: Namespace,
    /// The domain above its environments' hosts.
    pub domain: DomainName,
    /// The repository as people write it.
    pub repository: RepositoryName,
}

/// What rendering gives. At least one field is set, and `error` excludes the others.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// A file below `tests/` with exactly the objects that are given.
    #[serde(default)]
    pub golden: Option<String>,
    /// How many objects are given.
    #[serde(default)]
    pub count: Option<usize>,
    /// What is said of single objects.
    #[serde(default)]
    pub objects: Vec<ExpectedObject>,
    /// A part of the error that is given instead.
    #[serde(default)]
    pub error: Option<String>,
}

/// What is said of one object.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedObject {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its API version, where that matters.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Whether there is no such object.
    #[serde(default)]
    pub absent: bool,
    /// A part of it: each key is there with this value; of a list, each entry is there in this order, maybe with others between.
    #[serde(default)]
    pub contains: Map<String, Value>,
    /// Fields that it does not have, for example `spec.tls` or `spec.rules[0].http`.
    #[serde(default)]
    pub without: Vec<String>,
}

// === impl Case ===

impl Case {
    /// The fields, as they are written.
    const FIELDS: [&'static str; 11] = [
        "name",
        "branch",
        "revision",
        "pullRequest",
        "project",
        "environment",
        "values",
        "allowKinds",
        "allowClaims",
        "isFirstDeploy",
        "expect",
    ];

    /// A case that gives nothing but the bundle's default values.
    pub fn of_defaults() -> Self {
        Self {
            name: "default values".to_owned(),
            branch: default_branch(),
            revision: default_revision(),
            pull_request: None,
            project: ProjectFacts::default(),
            environment: None,
            values: Map::new(),
            allow_kinds: Vec::new(),
            allow_claims: Vec::new(),
            is_first_deploy: true,
            expect: Expectation::default(),
        }
    }

    /// What the Project of the case allows. The kinds have been checked when the case was read.
    pub fn allowed(&self) -> AllowedKinds {
        let permission = |claim| match self.allow_claims.contains(&claim) {
            true => Permission::Allow,
            false => Permission::Deny,
        };
        let kinds = self.allow_kinds.iter().filter_map(|kind| kind.parse().ok());
        AllowedKinds::with(kinds).claims(ClaimPolicy {
            node_ports: permission(Claim::NodePorts),
            host_ports: permission(Claim::HostPorts),
            load_balancers: permission(Claim::LoadBalancers),
            static_volumes: permission(Claim::StaticVolumes),
        })
    }

    /// What templates see. The environment's name is the one that the server would compute, unless the case gives it.
    pub fn context(&self) -> RenderContext {
        let key = ProjectKey {
            namespace: self.project.namespace.clone(),
            name: self.project.name.clone(),
        };
        let repository_id: RepositoryId = fixed("example/example");
        let computed = || {
            EnvironmentName::compute(Identity {
                host_url: "https://git.example.com",
                repository: &repository_id,
                branch: &self.branch,
                project: &key,
            })
        };
        RenderContext {
            branch: self.branch.clone(),
            revision: self.revision.clone(),
            pull_request: self.pull_request.as_ref().map(|open| open.of(&self.branch)),
            environment: self.environment.clone().unwrap_or_else(computed),
            repository_id,
            repository_name: self.project.repository.clone(),
            project: key,
            address: Address {
                scheme: Scheme::Https,
                domain: self.project.domain.clone(),
                port: None,
            },
            is_first_deploy: self.is_first_deploy,
            values: vec![Layer::new(Origin::Project, self.values.clone())],
        }
    }
}

impl OpenPullRequest {
    fn of(&self, branch: &BranchName) -> PullRequest {
        let mut labels = self.labels.clone();
        labels.sort();
        PullRequest {
            number: self.number,
            head: branch.clone(),
            fork: None,
            base: self.base.clone(),
            author: self.author.clone(),
            title: self.title.clone(),
            labels,
            draft: false,
        }
    }
}

impl Default for ProjectFacts {
    fn default() -> Self {
        Self {
            name: fixed("example"),
            namespace: fixed("default"),
            domain: fixed("preview.example.com"),
            repository: fixed("example/example"),
        }
    }
}

fn default_branch() -> BranchName {
    fixed("feature/example")
}

fn default_revision() -> Revision {
    fixed("0123456789abcdef0123456789abcdef01234567")
}

fn default_base() -> String {
    "main".to_owned()
}

fn yes() -> bool {
    true
}

/// A name that is written in this file and legal.
#[expect(clippy::unwrap_used, reason = "the texts are constants, and a test reads them all")]
fn fixed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}
