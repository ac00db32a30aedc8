//! Files of a commit: what may be taken out of a tree, whichever host gave it.

use std::collections::BTreeMap;

use super::Error;
use crate::domain::git::{Commit, TreePath};

/// Files by their path below the one that was asked for, parts separated by `/`.
pub type Files = BTreeMap<String, Vec<u8>>;

pub(super) const READ_FILES: &str = "read files of the commit";

/// What stands in a repository in place of a file that Git LFS keeps elsewhere.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

/// Accepts what was found below `path`.
///
/// # Errors
/// [`Error::PathNotFound`] when that is nothing, [`Error::RefuseTree`] when a file is not the file but a pointer to it.
pub(super) fn accept(at: &Commit, path: &TreePath, files: Files) -> Result<Files, Error> {
    if files.is_empty() {
        return Err(Error::PathNotFound {
            operation: READ_FILES,
            path: path.clone(),
            revision: at.revision.clone(),
        });
    }
    let pointer = files.iter().find(|(_, bytes)| bytes.starts_with(LFS_POINTER));
    match pointer {
        Some((name, _)) => Err(refuse(format!(
            "{name} is kept by Git LFS, which is not read: keep it in the repository itself"
        ))),
        None => Ok(files),
    }
}

pub(super) fn refuse(problem: String) -> Error {
    Error::RefuseTree {
        operation: READ_FILES,
        problem,
    }
}

pub(super) fn moved(at: &Commit) -> Error {
    Error::BranchMoved {
        operation: READ_FILES,
        branch: at.branch.clone(),
        revision: at.revision.clone(),
    }
}
