//! Environment: one branch's environment.
#![allow(clippy::duplicated_attributes, reason = "every printer column repeats the names of its settings")]

mod branch;
mod inventory;
pub mod references;
pub mod requests;
pub mod run;

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::branch::{Fork, Grace, GraceState, PullRequest};
pub use self::inventory::StoredInventory;
use self::references::AccountReferences;
use self::requests::{Approval, DriftedObject, PendingApproval, Request, RequestHandled};
use self::run::{RunStatus, StageStatus};
use super::project::LocalReference;

/// One branch's environment: identity, wanted revision, and everything that was ever created for it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "graftling.dev",
    version = "v1alpha1",
    kind = "Environment",
    namespaced,
    status = "EnvironmentStatus",
    derive = "PartialEq",
    shortname = "env",
    category = "graftling",
    doc = "One branch's environment: identity, wanted revision, and everything that was ever created for it.",
    printcolumn(name = "Branch", type_ = "string", json_path = ".spec.branch"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision.applied"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = "1"),
    selectable = ".spec.branch",
    validation = Rule::new("self.metadata.name != 'default' && self.metadata.name != 'kube' && !self.metadata.name.startsWith('kube-')")
        .message("the namespace of an Environment bears its name, and this one is reserved for Kubernetes")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.projectRef == oldSelf.projectRef && self.branch == oldSelf.branch && self.repositoryId == oldSelf.repositoryId")
        .message("projectRef, branch and repositoryId are the identity of the environment and cannot change"),
    validation = Rule::new("self.branch.startsWith('refs/pull/') == (has(self.pullRequest) && has(self.pullRequest.fork))")
        .message("the branch is refs/pull/NUMBER/head exactly for a pull request from a fork")
)]
pub struct EnvironmentSpec {
    /// The Project, in the same namespace.
    pub project_ref: LocalReference,
    /// The branch, as Git names it; `refs/pull/NUMBER/head` for a pull request from a fork.
    #[schemars(length(min = 1, max = 250))]
    pub branch: String,
    /// The repository's identifier at its host.
    #[schemars(length(min = 1, max = 512))]
    pub repository_id: String,
    /// The commit that the environment should show: 40 or 64 hexadecimal digits.
    #[schemars(regex(pattern = r"^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub revision: String,
    /// The open pull request from the branch, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequest>,
    /// Values for this environment alone; they override those of the Project.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "super::any_object")]
    pub values: Map<String, Value>,
    /// While true, nothing is applied. A teardown still runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// While true, no rule of the Project ends the environment or lets it sleep as long as its branch is there: neither `lifecycle.ttl`
    /// nor a pull request that is closed or passes the filters no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Set by the server once the branch is proven to be gone, where the Project's `lifecycle.graceAfterDelete` keeps the environment
    /// for a while, or once the pull request is closed, where `pullRequests.onClose` has it sleep. A push of the branch takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Grace>,
    /// What somebody asks of the environment's runs; the server acts on each `id` once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// What people say of stages that wait for a person: one word of each on each try of a stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["run", "stage", "attempt", "by"])
    )]
    pub approvals: Vec<Approval>,
}

/// Where the environment stands.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentStatus {
    /// Where it stands, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_phase")]
    pub phase: Option<Phase>,
    /// `Ready`, `Progressing` and `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The namespace, recorded when it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NamespaceStatus>,
    /// The ServiceAccount that writes and removes the objects, recorded so that a teardown needs no Project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployer: Option<DeployerStatus>,
    /// The URL, known before anything was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Every URL that the environment's Ingresses serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Which revisions are wanted and applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionStatus>,
    /// The run under way, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunStatus>,
    /// Where each stage of that run stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageStatus>,
    /// The stages that run once in the life of the environment and have done so.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub once: BTreeSet<String>,
    /// What came of the request that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_handled: Option<RequestHandled>,
    /// The stages that wait for a person's word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_approvals: Vec<PendingApproval>,
    /// While nothing is applied: what was changed by hand, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<DriftedObject>,
    /// True while workloads may be scaled to zero because the environment rests; written before the first of them is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resting: bool,
    /// What was ever applied and not yet seen gone.
    #[serde(default, skip_serializing_if = "StoredInventory::is_empty")]
    #[schemars(schema_with = "inventory::schema")]
    pub inventory: StoredInventory,
    /// Objects of others in the namespace that were found by the teardown: they keep it, or go with it because the Project says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<String>,
    /// The volumes that claims in the namespace were bound to, recorded before the claims go, for the receipt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeStatus>,
    /// What counted on the ServiceAccounts and cannot be seen once they are gone; recorded before they are deleted, for the receipt.
    #[serde(default, skip_serializing_if = "AccountReferences::is_empty")]
    pub references: AccountReferences,
    /// What the teardown waits for although it should have ended; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<StuckObject>,
    /// The last runs, newest first; at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// When the environment expires unless something happens to it before; absent where the Project sets no `lifecycle.ttl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// The proof of the teardown, written just before the object goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Where an environment stands.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema)]
