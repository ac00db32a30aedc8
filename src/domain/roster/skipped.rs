//! Branches that get nothing, each with its reason.

use crate::domain::git::BranchName;
use crate::domain::policy::Filter;

/// A branch that gets nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The branch.
    pub branch: BranchName,
    /// Why.
    pub reason: SkipReason,
}

/// Why a branch gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// `protected` matches.
    Protected,
    /// `exclude` matches.
    Excluded,
    /// Nothing of `include` matches.
    NotIncluded,
    /// It has no open pull request.
    NoPullRequest,
    /// Its open pull request does not pass this filter.
    Filtered(Filter),
    /// It is a pull request from a fork, and nobody has approved its head.
    AwaitingApproval,
    /// Its open pull request changes none of the paths that the Project watches.
    NoWatchedPath,
    /// There are as many environments as the Project allows.
    AtCapacity,
    /// The previous environment of this branch is still being torn down.
    BeingTornDown,
    /// An Environment that was made for something else bears the name that this branch's would have.
    NameTaken,
    /// Its environment has expired, and nothing was pushed since.
    Expired,
    /// The pull request of its environment was closed, and neither was it reopened nor anything pushed since.
    PullRequestClosed,
    /// A person asked for its end, and nothing was pushed since.
    Requested,
    /// Its environment would go, but no more branches can be remembered.
    TooManyEnded,
}

impl SkipReason {
    /// The reason as a sentence for people who push branches.
    pub fn text(self) -> &'static str {
        match self {
            Self::Protected => "the Project protects this branch",
            Self::Excluded => "the Project excludes this branch",
            Self::NotIncluded => "the Project includes no such branch",
            Self::NoPullRequest => "the Project gives environments to branches with an open pull request, and it has none",
            Self::Filtered(filter) => filter.text(),
            Self::AwaitingApproval => {
                "it comes from a fork: somebody who may write has to approve its head, by a comment /preview approve <commit>"
            }
            Self::NoWatchedPath => "no watched path changed",
            Self::AtCapacity => "the Project has as many environments as it allows",
            Self::BeingTornDown => "the previous environment of this branch is still being torn down",
            Self::NameTaken => "an Environment that was made for another branch or repository bears its name; remove that Environment",
            Self::Expired => "its environment has expired; push to bring it back",
            Self::PullRequestClosed => "its pull request was closed; reopen it or push to bring the environment back",
            Self::Requested => "somebody removed its environment; push, or write /preview up on its pull request, to bring it back",
            Self::TooManyEnded => {
                "its environment would go, but too many branches without one are remembered; delete branches that nobody needs"
            }
        }
    }
}
