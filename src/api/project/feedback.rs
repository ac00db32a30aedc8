//! What is written about environments where people look at a Git host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is written about environments at the Git host, as far as the host knows such things and the GitHost's credentials may write them.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Feedback {
    /// One comment on the pull request of a branch, changed in place. Hosts mail what is new to everybody who follows the pull request.
    #[serde(default = "yes")]
    pub comment: bool,
    /// A commit status `preview/PROJECT` on the head of each branch with an environment, and on that of the default branch how all of them
    /// stand, if that branch has none itself.
    #[serde(default = "yes")]
    pub commit_status: bool,
    /// A deployment for each environment, where the host knows deployments.
    #[serde(default = "yes")]
    pub deployments: bool,
}

impl Default for Feedback {
    fn default() -> Self {
        Self {
            comment: true,
            commit_status: true,
            deployments: true,
        }
    }
}

impl Feedback {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn yes() -> bool {
    true
}
