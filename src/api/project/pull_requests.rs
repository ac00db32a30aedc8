//! What pull requests mean for environments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What pull requests mean for the environments of their branches.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRequests {
    /// What becomes of an environment whose pull request was merged or closed while its branch is there. Hosts without pull requests
    /// never show that.
    #[serde(default)]
    pub on_close: OnClose,
}

/// What becomes of an environment whose pull request is open no more.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum OnClose {
    /// It stays as long as the branch.
    #[default]
    Keep,
    /// It is torn down. A push, or reopening the pull request, brings it back.
    Teardown,
}

impl PullRequests {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
