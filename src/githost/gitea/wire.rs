//! Gitea's JSON, reduced to what is used, and its conversion to the domain's types.

use serde::Deserialize;

use super::api::unusable;
use crate::domain::git::{self, BranchName, RepositoryId, Revision};
use crate::githost::Error;
use crate::githost::rest::invalid;

#[derive(Deserialize)]
pub(super) struct Repository {
    id: u64,
    full_name: String,
    #[serde(default)]
    default_branch: String,
    /// A repository without a commit tells a default branch all the same.
    #[serde(default)]
    empty: bool,
}

/// An item of `/git/refs/heads`.
#[derive(Deserialize)]
pub(super) struct Reference {
    r#ref: String,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
}

#[derive(Deserialize)]
pub(super) struct Branch {
    name: String,
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}

#[derive(Deserialize)]
pub(super) struct PullRequest {
    pub(super) number: u64,
    head: Side,
    base: Base,
    user: Option<User>,
    title: String,
    labels: Option<Vec<Label>>,
    #[serde(default)]
    draft: bool,
}

#[derive(Deserialize)]
struct Side {
    r#ref: String,
    sha: String,
    /// `null` when the repository was deleted.
    repo: Option<SideRepository>,
}

#[derive(Deserialize)]
struct Base {
    r#ref: String,
}

#[derive(Deserialize)]
struct SideRepository {
    id: u64,
    full_name: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

impl Repository {
    pub(super) fn into_domain(self, operation: &'static str) -> Result<git::Repository, Error> {
        let default_branch = match self.empty || self.default_branch.is_empty() {
            true => None,
            false => Some(self.default_branch.parse().map_err(invalid(operation))?),
        };
        Ok(git::Repository {
            id: self.id.to_string().parse().map_err(invalid(operation))?,
            name: self.full_name.parse().map_err(invalid(operation))?,
            default_branch,
        })
    }
}

impl Reference {
    /// The branch and its head; `None` for a branch whose name is not supported, which no environment can ever belong to.
    pub(super) fn into_branch(self, operation: &'static str) -> Result<Option<(BranchName, Revision)>, Error> {
        let head = self.object.sha.parse().map_err(invalid(operation))?;
        Ok(BranchName::from_full_ref(&self.r#ref).and_then(Result::ok).map(|name| (name, head)))
    }
}

impl Branch {
    /// The head, provided that the answer is about `branch` and nothing else.
    pub(super) fn into_head(self, operation: &'static str, branch: &BranchName) -> Result<Revision, Error> {
        if self.name != branch.as_str() {
            return Err(unusable(operation, "it is about another branch"));
        }
        self.commit.id.parse().map_err(invalid(operation))
    }
}

impl PullRequest {
    /// Whether it asks for `head` to be merged into `base`.
    pub(super) fn is_between(&self, base: &BranchName, head: &Revision) -> bool {
        self.base.r#ref == base.as_str() && self.head.sha == head.as_str()
    }

    /// `None` for a pull request whose head is a branch name that is not supported.
    pub(super) fn into_domain(self, repository: &RepositoryId) -> Option<git::PullRequest> {
        let is_own = self
            .head
            .repo
            .as_ref()
            .is_some_and(|head| head.id.to_string() == repository.as_str());
        let fork = match is_own {
            true => None,
            false => Some(git::Fork {
                revision: self.head.sha.parse().ok()?,
                repository: self.head.repo.map(|head| head.full_name),
            }),
        };
        let mut labels: Vec<_> = self.labels.into_iter().flatten().map(|label| label.name).collect();
        labels.sort();
        Some(git::PullRequest {
            number: self.number,
            head: self.head.r#ref.parse().ok()?,
            fork,
            base: self.base.r#ref,
            author: self.user.map(|user| user.login).unwrap_or_default(),
            title: self.title,
            labels,
            draft: self.draft,
        })
    }
}
