//! A Data Center's JSON, reduced to what is used, and its conversion to the domain's types.

use serde::Deserialize;

use super::{invalid, unusable};
use crate::domain::git::{self, BranchName, RepositoryId, Revision};
use crate::githost::Error;

#[derive(Deserialize)]
pub(super) struct Repository {
    id: u64,
    slug: String,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    key: String,
}

/// A ref without its commit.
#[derive(Deserialize)]
pub(super) struct Ref {
    id: String,
}

#[derive(Deserialize)]
pub(super) struct Branch {
    /// The full ref.
    pub(super) id: String,
    #[serde(rename = "latestCommit")]
    latest_commit: String,
}

#[derive(Deserialize)]
pub(super) struct Commit {
    pub(super) id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PullRequest {
    pub(super) id: u64,
    title: String,
    #[serde(default)]
    draft: bool,
    author: Option<Participant>,
    from_ref: End,
    to_ref: End,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct End {
    /// The full ref.
    id: String,
    display_id: Option<String>,
    latest_commit: Option<String>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Participant {
    user: User,
}

/// An account. Its name is unique; what it is displayed as is not.
#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: Option<u64>,
    pub(super) name: String,
    /// `NORMAL` or `SERVICE`.
    pub(super) r#type: Option<String>,
    pub(super) active: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change {
    path: Path,
    src_path: Option<Path>,
}

#[derive(Deserialize)]
struct Path {
    #[serde(rename = "toString")]
    text: String,
}

impl Repository {
    fn name(&self) -> String {
        format!("{}/{}", self.project.key, self.slug)
    }

    pub(super) fn into_domain(self, operation: &'static str, default: Option<Ref>) -> Result<git::Repository, Error> {
        let default_branch = match default {
            None => None,
            Some(default) => match BranchName::from_full_ref(&default.id) {
                Some(name) => Some(name.map_err(invalid(operation))?),
                None => return Err(unusable(operation, "its default branch is no branch")),
            },
        };
        Ok(git::Repository {
            id: self.id.to_string().parse().map_err(invalid(operation))?,
            name: self.name().parse().map_err(invalid(operation))?,
            default_branch,
        })
    }
}

impl Branch {
    /// `None` for a branch whose name is not supported: no environment can ever belong to it.
    pub(super) fn into_domain(self, operation: &'static str) -> Result<Option<(BranchName, Revision)>, Error> {
        let head = self.latest_commit.parse().map_err(invalid(operation))?;
        match BranchName::from_full_ref(&self.id) {
            Some(name) => Ok(name.ok().map(|name| (name, head))),
            None => Err(unusable(operation, "it lists something that is no branch")),
        }
    }
}

impl PullRequest {
    /// The number of the repository that it leads into.
    pub(super) fn target(&self) -> u64 {
        self.to_ref.repository.id
    }

    /// `None` for a pull request whose head is a branch name that is not supported, or from a fork without a commit.
    pub(super) fn into_domain(self, repository: &RepositoryId) -> Option<git::PullRequest> {
        let source = &self.from_ref.repository;
        let fork = match source.id.to_string() == repository.as_str() {
            true => None,
            false => Some(git::Fork {
                revision: self.from_ref.latest_commit.as_ref()?.parse().ok()?,
                repository: Some(source.name()),
            }),
        };
        let base = self.to_ref.id.strip_prefix("refs/heads/").map(str::to_owned);
        Some(git::PullRequest {
            number: self.id,
            head: BranchName::from_full_ref(&self.from_ref.id)?.ok()?,
            fork,
            base: base.or(self.to_ref.display_id).unwrap_or_default(),
            author: self.author.map(|author| author.user.name).unwrap_or_default(),
            title: self.title,
            labels: Vec::new(),
            draft: self.draft,
        })
    }
}

impl Change {
    /// Both names of a file that was moved or copied.
    pub(super) fn into_paths(self) -> impl Iterator<Item = String> {
        [Some(self.path), self.src_path].into_iter().flatten().map(|path| path.text)
    }
}
