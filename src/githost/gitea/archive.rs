//! A commit's files from the archive that Gitea makes of it.

use std::time::Duration;

use http::StatusCode;

use super::Gitea;
use crate::domain::git::{Commit, RepositoryName, TreePath};
use crate::githost::checkout::Tree;
use crate::githost::tree::{self, Files, READ_FILES};
use crate::githost::{Error, tarball};

/// The most bytes of an archive as it is sent. It holds the whole repository at one commit.
const MAX_ARCHIVE: usize = 64 * 1024 * 1024;
/// How long an archive may take to come.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The files below `path` at a commit, which Gitea gives as long as it has it, whatever its branch is by then.
///
/// # Caveats
/// Gitea makes the archive by `git archive`: files with the attribute `export-ignore` are not in it.
pub(super) async fn files(gitea: &Gitea, name: &RepositoryName, at: &Commit, path: &TreePath) -> Result<Files, Error> {
    tarball::files(fetch(gitea, name, at).await?, at, path).await
}

/// Everything that a checkout of a commit holds. See [`files`].
pub(super) async fn checkout(gitea: &Gitea, name: &RepositoryName, at: &Commit) -> Result<Tree, Error> {
    tarball::checkout(fetch(gitea, name, at).await?).await
}

async fn fetch(gitea: &Gitea, name: &RepositoryName, at: &Commit) -> Result<Vec<u8>, Error> {
    let url = gitea.below(name, &["archive", &format!("{}.tar.gz", at.revision)])?;
    match gitea
        .api
        .get_within(READ_FILES, url, "application/json", TIMEOUT, MAX_ARCHIVE)
        .await
    {
        Ok(answer) if answer.status == StatusCode::OK => Ok(answer.into_body()),
        // Some versions have a 404 for a commit that they do not know, others a 500.
        Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
            let error = answer.unexpected(READ_FILES);
            missing(gitea, name, at, error).await
        }
        Ok(answer) => Err(answer.unexpected(READ_FILES)),
        Err(error @ Error::ServerError { status: 500, .. }) => missing(gitea, name, at, error).await,
        Err(error) => Err(error),
    }
}

/// Why there is no archive: the commit is gone, or else `error`.
async fn missing<T>(gitea: &Gitea, name: &RepositoryName, at: &Commit, error: Error) -> Result<T, Error> {
    gitea.find_repository(READ_FILES, name).await?;
    let url = gitea.below(name, &["git", "commits", at.revision.as_str()])?;
    let answer = gitea.api.get(READ_FILES, url).await?;
    match answer.status {
        StatusCode::NOT_FOUND => {
            answer.is_its_own(READ_FILES)?;
            Err(tree::moved(at))
        }
        _ => Err(error),
    }
}
