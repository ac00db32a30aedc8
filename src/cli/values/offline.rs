//! The values of a bundle on disk, without a cluster.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::project_file::{self, ProjectFileError, read_project};
use crate::cli::render::values::{Assignment, layers};
use crate::domain::bundle::{Bundle, Problem};
use crate::domain::git::BranchName;
use crate::domain::render::{Layer, Layered, layer_values, value_problems};
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

fn of_project(arguments: &Offline) -> Result<Vec<Layer>, ProjectFileError> {
    let (Some(path), Some(branch)) = (&arguments.project_file, &arguments.branch) else {
        return Ok(Vec::new());
    };
    project_file::layers(&read_project(path)?, branch, arguments.branch_file.as_deref())
}
