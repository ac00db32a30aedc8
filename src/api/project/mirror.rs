//! The same repository on further hosts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LocalReference;

/// The repository on another host, or under another name on the same one.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    /// The GitHost, in the same namespace. Its webhooks say that something was pushed there; the periodic sweep does not look there.
    pub git_host_ref: LocalReference,
    /// The repository there.
    #[schemars(length(min = 1, max = 512))]
    pub repository: String,
}
