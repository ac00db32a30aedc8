//! What a webhook delivery says: a hint. It tells where to look, never what is true.

use super::git::{BranchName, RepositoryId, RepositoryName};
use super::name::GitHostKey;

/// The host's identifier of one delivery, for logs only. At most 64 printable ASCII characters; anything else becomes `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct DeliveryId(String);

/// Which repository a delivery speaks of. A Project is found by the id where the host sends one, else by the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryHint {
    /// The host's identifier of the repository, if the delivery carries one.
    pub id: Option<RepositoryId>,
    /// The repository's name in the delivery.
    pub name: RepositoryName,
}

/// What happened, as the sender tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happening {
    /// A branch was created, pushed to or force-pushed.
    BranchPushed,
    /// A branch was deleted. Together with one read that confirms it, this proves the absence.
    BranchDeleted,
    /// Something about a pull request from this branch changed.
    PullRequestChanged,
}

/// A verified, parsed delivery about one branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The GitHost whose endpoint received it.
    pub host: GitHostKey,
    /// The repository it speaks of.
    pub repository: RepositoryHint,
    /// The branch to look at.
    pub branch: BranchName,
    /// What the sender says has happened.
    pub happening: Happening,
    /// Which delivery it came from.
    pub delivery: DeliveryId,
}

/// What a verified body turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Branches to look at.
    Hints(Vec<BranchHint>),
    /// A comment to read.
    Comment(CommentHint),
    /// The host tests the endpoint.
    Ping,
    /// Nothing that concerns environments; the text says why, for the log.
    Ignored(&'static str),
}

/// A hint as the payload carries it, before it is known whose endpoint it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchHint {
    /// The repository it speaks of.
    pub repository: RepositoryHint,
    /// The branch to look at.
    pub branch: BranchName,
    /// What the sender says has happened.
    pub happening: Happening,
}

/// A comment on a pull request that may ask for something. What it says and who wrote it is asked of the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommentHint {
    /// The repository it speaks of.
    pub repository: RepositoryHint,
    /// The number of the pull request.
    pub pull_request: u64,
    /// The host's number of the comment.
    pub comment: u64,
}

// === impl DeliveryId ===

impl DeliveryId {
    /// Keeps what can be logged safely of an untrusted header.
    pub fn from_untrusted(text: &str) -> Self {
        Self(
            text.chars()
                .take(64)
                .map(|character| if character.is_ascii_graphic() { character } else { '-' })
                .collect(),
        )
    }

    /// The text of the identifier; empty when the sender gave none.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
