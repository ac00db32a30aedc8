//! A commit's files from the archive that GitLab makes of it.

use std::time::Duration;

use http::StatusCode;

use super::Gitlab;
use crate::domain::git::{Commit, RepositoryName, TreePath};
use crate::githost::checkout::Tree;
use crate::githost::tree::{self, Files, READ_FILES};
use crate::githost::{Error, tarball};

/// The most bytes of an archive as it is sent. It holds the whole repository at one commit.
const MAX_ARCHIVE: usize = 64 * 1024 * 1024;
/// How long an archive may take to come.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The files below `path` at a commit, which GitLab gives as long as it has it, whatever its branch is by then.
///
/// # Caveats
/// GitLab makes the archive by `git archive`: files with the attribute `export-ignore` are not in it.
pub(super) async fn files(gitlab: &Gitlab, name: &RepositoryName, at: &Commit, path: &TreePath) -> Result<Files, Error> {
    tarball::files(fetch(gitlab, name, at).await?, at, path).await
}

/// Everything that a checkout of a commit holds. See [`files`].
pub(super) async fn checkout(gitlab: &Gitlab, name: &RepositoryName, at: &Commit) -> Result<Tree, Error> {
    tarball::checkout(fetch(gitlab, name, at).await?).await
}

async fn fetch(gitlab: &Gitlab, name: &RepositoryName, at: &Commit) -> Result<Vec<u8>, Error> {
    let mut url = gitlab.below(name, &["repository", "archive.tar.gz"])?;
    // As the commit has them: what Git LFS keeps is otherwise put in the place of its pointers.
    url.query_pairs_mut()
        .extend_pairs([("sha", at.revision.as_str()), ("include_lfs_blobs", "false")]);
    let answer = gitlab
        .api
        .get_within(READ_FILES, url, "application/json", TIMEOUT, MAX_ARCHIVE)
        .await?;
    match answer.status {
        StatusCode::OK => Ok(answer.into_body()),
        StatusCode::NOT_FOUND => {
            answer.is_its_own(READ_FILES)?;
            let error = answer.unexpected(READ_FILES);
            missing(gitlab, name, at, error).await
        }
        _ => Err(answer.unexpected(READ_FILES)),
    }
}

/// Why there is no archive: the commit is gone, or else `error`.
async fn missing<T>(gitlab: &Gitlab, name: &RepositoryName, at: &Commit, error: Error) -> Result<T, Error> {
    gitlab.find_repository(READ_FILES, name).await?;
    let url = gitlab.below(name, &["repository", "commits", at.revision.as_str()])?;
    let answer = gitlab.api.get(READ_FILES, url).await?;
    match answer.status {
        StatusCode::NOT_FOUND => {
            answer.is_its_own(READ_FILES)?;
            Err(tree::moved(at))
        }
        _ => Err(error),
    }
}
