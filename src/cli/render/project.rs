//! The Project of `graftling render`: its manifest, if there is one, and the flags given beside it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::project_file::{self, ProjectFileError, read_project};
use crate::domain::git::{BranchName, RepositoryId, RepositoryName};
use crate::domain::manifest::{AllowedKinds, GroupKind};
use crate::domain::name::{DomainName, EnvironmentName, Identity, NameError, Namespace, ProjectKey, ProjectName};
use crate::domain::policy;
use crate::domain::render::{self as engine, Address, Layer};

/// The Project as it would stand in the cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Project")]
pub struct Project {
    /// Manifest of the Project, for what the other options do not say: names, addresses, values and policy
    #[arg(long, value_name = "FILE")]
    project_file: Option<PathBuf>,
    /// Name of the Project [default: example]
    #[arg(long, value_name = "NAME")]
    project: Option<ProjectName>,
    /// Namespace of the Project [default: default]
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<Namespace>,
    /// Domain below which environments get their hosts [default: preview.example.com]
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<DomainName>,
    /// Scheme of the environments' URLs: https or http [default: https]
    #[arg(long, value_enum, hide_possible_values = true)]
    scheme: Option<Scheme>,
    /// Port of the environments' URLs [default: the scheme's own]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    url_port: Option<u16>,
    /// The repository's identifier at its host
    #[arg(long, value_name = "ID", default_value = "example/example")]
    repository: RepositoryId,
    /// The repository as people write it [default: example/example]
    #[arg(long, value_name = "NAME")]
    repository_name: Option<RepositoryName>,
    /// URL of the Git host
    #[arg(long, value_name = "URL", default_value = "https://git.example.com")]
    host_url: String,
}

/// The scheme of the environments' URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scheme {
    /// With TLS
    Https,
    /// Without TLS
    Http,
}

/// Why there is no Project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// Its manifest cannot be read.
    #[error(transparent)]
    ReadProject(ProjectFileError),
    /// Its manifest allows something that is no kind.
    #[error("spec.policy of the Project allows what is no kind")]
    AllowKinds(#[source] NameError),
}

/// What a rendering needs of a Project.
#[derive(Debug)]
pub struct Settled {
    /// Which one it is.
    pub key: ProjectKey,
    /// The environment of the branch.
    pub environment: EnvironmentName,
    /// Where environments are found.
    pub address: Address,
    /// The repository at its host.
    pub repository_id: RepositoryId,
    /// The repository as people write it.
    pub repository_name: RepositoryName,
    /// Which kinds may be used.
    pub kinds: AllowedKinds,
    /// The Project's values for the branch.
    pub values: Vec<Layer>,
}

impl Project {
    /// What holds for a branch: the flags before the manifest, the manifest before the defaults.
    ///
    /// # Errors
    /// The manifest cannot be read or is not valid.
    pub fn settle(&self, branch: &BranchName, kinds: &[GroupKind]) -> Result<Settled, ProjectError> {
        let project = self.project_file.as_deref().map(read_project).transpose();
        let project = project.map_err(ProjectError::ReadProject)?;
        let project = project.as_ref();
        let example = Example::default();
        let key = ProjectKey {
            namespace: pick(
                &self.namespace,
                project.map(|project| &project.key.namespace),
                example.key.namespace,
            ),
            name: pick(&self.project, project.map(|project| &project.key.name), example.key.name),
        };
        let scheme = project.map(|project| if project.https { Scheme::Https } else { Scheme::Http });
        Ok(Settled {
            environment: EnvironmentName::compute(Identity {
                host_url: &self.host_url,
                repository: &self.repository,
                branch,
                project: &key,
            }),
            key,
            address: Address {
                scheme: pick(&self.scheme, scheme.as_ref(), Scheme::Https).into(),
                domain: pick(&self.domain, project.map(|project| &project.domain), example.domain),
                port: self.url_port,
            },
            repository_id: self.repository.clone(),
            repository_name: pick(
                &self.repository_name,
                project.map(|project| &project.repository),
                example.repository_name,
            ),
            kinds: allowed(project, kinds).map_err(ProjectError::AllowKinds)?,
            values: match project {
                Some(project) => project_file::layers(project, branch, None).map_err(ProjectError::ReadProject)?,
                None => Vec::new(),
            },
        })
    }
}

/// A Project that does not exist.
struct Example {
    key: ProjectKey,
    domain: DomainName,
    repository_name: RepositoryName,
}

impl Default for Example {
    fn default() -> Self {
        let facts = crate::domain::bundle::case::ProjectFacts::default();
        Self {
            key: ProjectKey {
                namespace: facts.namespace,
                name: facts.name,
            },
            domain: facts.domain,
            repository_name: facts.repository,
        }
    }
}

fn allowed(project: Option<&policy::Project>, kinds: &[GroupKind]) -> Result<AllowedKinds, NameError> {
    let of_project = project.map_or_else(|| Ok(AllowedKinds::default()), AllowedKinds::of)?;
    Ok(of_project.and(kinds.iter().cloned()))
}

fn pick<T: Clone>(flag: &Option<T>, manifest: Option<&T>, default: T) -> T {
    flag.as_ref().or(manifest).cloned().unwrap_or(default)
}

impl From<Scheme> for engine::Scheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Https => Self::Https,
            Scheme::Http => Self::Http,
        }
    }
}
