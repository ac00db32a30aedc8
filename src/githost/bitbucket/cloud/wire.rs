//! The Cloud's JSON, reduced to what is used, and its conversion to the domain's types.

use serde::Deserialize;

use super::{invalid, unusable};
use crate::domain::git::{self, BranchName, RepositoryId, Revision};
use crate::githost::Error;

/// The fewest digits that stand for a commit.
const SHORTEST: usize = 12;

#[derive(Deserialize)]
pub(super) struct Repository {
    uuid: String,
    full_name: String,
    /// `null` while the repository is empty.
    mainbranch: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
pub(super) struct Branch {
    pub(super) name: String,
    target: Target,
}

#[derive(Deserialize)]
pub(super) struct Target {
    pub(super) hash: String,
}

#[derive(Deserialize)]
pub(super) struct PullRequest {
    pub(super) id: u64,
    title: String,
    #[serde(default)]
    draft: bool,
    /// `null` once the account is gone.
    author: Option<Account>,
    source: End,
    destination: End,
}

#[derive(Deserialize)]
struct End {
    branch: Named,
    /// `null` once the commit is gone.
    commit: Option<Target>,
    /// `null` once the fork is deleted.
    repository: Option<Origin>,
}

#[derive(Deserialize)]
struct Origin {
    uuid: String,
    full_name: Option<String>,
}

/// Whoever did something: a person, an app, or the account of an access token.
#[derive(Deserialize)]
pub(super) struct Account {
    pub(super) uuid: Option<String>,
    pub(super) r#type: String,
}

#[derive(Deserialize)]
pub(super) struct Change {
    old: Option<File>,
    new: Option<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
}

/// The Cloud writes identifiers in braces.
pub(super) fn bare(uuid: &str) -> &str {
    uuid.trim_start_matches('{').trim_end_matches('}')
}

impl Repository {
    pub(super) fn into_domain(self, operation: &'static str) -> Result<git::Repository, Error> {
        let default_branch = self.mainbranch.map(|branch| branch.name.parse()).transpose();
        Ok(git::Repository {
            id: bare(&self.uuid).parse().map_err(invalid(operation))?,
            name: self.full_name.parse().map_err(invalid(operation))?,
            default_branch: default_branch.map_err(invalid(operation))?,
        })
    }
}

impl Branch {
    /// `None` for a branch whose name is not supported: no environment can ever belong to it.
    pub(super) fn into_domain(self, operation: &'static str) -> Result<Option<(BranchName, Revision)>, Error> {
        let head = self.target.hash.parse().map_err(invalid(operation))?;
        Ok(self.name.parse().ok().map(|name| (name, head)))
    }

    /// The head, provided that the answer is about `branch` and nothing else.
    pub(super) fn into_head(self, operation: &'static str, branch: &BranchName) -> Result<Revision, Error> {
        if self.name != branch.as_str() {
            return Err(unusable(operation, "it is about another branch"));
        }
        self.target.hash.parse().map_err(invalid(operation))
    }
}

impl PullRequest {
    pub(super) fn is_from(&self, repository: &RepositoryId) -> bool {
        let source = self.source.repository.as_ref();
        source.is_some_and(|source| bare(&source.uuid) == repository.as_str())
    }

    /// What is told of the commit of its source: at least the beginning of its id.
    pub(super) fn told_commit(&self) -> Option<&str> {
        let commit = self.source.commit.as_ref()?;
        (commit.hash.len() >= SHORTEST).then_some(&commit.hash)
    }

    /// `None` for a pull request whose head is a branch name that is not supported, or from a fork without a commit.
    pub(super) fn into_domain(self, repository: &RepositoryId, fork: Option<Revision>) -> Option<git::PullRequest> {
        let fork = match self.is_from(repository) {
            true => None,
            false => Some(git::Fork {
                revision: fork?,
                repository: self.source.repository.and_then(|source| source.full_name),
            }),
        };
        let author = self.author.and_then(|author| author.uuid);
        Some(git::PullRequest {
            number: self.id,
            head: self.source.branch.name.parse().ok()?,
            fork,
            base: self.destination.branch.name,
            author: author.map(|uuid| bare(&uuid).to_owned()).unwrap_or_default(),
            title: self.title,
            labels: Vec::new(),
            draft: self.draft,
        })
    }
}

impl Change {
    /// Both names; `None` for a change of nothing, which no interface promises.
    pub(super) fn into_paths(self) -> Option<Vec<String>> {
        let paths: Vec<_> = [self.old, self.new].into_iter().flatten().map(|file| file.path).collect();
        (!paths.is_empty()).then_some(paths)
    }
}
