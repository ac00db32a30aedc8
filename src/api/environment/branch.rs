//! What an Environment says of its branch: its open pull request, and what keeps it once one of both is gone.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What keeps an environment whose branch is gone or whose pull request was closed. Whoever writes it writes all of it, so that it can be taken away whole.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, JsonSchema)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct Grace {
    /// What the environment does meanwhile.
    pub state: GraceState,
    /// Since when, by the API server's clock.
    pub since: Time,
    /// Until when. What comes then takes a look at the repository that proves once more that the branch is gone. A sleep has no end of
    /// its own: here is its beginning.
    pub until: Time,
    /// What proved that the branch is gone, or the pull request closed.
    #[schemars(length(max = 256))]
    pub reason: String,
}

/// What an environment does whose branch is gone, or whose pull request was closed.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub enum GraceState {
    /// It is scaled to zero, with its data; at the end it is torn down.
    Resting,
    /// `graftling env restore` asked for it, so it runs; at the end it rests once more.
    Restored,
    /// Its pull request was closed. It is scaled to zero, with its data, until the branch is pushed or the pull request reopened.
    Sleeping,
    /// `graftling env restore` asked for it while it slept, so it runs; at the end it sleeps once more.
    Woken,
}

/// An open pull request.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct PullRequest {
    /// The number that people use.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// The branch to merge into.
    pub base: String,
    /// The author's login.
    pub author: String,
    /// The title.
    pub title: String,
    /// Label names, sorted.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
    /// Set if it comes from a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
}

/// Where a pull request comes from whose head is no branch of the repository itself.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct Fork {
    /// Its head as it was last seen. An environment that shows another commit waits for somebody to approve this one.
    #[schemars(regex(pattern = r"^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub revision: String,
    /// The other repository; none once it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
}
