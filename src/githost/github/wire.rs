//! GitHub's JSON, reduced to what is used, and its conversion to the domain's types.

use serde::Deserialize;

use crate::domain::git::{self, BranchName, RepositoryId, Revision};
use crate::githost::Error;
use crate::githost::rest::invalid;

#[derive(Deserialize)]
pub(super) struct Repository {
    id: u64,
    full_name: String,
    default_branch: Option<String>,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

/// The answer of `/git/ref/heads/…`, and an item of `/git/matching-refs/heads`.
#[derive(Deserialize)]
pub(super) struct Reference {
    r#ref: String,
    object: Commit,
}

/// The body of GitHub's own error answers. That it is there tells them from those of a proxy.
#[derive(Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "message")]
    _message: String,
}

#[derive(Deserialize)]
pub(super) struct PullRequest {
    number: u64,
    head: Side,
    base: Base,
    /// `null` when the account was deleted.
    user: Option<User>,
    title: String,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    draft: Option<bool>,
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
        let default_branch = self.default_branch.map(|name| name.parse()).transpose();
        Ok(git::Repository {
            id: self.id.to_string().parse().map_err(invalid(operation))?,
            name: self.full_name.parse().map_err(invalid(operation))?,
            default_branch: default_branch.map_err(invalid(operation))?,
        })
    }
}

impl Reference {
    /// The branch and its head; `None` for a branch whose name is not supported, which no environment can ever belong to, and for any
    /// other ref.
    pub(super) fn into_branch(self, operation: &'static str) -> Result<Option<(BranchName, Revision)>, Error> {
        let head = self.object.sha.parse().map_err(invalid(operation))?;
        Ok(BranchName::from_full_ref(&self.r#ref).and_then(Result::ok).map(|name| (name, head)))
    }

    /// The head, provided that the answer is about `branch` and not about a branch whose name begins with it.
    pub(super) fn into_head(self, operation: &'static str, branch: &BranchName) -> Result<Revision, Error> {
        if self.r#ref != branch.full_ref() {
            return Err(Error::Unusable {
                operation,
                problem: "it is about another ref".to_owned(),
            });
        }
        self.object.sha.parse().map_err(invalid(operation))
    }
}

impl PullRequest {
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
        let mut labels: Vec<_> = self.labels.into_iter().map(|label| label.name).collect();
        labels.sort();
        Some(git::PullRequest {
            number: self.number,
            head: self.head.r#ref.parse().ok()?,
            fork,
            base: self.base.r#ref,
            author: self.user.map(|user| user.login).unwrap_or_default(),
            title: self.title,
            labels,
            draft: self.draft.unwrap_or_default(),
        })
    }
}
