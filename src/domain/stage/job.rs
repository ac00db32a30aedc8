//! `job`: a container that must exit with 0.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::typed;

/// A container that must exit with 0.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// The image.
    pub image: String,
    /// What is run instead of the image's entry point.
    #[serde(default)]
    pub command: Vec<String>,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables beside the facts about the environment.
    #[serde(default)]
    pub env: BTreeMap<String, Value>,
    /// Secrets and ConfigMaps of the environment whose entries become variables.
    #[serde(default)]
    pub env_from: Vec<EnvFrom>,
    /// The ServiceAccount, one of the bundle's. None: one of its own, without any right.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Requests and limits, as Kubernetes writes them.
    #[serde(default)]
    pub resources: Option<Value>,
    /// Whether it runs only once in the life of an environment, until `graftling env rerun` asks for it again.
    #[serde(default)]
    pub once: bool,
    /// Which small results it hands on: it writes lines `NAME=value` to the file that `GRAFTLING_OUTPUTS` names.
    #[serde(default)]
    pub outputs: Vec<String>,
}

/// Where variables come from. Just one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvFrom {
    /// The name of a Secret.
    #[serde(default)]
    pub secret: Option<String>,
    /// The name of a ConfigMap.
    #[serde(default)]
    pub config_map: Option<String>,
}

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Job, Vec<String>> {
    typed(settings)
}
