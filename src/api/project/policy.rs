//! What templates may bring beyond their namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// CEL: kinds outside of namespaces are of no use while all such objects are refused.
pub(super) const CLUSTER_KINDS: &str = "!has(self.policy) || !has(self.policy.clusterKinds) || self.policy.clusterKinds.size() == 0 || \
     (has(self.policy.clusterScoped) && self.policy.clusterScoped != 'Deny')";

/// CEL: what the namespace's Pod Security level refuses cannot be allowed here.
pub(super) const HOST_PORTS: &str = "!has(self.policy) || !has(self.policy.claims) || !has(self.policy.claims.hostPorts) || \
     self.policy.claims.hostPorts != 'Allow' || \
     (has(self.guardrails) && has(self.guardrails.podSecurity) && self.guardrails.podSecurity == 'privileged')";

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

/// What becomes of pull requests from forks.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum Forks {
    /// Nothing.
    #[default]
    Ignore,
    /// A pull request gets an environment at exactly the commit that somebody who may write to the repository approved, by a comment
    /// `/preview approve <commit>`. A push needs another approval; until then what was approved is shown. Such environments are fenced
    /// more tightly, get no Secrets, and read neither bundle nor `.graftling.yaml` from the fork. They go when the pull request is closed.
    Approve,
}

impl Forks {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::Ignore
    }
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

/// What a teardown does when something still counts on a ServiceAccount that it is about to delete.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct References {
    /// ClusterRoleBindings, and RoleBindings of other namespaces, that name an account of the environment or all of its accounts: a later
    /// account of that name would have their rights.
    #[serde(default = "OnReference::block")]
    pub bindings: OnReference,
    /// Secrets of type `kubernetes.io/service-account-token` that somebody else made for an account of the environment: Kubernetes
    /// deletes them together with the account.
    #[serde(default = "OnReference::block")]
    pub tokens: OnReference,
    /// Annotations of accounts that name an identity of a cloud: what trusts the account there outlives it.
    #[serde(default = "OnReference::report")]
    pub cloud_identities: OnReference,
}

/// What to do about a reference.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub enum OnReference {
    /// The accounts and their rights stay until the reference is gone; the status names it.
    Block,
    /// The teardown goes on; the receipt lists the reference.
    Report,
}

impl OnReference {
    fn block() -> Self {
        Self::Block
    }

    fn report() -> Self {
        Self::Report
    }
}

impl Default for References {
    fn default() -> Self {
        Self {
            bindings: OnReference::Block,
            tokens: OnReference::Block,
            cloud_identities: OnReference::Report,
        }
    }
}