pub enum Phase {
    /// Nothing was applied yet.
    Pending,
    /// Objects are being applied or are not ready yet.
    Deploying,
    /// Everything is applied and ready.
    Ready,
    /// Somebody has to change something; what runs keeps running.
    Failed,
    /// The branch is gone; everything is scaled to zero and kept for a while.
    Resting,
    /// The teardown is under way.
    Deleting,
    /// The teardown waits for somebody.
    Blocked,
}

/// A phase that another version of graftling wrote, and that this one does not know, is none: the next pass concludes anew.
fn known_phase<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Phase>, D::Error> {
    let stored = Option::<Value>::deserialize(deserializer)?;
    Ok(stored.and_then(|phase| serde_json::from_value(phase).ok()))
}

/// The environment's namespace.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct NamespaceStatus {
    /// Its name.
    pub name: String,
    /// Its UID: a namespace of the same name with another UID is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// The ServiceAccount that writes the objects.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct DeployerStatus {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Which revisions are wanted and applied.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
pub struct RevisionStatus {
    /// What the environment should show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// What was last applied completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// The first that anything was written for; set once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// True once anything was written for another revision than the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
}

/// One object that was ever applied and not yet seen gone.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEntry {
    /// `group/version`, or `version` for the core group.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; absent for a cluster-scoped object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The stage that applies it.
    pub stage: String,
    /// The UID; absent between writing this entry and the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The digest of what was last applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The digest of the fields that were ours after the last apply: it differs once somebody else has changed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<String>,
    /// True once its deletion was confirmed during the teardown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// True once the server accepted our deletion of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// All entries at once, where they are many: then this is the only one. Compressed JSON in base64; `graftling env describe` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<String>,
}

/// A volume that a claim in the environment's namespace was bound to.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStatus {
    /// The PersistentVolume.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The name of the claim.
    pub claim: String,
    /// What happens to the volume when the claim goes.
    pub reclaim_policy: String,
}

/// One past run.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, JsonSchema)]
pub struct HistoryEntry {
    /// Its number; absent where nothing could be rendered, and in what older versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 1))]
    pub run: Option<u64>,
    /// The revision.
    pub revision: String,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it became ready or failed.
    pub at: Time,
    /// `Ready`, `Failed`, `RolledBack` or `Superseded`.
    pub result: String,
    /// Why it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Its stages and how long each took, in few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<String>,
    /// How many objects the run wrote or removed.
    #[schemars(with = "i32", range(min = 0))]
    pub changed: u32,
    /// The first few of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
}

/// An object whose deletion does not end, or cannot begin.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct StuckObject {
    /// The object.
    pub object: String,
    /// The finalizers that hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
    /// Since when.
    pub since: String,
    /// Who should have ended it, and what is known of them.
    pub cause: String,
}

/// The proof of a teardown.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// How many objects there were in the inventory.
    #[schemars(with = "i32", range(min = 0))]
    pub created: u32,
    /// How many of them were confirmed gone.
    #[schemars(with = "i32", range(min = 0))]
    pub removed: u32,
    /// What is left and why; empty after a complete teardown.
    #[serde(default)]
    pub left: Vec<LeftOver>,
    /// When the residue scan ended.
    pub at: Time,
    /// The ConfigMap that keeps the full receipt.
    pub config_map: String,
}

/// Something that is left after a teardown.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct LeftOver {
    /// The object.
    pub object: String,
    /// Why it is left.
    pub reason: String,
}
