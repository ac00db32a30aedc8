//! A real repository, in which many branches are pushed at once.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Error;
use super::task::Environment;
use crate::Repository;
use crate::subject::repository_name;

/// A repository whose branches are environments.
pub(super) struct Branches {
    repository: Repository,
    pushes: AtomicU64,
}

impl Branches {
    /// A repository that has these files on its default branch.
    pub(super) fn create(files: &[(&str, &str)]) -> Result<Branches, Error> {
        let repository = Repository::create().map_err(Error::ChangeRepository)?;
        if !files.is_empty() {
            repository.commit("main", files).map_err(Error::ChangeRepository)?;
        }
        Ok(Branches {
            repository,
            pushes: AtomicU64::new(0),
        })
    }

    /// The repository itself.
    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Its name below its directory.
    pub(super) fn name(&self) -> String {
        repository_name(&self.repository)
    }

    /// Sets branches to a new commit, in one push, and says which. What was pushed before has been through the housekeeping of a host.
    pub(super) fn push(&self, branches: &[&str]) -> Result<String, Error> {
        self.repository.pack_refs().map_err(Error::ChangeRepository)?;
        let number = self.pushes.fetch_add(1, Ordering::Relaxed).to_string();
        // Main stays where it is: that it has moved would be news of its own, which nobody delivers.
        let commit = ["commit-tree", "origin/main^{tree}", "-p", "origin/main", "-m", &number];
        let revision = self.repository.git(commit).map_err(Error::ChangeRepository)?.trim().to_owned();
        let updates: Vec<String> = branches.iter().map(|branch| format!("+{revision}:refs/heads/{branch}")).collect();
        let arguments = ["push", "--quiet", "origin"].into_iter().chain(updates.iter().map(String::as_str));
        self.repository.git(arguments).map_err(Error::ChangeRepository)?;
        Ok(revision)
    }

    /// Deletes the branches of environments.
    pub(super) fn delete(&self, environments: &[Environment]) -> Result<(), Error> {
        let branches = of(environments);
        self.repository.delete_branches(&branches).map_err(Error::ChangeRepository)
    }
}

/// The branches of environments.
pub(super) fn of(environments: &[Environment]) -> Vec<&str> {
    environments.iter().map(|environment| environment.naming.branch.as_str()).collect()
}
