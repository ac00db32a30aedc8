//! Who writes the objects of environments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The ServiceAccount under which the objects of environments are written.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployer {
    /// Its name, in the Project's namespace.
    #[serde(default = "Deployer::default_name")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: String,
}

impl Deployer {
    fn default_name() -> String {
        "graftling-deployer".to_owned()
    }
}

impl Default for Deployer {
    fn default() -> Self {
        Self {
            service_account_name: Self::default_name(),
        }
    }
}
