//! What graftling asks of a Git host, whichever it is.
//!
//! One folder per provider holds its client, its payloads and its signature scheme; no provider's type leaves this module.

mod address;
pub mod bitbucket;
pub mod budget;
mod checkout;
mod conditional;
pub mod endpoint;
pub mod gitea;
pub mod github;
pub mod gitlab;
mod listing;
pub mod payload;
pub mod ping;
pub mod plain;
pub mod report;
mod rest;
pub mod setup;
pub mod signature;
mod tarball;
mod tree;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

pub use self::checkout::{Leaf, Tree, tar_of};
use self::report::Report;
use self::setup::Setup;
pub use self::tree::Files;
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::{BranchName, Commit, Listing, RefLookup, Repository, RepositoryName, Revision, TreePath};
use crate::domain::stage::wait::{ReportedRun, ReportedStatus};

/// A connection to one Git host.
///
/// # Guarantees
/// An answer is complete or it is an error: a partial page, an HTML page with status 200, a redirect to a login, an empty body or a listing
/// without the default branch of a non-empty repository never becomes a [`Listing`], and a branch is reported absent only
/// together with a positive answer about its repository.
///
/// # Errors
/// Every failure is an [`Error`]; none of them says anything about which branches exist.
pub trait GitHost: Send + Sync {
    /// The repository's identity and default branch.
    fn repository<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Repository, Error>>;

    /// Every branch and every open pull request, all pages.
    fn listing<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Listing, Error>>;

    /// Where one branch stands.
    fn lookup<'a>(&'a self, name: &'a RepositoryName, branch: &'a BranchName) -> BoxFuture<'a, Result<RefLookup, Error>>;

    /// Where several branches stand, from a host that tells so in one answer; none of them from any other, which is to be asked about each.
    fn lookups<'a>(&'a self, _name: &'a RepositoryName, _branches: &'a [BranchName]) -> BoxFuture<'a, Result<Vec<RefLookup>, Error>> {
        async { Ok(Vec::new()) }.boxed()
    }

    /// The files below `path` at exactly this commit, by their path below it; a file at `path` itself alone, by its own name.
    ///
    /// Regular files only, in memory, within [`Limits::REPOSITORY`](crate::domain::bundle::archive::Limits::REPOSITORY): a link, a
    /// submodule or a pointer of Git LFS at or below `path` is an error that names it. Nothing of the repository is run or checked out.
    /// A host may refuse a commit that is no branch's head any more with [`Error::BranchMoved`]; it never gives another commit's files.
    fn files<'a>(&'a self, name: &'a RepositoryName, at: &'a Commit, path: &'a TreePath) -> BoxFuture<'a, Result<Files, Error>>;

    /// A comment on a pull request as it is now; `None` if it is gone, or the host has no comments.
    ///
    /// Some hosts find a comment by its own number alone: the answer says which pull request it is on.
    fn comment<'a>(&'a self, name: &'a RepositoryName, pull_request: u64, id: u64) -> BoxFuture<'a, Result<Option<Comment>, Error>>;

    /// What an account may do with the repository.
    fn permission<'a>(&'a self, name: &'a RepositoryName, login: &'a str) -> BoxFuture<'a, Result<Permission, Error>>;

    /// Everything that a checkout of exactly this commit holds, in memory and within bounds: files, executable or not, and symbolic links
    /// that stay inside. Folders of submodules and what Git LFS keeps elsewhere are left as they are in the commit.
    ///
    /// A commit that its branch has left is given as long as the host has it; one that a host has no more it may refuse with
    /// [`Error::BranchMoved`].
    fn checkout<'a>(&'a self, name: &'a RepositoryName, at: &'a Commit) -> BoxFuture<'a, Result<Tree, Error>>;

    /// The newest commit status of a context, as others set them on a commit; `None` if there is none, or no such commit yet.
    ///
    /// [`Error::Misconfigured`] at a host that has no commit statuses.
    fn commit_status<'a>(
        &'a self,
        name: &'a RepositoryName,
        revision: &'a Revision,
        context: &'a str,
    ) -> BoxFuture<'a, Result<Option<ReportedStatus>, Error>>;

    /// The newest check runs of a name on a commit, one for each app that makes some; none if there is no such commit yet.
    ///
    /// [`Error::Misconfigured`] at a host that has no check runs.
    fn check_runs<'a>(
        &'a self,
        name: &'a RepositoryName,
        revision: &'a Revision,
        run: &'a str,
    ) -> BoxFuture<'a, Result<Vec<ReportedRun>, Error>>;

    /// The paths of all files that a merge of `head` into `base` would change, both names of a renamed one; `None` where the host cannot
    /// tell all of them.
    fn changed_paths<'a>(
        &'a self,
        _name: &'a RepositoryName,
        _base: &'a BranchName,
        _head: &'a Revision,
    ) -> BoxFuture<'a, Result<Option<BTreeSet<String>>, Error>> {
        async { Ok(None) }.boxed()
    }

    /// Where people look at this host; `None` where there is no such place.
    fn report(&self) -> Option<&dyn Report> {
        None
    }

    /// Help with setting this host up; `None` where the host has no interface for it.
    fn setup(&self) -> Option<&dyn Setup> {
        None
    }
}

