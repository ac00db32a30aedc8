//! The memory of branches whose environment a rule of the Project ended.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A branch that is there and has no environment, because a rule of the Project ended it.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedBranch {
    /// The branch.
    pub branch: String,
    /// The repository's identifier at its host.
    pub repository_id: String,
    /// The head that gets no environment. A branch that has moved on does.
    pub revision: String,
    /// Which rule.
    pub reason: EndedReason,
    /// When the environment was ended.
    pub at: Time,
}

/// Which rule of a Project ended an environment, if any did.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub enum EndedReason {
    /// `lifecycle.ttl`.
    Expired,
    /// `pullRequests.onClose`.
    PullRequestClosed,
    /// None: somebody wrote `/preview down` on its pull request.
    Requested,
}
