//! GitLab's JSON, reduced to what is used, and its conversion to the domain's types.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::api::unusable;
use crate::domain::git::{self, BranchName, RepositoryId, Revision};
use crate::githost::Error;
pub(super) use crate::githost::rest::invalid;

/// From as many on, GitLab may have left out some: it compares a thousand files, unless its administrator chose otherwise.
const MAX_DIFFS: usize = 1000;

#[derive(Deserialize)]
pub(super) struct Project {
    id: u64,
    path_with_namespace: String,
    /// Missing where the token may not read the code.
    default_branch: Option<String>,
    #[serde(default)]
    empty_repo: bool,
}

#[derive(Deserialize)]
pub(super) struct Branch {
    pub(super) name: String,
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}

#[derive(Deserialize)]
pub(super) struct MergeRequest {
    /// The number that people use; `id` is another.
    pub(super) iid: u64,
    title: String,
    source_branch: String,
    target_branch: String,
    /// `null` once the fork is deleted.
    source_project_id: Option<u64>,
    author: Option<User>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    draft: bool,
    /// What GitLab before 13.2 has instead.
    #[serde(default)]
    work_in_progress: bool,
    sha: Option<String>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
pub(super) struct Comparison {
    diffs: Vec<Diff>,
    #[serde(default)]
    compare_timeout: bool,
}

#[derive(Deserialize)]
struct Diff {
    old_path: String,
    new_path: String,
    a_mode: Option<String>,
    b_mode: Option<String>,
    #[serde(default)]
    renamed_file: bool,
    #[serde(default)]
    diff: String,
    collapsed: Option<bool>,
    too_large: Option<bool>,
}

impl Project {
    pub(super) fn into_domain(self, operation: &'static str) -> Result<git::Repository, Error> {
        let default_branch = match self.default_branch {
            Some(name) if !self.empty_repo && !name.is_empty() => Some(name.parse().map_err(invalid(operation))?),
            _ => None,
        };
        Ok(git::Repository {
            id: self.id.to_string().parse().map_err(invalid(operation))?,
            name: self.path_with_namespace.parse().map_err(invalid(operation))?,
            default_branch,
        })
    }
}

impl Branch {
    /// `None` for a branch whose name is not supported: no environment can ever belong to it.
    pub(super) fn into_domain(self, operation: &'static str) -> Result<Option<(BranchName, Revision)>, Error> {
        let head = self.commit.id.parse().map_err(invalid(operation))?;
        Ok(self.name.parse().ok().map(|name| (name, head)))
    }

    /// The head, provided that the answer is about `branch` and nothing else.
    pub(super) fn into_head(self, operation: &'static str, branch: &BranchName) -> Result<Revision, Error> {
        if self.name != branch.as_str() {
            return Err(unusable(operation, "it is about another branch"));
        }
        self.commit.id.parse().map_err(invalid(operation))
    }
}

impl MergeRequest {
    /// `None` for a merge request whose head is a branch name that is not supported, or from a fork without a commit.
    pub(super) fn into_domain(self, repository: &RepositoryId) -> Option<git::PullRequest> {
        let is_own = self.source_project_id.is_some_and(|id| id.to_string() == repository.as_str());
        let fork = match is_own {
            true => None,
            // The fork's name would cost a request for each.
            false => Some(git::Fork {
                revision: self.sha?.parse().ok()?,
                repository: None,
            }),
        };
        let mut labels = self.labels;
        labels.sort();
        Some(git::PullRequest {
            number: self.iid,
            head: self.source_branch.parse().ok()?,
            fork,
            base: self.target_branch,
            author: self.author.map(|author| author.username).unwrap_or_default(),
            title: self.title,
            labels,
            draft: self.draft || self.work_in_progress,
        })
    }
}

impl Comparison {
    /// The paths of all files; `None` where some may be missing.
    pub(super) fn into_paths(self) -> Option<BTreeSet<String>> {
        let is_cut = self.compare_timeout || self.diffs.len() >= MAX_DIFFS || self.diffs.iter().any(Diff::shows_a_limit);
        (!is_cut).then(|| self.diffs.into_iter().flat_map(|diff| [diff.old_path, diff.new_path]).collect())
    }
}

impl Diff {
    /// Near one of its limits GitLab leaves out texts, beyond it whole files. Before 18.4 it does not say so: then a change of content
    /// without a text is the sign.
    fn shows_a_limit(&self) -> bool {
        match (self.collapsed, self.too_large) {
            (None, None) => self.diff.is_empty() && !self.renamed_file && self.a_mode == self.b_mode,
            (collapsed, too_large) => collapsed == Some(true) || too_large == Some(true),
        }
    }
}
