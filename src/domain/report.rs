//! What a Git host is told of an environment: a commit status, a deployment, a comment.

use super::git::{BranchName, Revision};

/// What a commit status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommitState {
    /// Under way, or waiting.
    Pending,
    /// The environment shows the commit.
    Success,
    /// It does not, and somebody has to do something.
    Failure,
}

/// A commit status, the only one of its context on its commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitReport {
    /// The commit.
    pub revision: Revision,
    /// The branch whose head it is or was: some hosts keep statuses apart by branch.
    pub branch: BranchName,
    /// What tells this status from others of the commit: `preview/<project>`.
    pub context: String,
    /// What it says.
    pub state: CommitState,
    /// One sentence of at most 140 characters, without markup.
    pub description: String,
    /// Where it leads.
    pub target: Option<String>,
}

/// What a deployment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeploymentState {
    /// It waits for its turn, or for a person.
    Queued,
    /// It is being rolled out.
    InProgress,
    /// It is there.
    Success,
    /// It failed.
    Failure,
    /// Its environment is gone, or sleeps.
    Inactive,
}

/// A deployment of a commit to an environment of a name of its own, which is gone for good one day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeploymentReport {
    /// The name of the environment at the host: the environment's own.
    pub environment: String,
    /// The commit.
    pub revision: Revision,
    /// The branch.
    pub branch: BranchName,
    /// What it says.
    pub state: DeploymentState,
    /// One sentence of at most 140 characters, without markup.
    pub description: String,
    /// The environment's URL.
    pub url: Option<String>,
}
