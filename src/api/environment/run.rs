//! Where the run of an environment and its stages stand, as it is stored.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The run under way, or the last one.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// Its number in the life of the environment: it only grows.
    #[schemars(with = "i64", range(min = 1))]
    pub number: u64,
    /// The commit that it is for.
    pub revision: String,
    /// The digest of what was rendered for it.
    pub digest: String,
    /// The run whose record it puts back; absent where the bundle was rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 1))]
    pub record: Option<u64>,
    /// Why it began.
    pub because: String,
    /// When it began.
    pub started: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// `Running`, `Succeeded`, `Failed`, `RolledBack` or `Superseded`.
    pub state: String,
    /// How many objects it has written or removed so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(with = "i32", range(min = 0))]
    pub changed: u32,
    /// The first few of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
}

/// Where one stage stands.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageStatus {
    /// The stage's name.
    pub name: String,
    /// `Waiting`, `Running`, `Succeeded`, `Failed` or `Skipped`; of the namespace and the guardrails `Ready` instead of `Succeeded`.
    pub state: String,
    /// What it waits for or failed at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many tries have begun.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(with = "i32", range(min = 0))]
    pub tries: u32,
    /// How many tries had begun before somebody asked for it again.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(with = "i32", range(min = 0))]
    pub earlier: u32,
    /// What somebody decided about it: `Skip` or `Run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
    /// When the last try began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// Not before this time does the next try begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// How many answers in a row were good, or bad if it is below zero, where the stage counts them.
    #[serde(default, skip_serializing_if = "is_level")]
    pub streak: i32,
    /// Small results for later stages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// The stage whose failure keeps it from running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_need: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_level(number: &i32) -> bool {
    *number == 0
}
