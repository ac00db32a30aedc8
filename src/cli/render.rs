//! `graftling render`: what a bundle would give for a branch, without a cluster, a Git host or a clock.

mod bundle;
mod project;
pub(super) mod values;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::Value;

use self::project::{Project, Settled};
use self::values::{Assignment, layers};
use super::diagnostics;
use super::helm;
use super::output::{json, print};
use crate::domain::bundle::Problem;
use crate::domain::git::{BranchName, Revision};
use crate::domain::manifest::{self, Admission, GroupKind, Manifest, Refusal};
use crate::domain::render::{Layer, RenderContext};
use crate::render::{Renderer, RendererSettings};

/// What holds for the whole command.
pub const HELP: &str = "\
The output is the same, byte for byte, whenever the input is. The environment's name is computed as
the server does from --host-url, --repository, --branch, --namespace and --project: give all five
to get the very name; the defaults stand for a repository that does not exist.
A value given by --set is JSON if it reads as JSON (2, true, null, [1, 2], \"2\"), else a text.
Values are laid over the bundle's defaults in their order, files first; null takes a value away.
With --project-file, its values and rules come before those, and its policy says what is allowed;
an option given beside it wins.";

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

/// The form in which the outcome is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// YAML documents
    #[default]
    Yaml,
    /// A list
    Json,
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
            let objects: Vec<&Value> = manifests.iter().map(|manifest| &*manifest.body).collect();
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
    let project = arguments.project.settle(&arguments.branch, &arguments.allow_kind)?;
    let kinds = project.kinds.clone();
    let context = context(arguments, project, layers);
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
        kinds: &kinds,
    };
    let admitted = manifest::admit(rendered.documents, &admission).and_then(|manifests| {
        let refusals = rendered
            .pipeline
            .map(|pipeline| pipeline.check_outputs(&manifests))
            .unwrap_or_default();
        if refusals.is_empty() { Ok(manifests) } else { Err(refusals) }
    });
    admitted.map_err(|refusals| refused(&arguments.bundle, &refusals).into())
}

/// The templates are read once more: only what is refused needs their text.
fn refused(bundle: &Path, refusals: &[Refusal]) -> RenderError {
    let problem = |refusal: &Refusal| {
        let text = std::fs::read_to_string(bundle.join(&refusal.source_place.file)).ok();
        diagnostics::problem_of(refusal, text.as_deref())
    };
    RenderError::AdmitObjects(refusals.iter().map(problem).collect())
}

fn context(arguments: &Arguments, project: Settled, values: Vec<Layer>) -> RenderContext {
    RenderContext {
        branch: arguments.branch.clone(),
        revision: arguments.revision.clone(),
        pull_request: None,
        repository_id: project.repository_id,
        repository_name: project.repository_name,
        project: project.key,
        environment: project.environment,
        address: project.address,
        is_first_deploy: true,
        values: project.values.into_iter().chain(values).collect(),
    }
}
