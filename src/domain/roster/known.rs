//! The environments of a question by what they are looked for: each of thousands of branches asks for its own.

use super::{Existing, Question};
use crate::domain::git::{BranchName, RepositoryId};
use crate::domain::name::EnvironmentName;

/// All environments, sorted once.
pub(super) struct Known<'a> {
    by_branch: Vec<&'a Existing>,
    names: Vec<&'a EnvironmentName>,
}

impl<'a> Known<'a> {
    pub(super) fn of(question: &Question<'a>) -> Self {
        let mut by_branch: Vec<&'a Existing> = question.environments().collect();
        // Stable: environments of one branch stay in the order in which they were named.
        by_branch.sort_by_key(|environment: &&'a Existing| key(environment));
        let mut names: Vec<&'a EnvironmentName> = question.environments().map(|environment| &environment.name).collect();
        names.sort();
        Self { by_branch, names }
    }

    /// The environments of a branch.
    pub(super) fn of_branch(&self, repository: &RepositoryId, branch: &BranchName) -> &[&'a Existing] {
        let wanted = (repository, branch);
        let start = self.by_branch.partition_point(|environment| key(environment) < wanted);
        let rest = &self.by_branch[start..];
        &rest[..rest.partition_point(|environment| key(environment) == wanted)]
    }

    /// Whether an environment, of whatever branch, has this name.
    pub(super) fn has_name(&self, name: &EnvironmentName) -> bool {
        self.names.binary_search(&name).is_ok()
    }
}

fn key(environment: &Existing) -> (&RepositoryId, &BranchName) {
    (&environment.repository, &environment.branch)
}
