//! What makes an answer about branches complete, whichever host gave it.

use std::collections::BTreeMap;

use super::Error;
use crate::domain::git::{BranchName, Listing, PullRequest, Repository, Revision};

/// Accepts `branches` as all branches of `repository`.
///
/// # Errors
/// [`Error::Unusable`] when the repository's default branch is not among them: a host that lost its storage, a proxy that answers with an
/// empty list and a filter that hides refs all look like "no branches", and none of them may pass for it.
pub(super) fn complete(
    operation: &'static str,
    repository: Repository,
    branches: BTreeMap<BranchName, Revision>,
    pull_requests: Vec<PullRequest>,
) -> Result<Listing, Error> {
    let problem = match &repository.default_branch {
        Some(default) if branches.contains_key(default) => {
            return Ok(Listing {
                repository,
                branches,
                pull_requests,
            });
        }
        Some(default) => format!(
            "the default branch {default} is missing among the {} branches it lists",
            branches.len()
        ),
        None => "no default branch proves that the list is complete: is the repository empty, or its HEAD detached?".to_owned(),
    };
    Err(Error::Unusable { operation, problem })
}
