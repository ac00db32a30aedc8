//! What templates may bring beyond their namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of objects that belong to no namespace.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum ClusterScoped {
    /// They are refused.
    #[default]
    Deny,
    /// Each environment has its own, under a name that ends with its hash.
    Rename,
    /// Environments that bring the same object use one.
    Share,
}

/// Which things that a cluster has only once templates may claim.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// Services of type `NodePort`, and explicit node ports.
    #[serde(default)]
    pub node_ports: Permission,
    /// Ports of a pod's node. Pod Security levels other than `privileged` refuse them as well.
    #[serde(default)]
    pub host_ports: Permission,
    /// Services of type `LoadBalancer`, and given addresses.
    #[serde(default)]
    pub load_balancers: Permission,
    /// Volumes by name.
    #[serde(default)]
    pub static_volumes: Permission,
}

/// Whether something may be claimed.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum Permission {
    /// It is refused.
    #[default]
    Deny,
    /// It may, unless somebody else holds it.
    Allow,
}
