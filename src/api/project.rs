//! Project: one repository that gets environments.
#![allow(clippy::duplicated_attributes, reason = "every printer column repeats the names of its settings")]

mod bundle;
mod deployer;
mod ended;
mod feedback;
mod guardrails;
mod mirror;
mod notification;
mod orphans;
mod policy;
mod probe;
mod pull_requests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::deadline::Span;

pub use self::bundle::{ArchiveBundle, BundleReference, BundleRevision, ConfigMapBundle, DirectoryBundle, RepositoryBundle};
pub use self::deployer::Deployer;
pub use self::ended::{EndedBranch, EndedReason};
pub use self::feedback::Feedback;
pub use self::guardrails::{Guardrails, Limits, Network, NetworkMode, PodSecurity};
pub use self::mirror::Mirror;
pub use self::notification::{Notification, NotificationEvent, NotificationFormat, NotificationStatus};
pub use self::orphans::OrphanedNamespace;
pub use self::policy::{Claims, ClusterScoped, Forks, OnReference, Permission, References};
pub use self::probe::UrlProbe;
pub use self::pull_requests::{AuthorFilter, Drafts, OnClose, PullRequestFilters, PullRequestPolicy, PullRequests};

/// One repository that gets environments: which branches, which bundle, which guardrails.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "graftling.dev",
    version = "v1alpha1",
    kind = "Project",
    namespaced,
    status = "ProjectStatus",
    derive = "PartialEq",
    shortname = "proj",
    category = "graftling",
    doc = "One repository that gets environments: which branches, which bundle, which guardrails.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("the name of a Project must be a DNS label of at most 63 characters"),
    validation = Rule::new("self.metadata.name != 'kube' && !self.metadata.name.startsWith('kube-')")
        .message("the name of a Project must not begin with \"kube-\", which Kubernetes keeps for itself"),
    printcolumn(name = "Repository", type_ = "string", json_path = ".spec.repository"),
    printcolumn(name = "Bundle", type_ = "string", json_path = ".status.bundle"),
    printcolumn(name = "Environments", type_ = "integer", json_path = ".status.environments"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = "1")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.gitHostRef == oldSelf.gitHostRef && self.repository == oldSelf.repository")
        .message("gitHostRef and repository are part of the identity of every environment and cannot change; create another Project"),
    validation = Rule::new(notification::ONE_PLACE).message("a notification has either url or urlFrom"),
    validation = Rule::new(policy::CLUSTER_KINDS).message("policy.clusterKinds needs policy.clusterScoped: Rename or Share"),
    validation = Rule::new(policy::HOST_PORTS)
        .message("policy.claims.hostPorts needs guardrails.podSecurity: privileged, as the other levels refuse ports of nodes")
)]
pub struct ProjectSpec {
    /// The GitHost, in the same namespace, that the repository lives on.
    pub git_host_ref: LocalReference,
    /// The repository: `owner/name` at a host with owners, the path below the host's URL at a plain Git remote.
    #[schemars(length(min = 1, max = 512))]
    pub repository: String,
    /// The same repository elsewhere: what is pushed there counts until the primary, `gitHostRef`, has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub mirrors: Vec<Mirror>,
    /// Which branches get an environment.
    #[serde(default)]
    pub branches: Branches,
    /// What pull requests mean for the environments of their branches.
    #[serde(default, skip_serializing_if = "PullRequests::is_default")]
    pub pull_requests: PullRequests,
    /// What is written about environments at the Git host. Everything, unless it is switched off.
    #[serde(default, skip_serializing_if = "Feedback::is_default")]
    pub feedback: Feedback,
    /// Where the templates come from: exactly one of these sources.
    pub bundle: BundleReference,
    /// Values that override the bundle's defaults.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "super::any_object")]
    pub values: Map<String, Value>,
    /// Values for some branches; they override those above. Every rule that matches a branch counts, later ones over earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rules: Vec<ValuesRule>,
    /// What a branch may set by a file `.graftling.yaml` of its own, over the rules and below the Environment's values.
    #[serde(default, skip_serializing_if = "BranchFile::is_absent")]
    pub branch_file: BranchFile,
    /// The domain below which environments get their hosts: `<environment>.<domain>`.
    #[schemars(
        length(min = 1, max = 190),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub domain: String,
    /// The scheme of the environments' URLs.
    #[serde(default)]
    pub scheme: Scheme,
    /// What the URL of an environment must answer before it counts as ready. Without it, it is ready when its objects are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<UrlProbe>,
    /// What every environment's namespace is fenced with before anything runs in it.
    #[serde(default)]
    pub guardrails: Guardrails,
    /// How many environments there may be, and for how long.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// What templates may contain, and what a teardown does with objects of others.
    #[serde(default)]
    pub policy: Policy,
    /// Who outside is told of the Project's environments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 4),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub notifications: Vec<Notification>,
    /// The ServiceAccount, in the Project's namespace, under which the objects of environments are written.
    #[serde(default)]
    pub deployer: Deployer,
    /// While true, environments are neither created nor updated nor retired.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// An object in the same namespace.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct LocalReference {
    /// The object's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Which branches get an environment. Globs: `*` stays within one path segment, `**` crosses them.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Branches {
    /// Branches that match one of these globs get an environment.
    #[serde(default = "Branches::everything")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub include: Vec<String>,
    /// Branches that match one of these globs get none.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub exclude: Vec<String>,
    /// Branches that match one of these globs are never touched: no environment is created, updated or retired for them.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub protected: Vec<String>,
}

impl Branches {
    fn everything() -> Vec<String> {
        vec!["**".to_owned()]
    }
}

impl Default for Branches {
    fn default() -> Self {
        Self {
            include: Self::everything(),
            exclude: Vec::new(),
            protected: Vec::new(),
        }
    }
}

