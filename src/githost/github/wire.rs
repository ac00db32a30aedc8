//! GitHub's JSON, reduced to what is used, and its conversion to the domain's types.

use serde::Deserialize;

use crate::domain::git::{self, BranchName, RepositoryId, Revision};
use crate::domain::name::NameError;
use crate::githost::Error;

#[derive(Deserialize)]
pub(super) struct Repository {
    id: u64,
    full_name: String,
    default_branch: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Branch {
    name: String,
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

/// The answer of `/git/ref/heads/…`.
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
    base: Side,
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
    /// `null` when the repository was deleted.
    repo: Option<SideRepository>,
}

#[derive(Deserialize)]
struct SideRepository {
    id: u64,
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

impl Branch {
    /// `None` for a branch whose name is not supported: no environment can ever belong to it.
    pub(super) fn into_domain(self, operation: &'static str) -> Result<Option<(BranchName, Revision)>, Error> {
        let head = self.commit.sha.parse().map_err(invalid(operation))?;
        Ok(self.name.parse().ok().map(|name| (name, head)))
    }
}

impl Reference {
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
        let mut labels: Vec<_> = self.labels.into_iter().map(|label| label.name).collect();
        labels.sort();
        Some(git::PullRequest {
            number: self.number,
            head: self.head.r#ref.parse().ok()?,
            from_fork: self.head.repo.is_none_or(|head| head.id.to_string() != repository.as_str()),
            base: self.base.r#ref,
            author: self.user.map(|user| user.login).unwrap_or_default(),
            title: self.title,
            labels,
            draft: self.draft.unwrap_or_default(),
        })
    }
}

fn invalid(operation: &'static str) -> impl Fn(NameError) -> Error {
    move |error| Error::Unusable {
        operation,
        problem: format!("a {} in it {}", error.kind, error.rule),
    }
}
