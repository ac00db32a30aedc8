//! What fences an environment's namespace, as it is written in a Project.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What fences an environment's namespace.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guardrails {
    /// Hard limits of the ResourceQuota, for example `limits.cpu: "4"`. Left out: graftling's defaults. Empty: no quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "quantities")]
    pub quota: Option<BTreeMap<String, String>>,
    /// Defaults for containers that set no resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// What may reach the environment and what it may reach.
    #[serde(default)]
    pub network: Network,
    /// The Pod Security level that the namespace enforces.
    #[serde(default)]
    pub pod_security: PodSecurity,
}

/// Defaults for containers that set no resources.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Default limits, for example `memory: 512Mi`.
    #[serde(default)]
    #[schemars(schema_with = "quantities")]
    pub default: BTreeMap<String, String>,
    /// Default requests.
    #[serde(default)]
    #[schemars(schema_with = "quantities")]
    pub default_request: BTreeMap<String, String>,
}

/// What may reach an environment and what it may reach.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// `Isolated`: only the environment itself and the namespaces of `ingressFrom` may connect, and pods reach DNS, the
    /// environment and the public Internet, but no private network. `Open`: no NetworkPolicy.
    #[serde(default)]
    pub mode: NetworkMode,
    /// Labels of the namespaces that may connect, usually that of the Ingress controller.
    #[serde(default = "Network::ingress_controller")]
    pub ingress_from: BTreeMap<String, String>,
    /// Labels of the namespace that graftling's server runs in, for example `kubernetes.io/metadata.name: graftling`: lets the checks of
    /// stages connect to pods. Without it, they do not where NetworkPolicies are enforced.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks_from: BTreeMap<String, String>,
}

impl Network {
    fn ingress_controller() -> BTreeMap<String, String> {
        BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), "ingress-nginx".to_owned())])
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            mode: NetworkMode::default(),
            ingress_from: Self::ingress_controller(),
            checks_from: BTreeMap::new(),
        }
    }
}

/// Whether NetworkPolicies are made.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum NetworkMode {
    /// Default deny with named exceptions.
    #[default]
    Isolated,
    /// No NetworkPolicy.
    Open,
}

/// The Pod Security Standards.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// No restriction.
    Privileged,
    /// Prevents known privilege escalations.
    #[default]
    Baseline,
    /// Hardened.
    Restricted,
}

fn quantities(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": { "type": "string", "maxLength": 64 }
    })
}
