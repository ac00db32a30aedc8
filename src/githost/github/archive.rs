//! A commit's files from the archive that GitHub makes of it.

use std::time::Duration;

use http::StatusCode;

use super::{Github, owner_and_name, wire};
use crate::domain::git::{Commit, RepositoryName, TreePath};
use crate::githost::Error;
use crate::githost::checkout::Tree;
use crate::githost::tarball;
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
    tarball::files(fetch(github, name, at).await?, at, path).await
}

/// Everything that a checkout of a commit holds. See [`files`].
pub(super) async fn checkout(github: &Github, name: &RepositoryName, at: &Commit) -> Result<Tree, Error> {
    tarball::checkout(fetch(github, name, at).await?).await
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
