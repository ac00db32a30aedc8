//! A commit's files from the archive that GitHub makes of it.

use std::time::Duration;

use http::StatusCode;

use super::{Github, owner_and_name, wire};
use crate::domain::bundle::archive::{self, ArchiveError, Contents, Limits, Selection};
use crate::domain::git::{Commit, RepositoryName, TreePath};
use crate::githost::Error;
use crate::githost::checkout::{self, Tree};
use crate::githost::tree::{self, Files, READ_FILES};

/// The most bytes of an archive as it is sent. It holds the whole repository at one commit.
const MAX_ARCHIVE: usize = 64 * 1024 * 1024;
/// How long an archive may take to come.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The files below `path` at a commit, which GitHub gives as long as it remembers it, whatever its branch is by then.
///
/// # Caveats
/// GitHub makes the archive by `git archive`: files with the attribute `export-ignore` are not in it.
pub(super) async fn files(github: &Github, name: &RepositoryName, at: &Commit, path: &TreePath) -> Result<Files, Error> {
    let bytes = fetch(github, name, at).await?;
    let (commit, place) = (at.clone(), path.clone());
    reading(move || read(&bytes, &commit, &place)).await
}

/// Everything that a checkout of a commit holds. See [`files`].
pub(super) async fn checkout(github: &Github, name: &RepositoryName, at: &Commit) -> Result<Tree, Error> {
    let bytes = fetch(github, name, at).await?;
    reading(move || checkout::unpacked(&bytes).map_err(tree::refuse)).await
}

async fn fetch(github: &Github, name: &RepositoryName, at: &Commit) -> Result<Vec<u8>, Error> {
    let (owner, repository) = owner_and_name(name)?;
    let url = github.api.url(&["repos", owner, repository, "tarball", at.revision.as_str()]);
    let answer = github.api.get_within(READ_FILES, url, TIMEOUT, MAX_ARCHIVE).await?;
    match answer.status {
        StatusCode::OK => Ok(answer.into_body()),
        // The same answer for a commit that is gone and for a repository that is hidden.
        StatusCode::NOT_FOUND => {
            answer.decode::<wire::Problem>(READ_FILES)?;
            github.find_repository(READ_FILES, name).await?;
            Err(tree::moved(at))
        }
        _ => Err(answer.unexpected(READ_FILES)),
    }
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