/// Values for some branches.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValuesRule {
    /// Branches that match one of these globs get the values.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256)))]
    pub branches: Vec<String>,
    /// The values.
    #[schemars(schema_with = "super::any_object")]
    pub values: Map<String, Value>,
}

/// What a branch may set by itself.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BranchFile {
    /// Keys that the file may set, each with everything below it: `web.replicas`, or `config.*` for the entries of `config`. Whoever
    /// can push to the branch can set them. Empty: the file is not read.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub allow: Vec<String>,
}

impl BranchFile {
    fn is_absent(&self) -> bool {
        self.allow.is_empty()
    }
}

/// The scheme of the environments' URLs.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// TLS ends at the Ingress.
    #[default]
    Https,
    /// Without TLS.
    Http,
}

/// How many environments there may be, and for how long.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// An environment to which nothing happened for so long is torn down though its branch is there: `12h`, `14d`. What counts is the
    /// latest of its creation, a push, a deployment that became ready, and the annotation `graftling.dev/extended-at`. A push brings it
    /// back. Looked at with each sweep. Without it, environments live as long as their branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = Span::PATTERN))]
    pub ttl: Option<String>,
    /// At this number further branches wait until an environment goes; running ones are never displaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 10000))]
    pub max_environments: Option<u32>,
    /// How long the environment of a deleted branch is kept, scaled to zero and with its data, before it is torn down: `24h`, `7d`; from
    /// `1s` to `30d`. A push of the branch brings the same environment back, and so does `graftling env restore`. Without it, the
    /// environment goes with its branch. It counts for branches deleted from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 8),
        regex(pattern = Span::PATTERN),
        extend("x-kubernetes-validations" = [{ "rule": Span::RULE, "message": "at most 30d" }])
    )]
    pub grace_after_delete: Option<String>,
}

/// What templates may contain, and what a teardown does with objects of others.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Kinds that templates may contain beyond the default list, as `group/Kind` (`/Kind` for the core group). Namespaced kinds only:
    /// others go into `clusterKinds`.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 2, max = 320)))]
    pub kinds: Vec<String>,
    /// What a teardown does when the namespace holds objects that graftling did not create.
    #[serde(default)]
    pub foreign_objects: ForeignObjects,
    /// What becomes of pull requests from forks.
    #[serde(default, skip_serializing_if = "Forks::is_default")]
    pub forks: Forks,
    /// What becomes of objects of templates that belong to no namespace: `Deny` refuses them, `Rename` gives each environment its own,
    /// `Share` lets environments that bring the same object use one, which goes with the last of them. The chart has to give the
    /// deployer the rights (value `rbac.clusterScoped`).
    #[serde(default)]
    pub cluster_scoped: ClusterScoped,
    /// Custom kinds without a namespace that templates may contain where `clusterScoped` lets them, as `group/Kind`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(length(min = 3, max = 320), regex(pattern = r"^[a-z0-9.-]+/[A-Z][A-Za-z0-9]*$"))
    )]
    pub cluster_kinds: Vec<String>,
    /// Which things that a cluster has only once templates may claim. What others hold is never taken.
    #[serde(default)]
    pub claims: Claims,
    /// What a teardown does when something still counts on a ServiceAccount that it is about to delete.
    #[serde(default)]
    pub references: References,
    /// Whether templates may put the annotation `graftling.dev/retain: "true"` on their objects, which then outlive their environment
    /// with the namespace that they are in. On a live object it counts whoever put it there.
    #[serde(default)]
    pub retain: Permission,
    /// Hosts that stages may call by webhook, as globs: `*` stays within one label, `**` crosses them. None unless they are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub webhooks: Vec<String>,
    /// Image registries that stages may ask for images, as globs over their hosts; without it, the well-known public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub registries: Option<Vec<String>>,
}

/// What a teardown does with objects that graftling did not create.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum ForeignObjects {
    /// The namespace stays until somebody removes them; the status lists them.
    #[default]
    Block,
    /// They go with the namespace; the receipt lists them.
    Delete,
}

/// What graftling knows about the Project.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectStatus {
    /// `Ready`: settings are valid and the last look at the repository succeeded. `Stalled`: somebody has to do something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The repository's identifier at its host; environments belong to it and not to the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// Where the templates come from, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// The default branch as the last look at the repository saw it. Bundles of the default branch are read at this commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<BranchHead>,
    /// How many environments there were when the repository was listed last.
    #[serde(default)]
    #[schemars(with = "i32", range(min = 0))]
    pub environments: u32,
    /// Branches without an environment, with the reason; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedBranch>,
    /// Namespaces of the Project's environments whose Environment object is lost; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<OrphanedNamespace>,
    /// Branches that are there and have no environment, because a rule of this Project ended it. Each is left alone at this revision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub ended: Vec<EndedBranch>,
    /// Who is told of the Project's environments, since when, and where it is remembered of what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<NotificationStatus>,
    /// Retirements that are held because there are too many at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brake: Option<Brake>,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A branch and its head.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct BranchHead {
    /// The branch.
    pub name: String,
    /// The commit.
    pub revision: String,
}

/// A branch without an environment.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct SkippedBranch {
    /// The branch.
    pub branch: String,
    /// Why it has none.
    pub reason: String,
}

/// Retirements that are held.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct Brake {
    /// What to write into the annotation `graftling.dev/release-brake` to release exactly these.
    pub digest: String,
    /// The environments, at most 200 named.
    pub environments: Vec<String>,
    /// Their branches, in the same order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<String>,
    /// How many there are.
    #[schemars(with = "i32", range(min = 0))]
    pub count: u32,
    /// Since when the brake holds any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}
