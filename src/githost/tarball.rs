//! A commit's files from the archive that a host makes of it by `git archive`.

use super::Error;
use super::checkout::{self, Tree};
use super::tree::{self, Files, READ_FILES};
use crate::domain::bundle::archive::{self, ArchiveError, Contents, Limits, Selection};
use crate::domain::git::{Commit, TreePath};

/// The files below `path` in the archive of a commit, whose entries all stand in one folder.
pub(super) async fn files(bytes: Vec<u8>, at: &Commit, path: &TreePath) -> Result<Files, Error> {
    let (commit, place) = (at.clone(), path.clone());
    reading(move || read(&bytes, &commit, &place)).await
}

/// Everything that a checkout of a commit holds. See [`files`].
pub(super) async fn checkout(bytes: Vec<u8>) -> Result<Tree, Error> {
    reading(move || checkout::unpacked(&bytes).map_err(tree::refuse)).await
}

async fn reading<T: Send + 'static>(read: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let reading = tokio::task::spawn_blocking(read);
    reading.await.map_err(|error| Error::Unusable {
        operation: READ_FILES,
        problem: format!("reading the archive was interrupted: {error}"),
    })?
}

fn read(bytes: &[u8], at: &Commit, path: &TreePath) -> Result<Files, Error> {
    let selection = Selection {
        in_folder: true,
        below: path,
    };
    let contents = archive::read(bytes, selection, &Limits::REPOSITORY).map_err(refused)?;
    // Git writes the commit into the archive: a cache or a proxy in between cannot give another one unnoticed.
    match &contents.comment {
        Some(comment) if comment != at.revision.as_str() => Err(Error::Unusable {
            operation: READ_FILES,
            problem: "it is the archive of another commit".to_owned(),
        }),
        _ => tree::accept(at, path, without_submodules(contents)?),
    }
}

fn without_submodules(contents: Contents) -> Result<Files, Error> {
    match contents.empty_folders.first() {
        Some(folder) => Err(tree::refuse(format!("{folder} is a submodule: only regular files are read"))),
        None => Ok(contents.files),
    }
}

fn refused(error: ArchiveError) -> Error {
    match error {
        ArchiveError::ReadArchive(source) => Error::Unusable {
            operation: READ_FILES,
            problem: format!("it is no complete archive: {source}"),
        },
        other => tree::refuse(other.to_string()),
    }
}
