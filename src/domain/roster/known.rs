//! The environments of a question by what they are looked for: each of thousands of branches asks for its own.

use super::{Existing, Facts, Question};
use crate::domain::git::{BranchName, RepositoryId};
use crate::domain::name::EnvironmentName;

/// All environments.
pub(super) enum Known<'a> {
    /// In the order in which they were named: to sort them would take longer than to go through them for a few branches.
    AsNamed(Vec<&'a Existing>),
    /// Sorted once, for all branches of a repository.
    Sorted {
        by_branch: Vec<&'a Existing>,
        names: Vec<&'a EnvironmentName>,
    },
}

/// For so many branches at most nothing is sorted: to sort a thousand environments compares each with about ten others, twice.
const FEW: usize = 16;

impl<'a> Known<'a> {
    pub(super) fn of(question: &Question<'a>) -> Self {
        let all: Vec<&'a Existing> = question.environments().collect();
        match question.facts {
            Facts::Lookups(lookups) if lookups.len() <= FEW => Self::AsNamed(all),
            Facts::Lookups(_) | Facts::Listing(_) => Self::sorted(all),
        }
    }

    pub(super) fn sorted(mut all: Vec<&'a Existing>) -> Self {
        let mut names: Vec<&'a EnvironmentName> = all.iter().map(|environment| &environment.name).collect();
        names.sort();
        // Stable: environments of one branch stay in the order in which they were named.
        all.sort_by_key(|environment: &&'a Existing| key(environment));
        Self::Sorted { by_branch: all, names }
    }

    /// The environments of a branch.
    pub(super) fn of_branch(&self, repository: &RepositoryId, branch: &BranchName) -> Vec<&'a Existing> {
        let wanted = (repository, branch);
        let is_wanted = |environment: &&'a Existing| key(environment) == wanted;
        match self {
            Self::AsNamed(all) => all.iter().copied().filter(is_wanted).collect(),
            Self::Sorted { by_branch, .. } => {
                let start = by_branch.partition_point(|environment| key(environment) < wanted);
                by_branch[start..].iter().copied().take_while(is_wanted).collect()
            }
        }
    }

    /// Whether an environment, of whatever branch, has this name.
    pub(super) fn has_name(&self, name: &EnvironmentName) -> bool {
        match self {
            Self::AsNamed(all) => all.iter().any(|environment| environment.name == *name),
            Self::Sorted { names, .. } => names.binary_search(&name).is_ok(),
        }
    }
}

fn key(environment: &Existing) -> (&RepositoryId, &BranchName) {
    (&environment.repository, &environment.branch)
}
