//! Namespaces whose Environment is lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A namespace that has lost its Environment. Nothing is removed from it before an Environment has taken it over.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct OrphanedNamespace {
    /// Its name, which was the Environment's.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// The branch, as its annotation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What becomes of it, and the way out.
    pub message: String,
}
