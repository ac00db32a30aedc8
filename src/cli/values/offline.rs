//! The values of a bundle on disk, without a cluster.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Map;

use crate::api::{self, convert};
use crate::cli::render::values::{Assignment, layers};
use crate::domain::bundle::{Bundle, Problem};
use crate::domain::git::BranchName;
use crate::domain::policy::Project;
use crate::domain::render::{Layer, Layered, layer_values, read_branch_file, value_problems};
use crate::render::load_directory;

/// The bundle, and what is laid over its values.
#[derive(Debug, Args)]
#[command(next_help_heading = "Without a cluster")]
pub struct Offline {
    /// Folder of the bundle
    #[arg(long, value_name = "FOLDER", required_unless_present = "wanted", conflicts_with = "wanted")]
    bundle: Option<PathBuf>,
    /// Manifest of the Project, for its values and rules
    #[arg(long, value_name = "FILE", requires_all = ["bundle", "branch"], conflicts_with = "wanted")]
    project_file: Option<PathBuf>,
    /// The branch, for the rules of the Project
    #[arg(long, value_name = "NAME", requires = "bundle", conflicts_with = "wanted")]
    branch: Option<BranchName>,
    /// The branch's .graftling.yaml, as far as the Project allows it
    #[arg(long, value_name = "FILE", requires = "project_file", conflicts_with = "wanted")]
    branch_file: Option<PathBuf>,
    /// YAML file with values; may be repeated
    #[arg(long, value_name = "FILE", requires = "bundle", conflicts_with = "wanted")]
    values: Vec<PathBuf>,
    /// One value, dots leading into mappings: web.replicas=2; may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "bundle", conflicts_with = "wanted")]
    set: Vec<Assignment>,
}

/// Why there are no values.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// A file that is not there or not text.
    #[error("could not read {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The manifest of a Project is none.
    #[error("{} is not the manifest of one Project", path.display())]
    ParseProject {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// The Project is not valid.
    #[error("the Project is not valid:\n  {}", _0.join("\n  "))]
    ConvertProject(Vec<String>),
    /// The branch's file is not valid, or sets what it may not.
    #[error("the branch may not set this:\n  {}", lines(_0))]
    ReadBranchFile(Vec<Problem>),
}

/// The values and what the bundle does not accept of them.
pub fn values(arguments: &Offline) -> anyhow::Result<(Layered, Vec<Problem>)> {
    let files = load_directory(arguments.bundle.as_deref().unwrap_or(Path::new(".")))?;
    let bundle = Bundle::parse(files.files()).map_err(|problems| crate::render::Error::ParseBundle { problems })?;
    let mut all = of_project(arguments)?;
    all.extend(layers(&arguments.values, &arguments.set)?);
    let layered = layer_values(bundle.values(), &all);
    let problems = value_problems(&bundle, &layered);
    Ok((layered, problems))
}

fn of_project(arguments: &Offline) -> Result<Vec<Layer>, OfflineError> {
    let (Some(path), Some(branch)) = (&arguments.project_file, &arguments.branch) else {
        return Ok(Vec::new());
    };
    let project = read_project(path)?;
    let file = arguments.branch_file.as_ref().filter(|_| !project.branch_file.is_empty());
    let file = file
        .map(|path| read_branch_file(&read(path)?, &project.branch_file).map_err(OfflineError::ReadBranchFile))
        .transpose()?;
    let mut layers = project.layers(branch, file, &Map::new());
    // There is no Environment.
    layers.pop();
    Ok(layers)
}

fn read_project(path: &Path) -> Result<Project, OfflineError> {
    let mut manifest: api::Project = serde_saphyr::from_slice(&read(path)?).map_err(|source| OfflineError::ParseProject {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    // Where it is applied to decides, and nothing here depends on it.
    manifest.metadata.namespace.get_or_insert_with(|| "default".to_owned());
    convert::project::project(&manifest).map_err(OfflineError::ConvertProject)
}

fn read(path: &Path) -> Result<Vec<u8>, OfflineError> {
    fs::read(path).map_err(|source| OfflineError::ReadFile {
        path: path.to_owned(),
        source,
    })
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n  ")
}
