//! What counted on the ServiceAccounts of an environment when they were removed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// References to ServiceAccounts that cannot be seen any more once the accounts are gone.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountReferences {
    /// Identities of clouds that accounts had by annotation: the trust outlives the account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cloud_identities: Vec<CloudIdentity>,
    /// Secrets of others with tokens of accounts: Kubernetes deletes them together with the account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_secrets: Vec<String>,
}

impl AccountReferences {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.cloud_identities.is_empty() && self.token_secrets.is_empty()
    }
}

/// An identity of a cloud.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct CloudIdentity {
    /// The ServiceAccount.
    pub account: String,
    /// The annotation that names the identity.
    pub annotation: String,
    /// Its value.
    pub value: String,
}
