//! What a Git host lets be written where people look: commit statuses, one comment for each pull request, deployments.

use futures::future::BoxFuture;

use super::Error;
use crate::domain::git::RepositoryName;
use crate::domain::report::{CommitReport, DeploymentReport};

/// Where people look at a Git host.
///
/// # Guarantees
/// Saying the same twice leaves what is there as it is, or replaces it by the same: whoever does not know whether something was
/// said says it again. Nothing here is ever read as truth about branches.
///
/// # Errors
/// Every failure is an [`Error`]; none of them says more than that this was not written.
pub trait Report: Send + Sync {
    /// Sets the status of a commit. A commit that the host does not have (any more) is no error: nobody looks at it.
    fn commit<'a>(&'a self, name: &'a RepositoryName, report: &'a CommitReport) -> BoxFuture<'a, Result<(), Error>>;

    /// The comment on a pull request that this account wrote itself and that holds `marker`; the oldest, if there are several. `None` if
    /// there is none, and if the pull request is gone.
    fn own_comment<'a>(
        &'a self,
        name: &'a RepositoryName,
        pull_request: u64,
        marker: &'a str,
    ) -> BoxFuture<'a, Result<Option<OwnComment>, Error>>;

    /// Writes a comment on a pull request and answers with its number.
    fn write_comment<'a>(&'a self, name: &'a RepositoryName, pull_request: u64, body: &'a str) -> BoxFuture<'a, Result<u64, Error>>;

    /// Replaces the text of a comment of our own. `false` if it is gone.
    fn edit_comment<'a>(
        &'a self,
        name: &'a RepositoryName,
        pull_request: u64,
        comment: u64,
        body: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Tells a deployment. `known` is what an earlier call for the same environment and revision answered with; the answer is what the
    /// next one is to be given. `None` where the host has no deployments.
    fn deployment<'a>(
        &'a self,
        name: &'a RepositoryName,
        report: &'a DeploymentReport,
        known: Option<u64>,
    ) -> BoxFuture<'a, Result<Option<u64>, Error>>;
}

/// A comment of our own, as it is at the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnComment {
    /// The host's number of it.
    pub id: u64,
    /// Its text.
    pub body: String,
}
