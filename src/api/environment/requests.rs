//! What people ask of an environment's runs, and what they say where a run waits for a person.
//!
//! Both stand in the spec, so that the API server's own authentication and authorisation decide who may write them. The chart's admission
//! policy `approvals` proves that `by` and `groups` are those of the caller.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody asks of the environment's runs, once. Whoever writes it writes all of it.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
#[x_kube(
    validation = Rule::new("!(self.action in ['Skip', 'Rerun']) || has(self.stage)").message("Skip and Rerun need stage"),
    validation = Rule::new("self.action in ['Retry', 'Skip', 'Rerun'] || !has(self.stage)").message("stage is for Retry, Skip and Rerun"),
    validation = Rule::new("self.action == 'Rollback' || !has(self.run) && !has(self.revision)")
        .message("run and revision are for Rollback"),
    validation = Rule::new("!(has(self.run) && has(self.revision))").message("run and revision exclude each other"),
    validation = Rule::new("(self.action == 'Sync') == (has(self.objects) && self.objects.size() > 0)")
        .message("Sync needs objects, and nothing else takes any")
)]
pub struct Request {
    /// What tells this request from every other, for example a UUID. The server acts on it once, and answers in `status.requestHandled`.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$"))]
    pub id: String,
    /// What is asked for.
    pub action: RequestAction,
    /// The stage to skip or to run again; for `Retry`, the one to begin from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub stage: Option<String>,
    /// The run to roll back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 1))]
    pub run: Option<u64>,
    /// The revision to roll back to, or its beginning: at least 7 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[0-9a-f]{7,64}$"))]
    pub revision: Option<String>,
    /// The objects to put right, each as `KIND/NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        inner(length(min = 3, max = 320), regex(pattern = r"^[A-Za-z][A-Za-z0-9]*/[^/]+$"))
    )]
    pub objects: Vec<String>,
    /// Who asks: the caller's name, as the API server knows it.
    #[schemars(length(min = 1, max = 256))]
    pub by: String,
    /// When, by the caller's clock.
    pub at: Time,
}

/// What can be asked of an environment's runs.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub enum RequestAction {
    /// What failed in the last run is tried again; with `stage`, that stage and everything that needs it.
    Retry,
    /// The stage does not run, and what needs it goes on.
    Skip,
    /// The stage runs once more, also if it runs only once in the life of an environment.
    Rerun,
    /// A new run puts back what an earlier run applied. Without `run` and `revision`: the last good one.
    Rollback,
    /// Only some objects are put right.
    Sync,
}

/// One person's word on a stage that waits for one.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// The number of the run.
    #[schemars(with = "i64", range(min = 1))]
    pub run: u64,
    /// The stage.
    #[schemars(length(min = 1, max = 63))]
    pub stage: String,
    /// Which try of the stage: a stage that is run again asks again.
    #[schemars(with = "i32", range(min = 1))]
    pub attempt: u32,
    /// Who says it: the caller's name, as the API server knows it.
    #[schemars(length(min = 1, max = 256))]
    pub by: String,
    /// What is said.
    pub verdict: Verdict,
    /// Those of the caller's groups that matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 256)))]
    pub groups: Vec<String>,
    /// When, by the caller's clock.
    pub at: Time,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub comment: Option<String>,
}

/// What a person says of a stage.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub enum Verdict {
    /// It may go on.
    Approved,
    /// It ends here.
    Rejected,
}

/// What came of the request that was handled last.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestHandled {
    /// The request's `id`: it is not acted on again.
    pub id: String,
    /// Whether it was done. Otherwise nothing was changed.
    pub accepted: bool,
    /// What came of it, or why nothing did and what to do instead.
    pub message: String,
    /// When.
    pub at: Time,
}

/// A stage that waits for a person's word.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingApproval {
    /// The number of the run.
    #[schemars(with = "i64", range(min = 1))]
    pub run: u64,
    /// The stage.
    pub stage: String,
    /// Which try of the stage.
    #[schemars(with = "i32", range(min = 1))]
    pub attempt: u32,
    /// Since when it asks.
    pub since: Time,
    /// The groups that the stage is reserved to; none: whoever has the right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Until when the question stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// An object that somebody changed while nothing is applied.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct DriftedObject {
    /// The object, as `KIND/NAME`.
    pub object: String,
    /// What became of it: the fields that were changed, or that it was deleted.
    pub change: String,
}
