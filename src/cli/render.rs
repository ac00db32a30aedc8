//! `graftling render`: what a bundle would give for a branch, without a cluster, a Git host or a clock.

mod bundle;
pub(super) mod values;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::Value;

use self::values::{Assignment, layers};
use super::diagnostics;
use super::helm;
use super::output::{json, print};
use crate::domain::bundle::Problem;
use crate::domain::git::{BranchName, RepositoryId, RepositoryName, Revision};
use crate::domain::manifest::{self, Admission, AllowedKinds, GroupKind, Manifest, Refusal};
use crate::domain::name::{DomainName, EnvironmentName, Identity, Namespace, ProjectKey, ProjectName};
use crate::domain::render::{self as engine, Address, Layer, RenderContext};
use crate::render::{Renderer, RendererSettings};

/// What holds for the whole command.
pub const HELP: &str = "\
The output is the same, byte for byte, whenever the input is. The environment's name is computed as
the server does from --host-url, --repository, --branch, --namespace and --project: give all five
to get the very name; the defaults stand for a repository that does not exist.
A value given by --set is JSON if it reads as JSON (2, true, null, [1, 2], \"2\"), else a text.
Values are laid over the bundle's defaults in their order, files first; null takes a value away.";

/// The bundle, the branch, and what else a template can see.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of the bundle, or its .tgz file
    #[arg(long, value_name = "PATH")]
    bundle: PathBuf,
    /// The branch
    #[arg(long, value_name = "NAME")]
    branch: BranchName,
    /// The commit, in full
    #[arg(long, value_name = "SHA", default_value = "0123456789abcdef0123456789abcdef01234567")]
    revision: Revision,
    /// YAML file with values; may be repeated
    #[arg(long, value_name = "FILE")]
    values: Vec<PathBuf>,
    /// One value, dots leading into mappings: web.replicas=2; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Assignment>,
    /// Kind that the Project allows beyond the ordinary ones, as group/Kind; may be repeated
    #[arg(long, value_name = "GROUP/KIND")]
    allow_kind: Vec<GroupKind>,
    /// What to print: YAML for people, or JSON: a list of the objects, or of the problems
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    helm: helm::Helm,
    #[command(flatten)]
    project: Project,
}

/// The Project as it would stand in the cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Project")]
struct Project {
    /// Name of the Project
    #[arg(long, value_name = "NAME", default_value = "example")]
    project: ProjectName,
    /// Namespace of the Project
    #[arg(long, value_name = "NAMESPACE", default_value = "default")]
    namespace: Namespace,
    /// Domain below which environments get their hosts
    #[arg(long, value_name = "DOMAIN", default_value = "preview.example.com")]
    domain: DomainName,
    /// Scheme of the environments' URLs: https or http
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    scheme: Scheme,
    /// Port of the environments' URLs [default: the scheme's own]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    url_port: Option<u16>,
    /// The repository's identifier at its host
    #[arg(long, value_name = "ID", default_value = "example/example")]
    repository: RepositoryId,
    /// The repository as people write it
    #[arg(long, value_name = "NAME", default_value = "example/example")]
    repository_name: RepositoryName,
    /// URL of the Git host
    #[arg(long, value_name = "URL", default_value = "https://git.example.com")]
    host_url: String,
}

/// The form in which the outcome is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// YAML documents
    #[default]
    Yaml,
    /// A list
    Json,
}

/// The scheme of the environments' URLs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Scheme {
    /// With TLS
    #[default]
    Https,
    /// Without TLS
    Http,
}

/// Why there is nothing to print.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// What the templates give may not be applied.
    #[error("the bundle gives what may not be applied:{}", Lines(_0))]
    AdmitObjects(Vec<Problem>),
    /// The problems were written to standard output.
    #[error("the bundle has {0} problem(s): see standard output")]
    ReportProblems(usize),
}

/// One indented line for each.
struct Lines<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Lines<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(formatter, "\n  {line}"))
    }
}

/// Prints the objects of the environment in the order in which they would be applied.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let rendered = manifests(&arguments).await;
    match (arguments.output, rendered) {
        (Output::Yaml, manifests) => print(&manifest::to_yaml(&manifests?))?,
        (Output::Json, Ok(manifests)) => {
            let objects: Vec<&Value> = manifests.iter().map(|manifest| &manifest.body).collect();
            print(&json(&objects)?)?;
        }
        (Output::Json, Err(error)) => {
            let problems = diagnostics::problems_of(&error);
            if problems.is_empty() {
                return Err(error);
            }
            print(&json(&problems)?)?;
            return Err(RenderError::ReportProblems(problems.len()).into());
        }
    }
    Ok(())
}

async fn manifests(arguments: &Arguments) -> anyhow::Result<Vec<Manifest>> {
    let files = Arc::new(bundle::load(&arguments.bundle)?);
    let layers = layers(&arguments.values, &arguments.set)?;
    let context = context(arguments, layers);
    let renderer = Renderer::new(RendererSettings {
        helm: arguments.helm.clone().into(),
        ..RendererSettings::for_one_command()
    });
    let rendered = renderer.render(&files, context.clone()).await?;
    let admission = Admission {
        namespace: &context.environment.namespace(),
        environment: &context.environment,
        project: &context.project,
        domain: &context.address.domain,
        kinds: &AllowedKinds::with(arguments.allow_kind.iter().cloned()),
    };
    manifest::admit(rendered.documents, &admission).map_err(|refusals| refused(&arguments.bundle, &refusals).into())
}

/// The templates are read once more: only what is refused needs their text.
fn refused(bundle: &Path, refusals: &[Refusal]) -> RenderError {
    let problem = |refusal: &Refusal| {
        let text = std::fs::read_to_string(bundle.join(&refusal.source_place.file)).ok();
        diagnostics::problem_of(refusal, text.as_deref())
    };
    RenderError::AdmitObjects(refusals.iter().map(problem).collect())
}

fn context(arguments: &Arguments, values: Vec<Layer>) -> RenderContext {
    let project = &arguments.project;
    let key = ProjectKey {
        namespace: project.namespace.clone(),
        name: project.project.clone(),
    };
    let environment = EnvironmentName::compute(Identity {
        host_url: &project.host_url,
        repository: &project.repository,
        branch: &arguments.branch,
        project: &key,
    });
    RenderContext {
        branch: arguments.branch.clone(),
        revision: arguments.revision.clone(),
        pull_request: None,
        repository_id: project.repository.clone(),
        repository_name: project.repository_name.clone(),
        project: key,
        environment,
        address: Address {
            scheme: project.scheme.into(),
            domain: project.domain.clone(),
            port: project.url_port,
        },
        is_first_deploy: true,
        values,
    }
}

impl From<Scheme> for engine::Scheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Https => Self::Https,
            Scheme::Http => Self::Http,
        }
    }
}