/// Why a host gave no answer that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host could not be reached, or the exchange broke off.
    #[error("could not {operation}: the Git host did not answer")]
    Unreachable {
        /// What was being done, worded to follow "could not".
        operation: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The host refused the credentials, or they do not reach the repository.
    #[error("could not {operation}: the Git host refused the credentials (HTTP {status})")]
    Refused {
        /// What was being done.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// The host says that there is no such repository, or hides it from these credentials.
    #[error("could not {operation}: the Git host knows no repository {repository}, or hides it from these credentials")]
    RepositoryNotFound {
        /// What was being done.
        operation: &'static str,
        /// The repository.
        repository: RepositoryName,
    },
    /// The host asked to slow down.
    #[error("could not {operation}: the Git host's rate limit is used up")]
    RateLimited {
        /// What was being done.
        operation: &'static str,
        /// When to come back, if the host said so.
        retry_after: Option<Duration>,
    },
    /// What is left of the host's rate limit is kept for what cannot wait; nothing was asked.
    #[error("did not {operation}: of the {limit} requests that the Git host grants, the last {remaining} are kept for webhooks and people")]
    Reserved {
        /// What was not done.
        operation: &'static str,
        /// How many requests are left.
        remaining: u64,
        /// How many there were.
        limit: u64,
        /// How long until the host grants anew.
        wait: Duration,
    },
    /// The host answered with a server error.
    #[error("could not {operation}: the Git host answered HTTP {status}")]
    ServerError {
        /// What was being done.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// The answer was not what the host's interface promises, or not the whole of it.
    #[error("could not {operation}: the Git host's answer is not usable: {problem}")]
    Unusable {
        /// What was being done.
        operation: &'static str,
        /// What is wrong with it; never the answer itself.
        problem: String,
    },
    /// The branch has another head than the commit that was asked for. The next look at the branch gets the newer commit.
    #[error("could not {operation}: branch {branch} has moved on from {}", revision.short())]
    BranchMoved {
        /// What was being done.
        operation: &'static str,
        /// The branch.
        branch: BranchName,
        /// The commit that was asked for.
        revision: Revision,
    },
    /// The commit has nothing at the path.
    #[error("could not {operation}: there is nothing at {path} in commit {}", revision.short())]
    PathNotFound {
        /// What was being done.
        operation: &'static str,
        /// The path.
        path: TreePath,
        /// The commit.
        revision: Revision,
    },
    /// What the commit has at the path is not read.
    #[error("could not {operation}: {problem}")]
    RefuseTree {
        /// What was being done.
        operation: &'static str,
        /// What is there and why it is not read.
        problem: String,
    },
    /// The connection's own settings are wrong.
    #[error("{problem}")]
    Misconfigured {
        /// What is wrong and how to mend it.
        problem: String,
    },
}

/// What decides whether and when a failed call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Passes by itself: try again with back-off.
    Transient,
    /// Passes after the given time.
    RateLimited(Option<Duration>),
    /// Stays until somebody changes a setting, a credential or the repository.
    NeedsAttention,
}

impl Error {
    /// The class that alone decides about a retry.
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. } | Self::ServerError { .. } | Self::Unusable { .. } | Self::BranchMoved { .. } => Class::Transient,
            Self::RateLimited { retry_after, .. } => Class::RateLimited(*retry_after),
            Self::Reserved { wait, .. } => Class::RateLimited(Some(*wait)),
            Self::Refused { .. }
            | Self::RepositoryNotFound { .. }
            | Self::PathNotFound { .. }
            | Self::RefuseTree { .. }
            | Self::Misconfigured { .. } => Class::NeedsAttention,
        }
    }
}
