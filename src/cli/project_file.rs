//! The manifest of a Project on disk, for commands that work without a cluster.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Map;

use crate::api::{self, convert};
use crate::domain::bundle::Problem;
use crate::domain::git::BranchName;
use crate::domain::policy::Project;
use crate::domain::render::{Layer, read_branch_file};

/// Why a Project, or what a branch lays over it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProjectFileError {
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

/// Reads the manifest of one Project. Without a namespace of its own it is one of `default`, as kubectl would have it.
///
/// # Errors
/// See [`ProjectFileError`].
pub fn read_project(path: &Path) -> Result<Project, ProjectFileError> {
    let mut manifest: api::Project = serde_saphyr::from_slice(&read(path)?).map_err(|source| ProjectFileError::ParseProject {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    manifest.metadata.namespace.get_or_insert_with(|| "default".to_owned());
    convert::project::project(&manifest).map_err(ProjectFileError::ConvertProject)
}

/// The layers of values that the Project lays over a bundle's defaults for a branch, and the branch's own file, where it counts.
///
/// # Errors
/// The branch's file cannot be read, or sets what it may not.
pub fn layers(project: &Project, branch: &BranchName, branch_file: Option<&Path>) -> Result<Vec<Layer>, ProjectFileError> {
    let file = branch_file.filter(|_| !project.branch_file.is_empty());
    let file = file
        .map(|path| read_branch_file(&read(path)?, &project.branch_file).map_err(ProjectFileError::ReadBranchFile))
        .transpose()?;
    let mut layers = project.layers(branch, file, &Map::new());
    // There is no Environment.
    layers.pop();
    Ok(layers)
}

fn read(path: &Path) -> Result<Vec<u8>, ProjectFileError> {
    fs::read(path).map_err(|source| ProjectFileError::ReadFile {
        path: path.to_owned(),
        source,
    })
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n  ")
}
