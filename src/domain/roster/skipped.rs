//! Branches that get nothing, each with its reason.

use crate::domain::git::BranchName;

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
            Self::AtCapacity => "the Project has as many environments as it allows",
            Self::BeingTornDown => "the previous environment of this branch is still being torn down",
            Self::NameTaken => "an Environment that was made for another branch or repository bears its name; remove that Environment",
            Self::Expired => "its environment has expired; push to bring it back",
            Self::PullRequestClosed => "its pull request was closed; reopen it or push to bring the environment back",
            Self::TooManyEnded => {
                "its environment would go, but too many branches without one are remembered; delete branches that nobody needs"
            }
        }
    }
}
