//! A branch that is there.

use super::Wanted;
use crate::domain::git::{BranchName, PullRequest, Repository, Revision};
use crate::domain::name::EnvironmentName;

/// A branch as the host shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    pub branch: &'a BranchName,
    pub revision: &'a Revision,
    pub pull_request: Option<&'a PullRequest>,
}

impl Sight<'_> {
    /// The environment `name` as the branch wants it. That the branch is there takes the mark of a rest away.
    pub(super) fn wanted(self, repository: &Repository, name: EnvironmentName, pull_request: Option<&PullRequest>) -> Wanted {
        Wanted {
            name,
            branch: self.branch.clone(),
            repository: repository.id.clone(),
            revision: self.revision.clone(),
            pull_request: pull_request.cloned(),
            grace: None,
        }
    }
}
