//! The receipt of a teardown as it is kept: `receipt.yaml` of its ConfigMap. Its very bytes are what is signed.
//!
//! Fields are only added, each with a default, so that old receipts stay readable and new ones can be read by an old program.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use super::environment::references::CloudIdentity;
use super::environment::{Environment, LeftOver};
use super::keys;

/// The version of the format; a receipt with another major version is refused rather than guessed at.
pub const API_VERSION: &str = "graftling.dev/receipt/v1";

/// The key of the text in the ConfigMap.
pub const TEXT_KEY: &str = "receipt.yaml";

/// The key of the signature in the ConfigMap: base64 of a DER-encoded ECDSA signature (P-256, SHA-256) over the bytes of the text.
pub const SIGNATURE_KEY: &str = "receipt.sig";

/// The name of the ConfigMap with the receipt of an Environment: another one for each incarnation of a branch.
pub fn config_map_name(environment: &str, uid: &str) -> String {
    let incarnation: String = uid.chars().take(8).collect();
    format!("{environment}-{incarnation}-receipt")
}

/// Everything that a teardown leaves as its proof.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FullReceipt {
    /// [`API_VERSION`].
    #[serde(default)]
    pub api_version: String,
    /// The Environment.
    pub environment: String,
    /// Its UID: a branch that comes back gets an Environment of the same name and another UID.
    #[serde(default)]
    pub uid: String,
    /// `namespace/name` of its Project.
    pub project: String,
    /// The branch.
    pub branch: String,
    /// Why the environment was removed.
    #[serde(default)]
    pub because: String,
    /// The repository at its Git host.
    pub repository_id: String,
    /// The revision that it showed last.
    #[serde(default)]
    pub revision: Option<String>,
    /// When its end was asked for.
    #[serde(default)]
    pub requested_at: Option<Time>,
    /// When the last look had ended.
    pub completed_at: Time,
    /// How many objects were created: the length of `objects`.
    pub created: u32,
    /// How many of them are no more, whoever removed them.
    pub removed: u32,
    /// How many of them stay on purpose.
    #[serde(default)]
    pub kept: u32,
    /// What is left and why.
    pub left: Vec<LeftOver>,
    /// What became of each object.
    pub objects: Vec<ObjectResult>,
    /// Objects that stay, because other environments own them as well.
    #[serde(default)]
    pub shared_objects: Vec<String>,
    /// Objects of others that went with the namespace, as the Project says.
    #[serde(default)]
    pub foreign_objects: Vec<String>,
    /// What elsewhere still names a ServiceAccount that is gone.
    #[serde(default)]
    pub dangling_references: Vec<String>,
    /// Whether the tokens of each removed ServiceAccount are proved dead.
    #[serde(default)]
    pub tokens: Vec<TokenProof>,
    /// Identities of clouds that removed ServiceAccounts had by annotation: the trust outlives the account.
    #[serde(default)]
    pub cloud_identities: Vec<CloudIdentity>,
    /// Secrets of others with tokens of ServiceAccounts, which Kubernetes deleted together with the accounts.
    #[serde(default)]
    pub token_secrets: Vec<String>,
    /// Finalizers that somebody removed by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finalizers_removed: Vec<FinalizerRemoved>,
    /// What came of the teardown stages, which ran before anything was removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teardown_stages: Vec<String>,
    /// The volumes that claims of the environment were bound to.
    #[serde(default)]
    pub volumes: Vec<VolumeResult>,
    /// Objects that mention the environment's name and bear no mark of it: for people to look at.
    #[serde(default)]
    pub mentions: Vec<Mention>,
    /// The last look over the whole cluster.
    #[serde(default)]
    pub scan: Scan,
    /// The id of the key that signed this text; absent for a receipt that nobody signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Why nobody signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsigned_because: Option<String>,
}

/// A finalizer that somebody removed by hand, as the annotation on the Environment and the receipt hold it. It says what its author
/// wrote; who really did what, the API server's audit log knows.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct FinalizerRemoved {
    /// The object.
    pub object: String,
    /// The finalizer.
    pub finalizer: String,
    /// Who removed it.
    pub by: String,
    /// When.
    pub at: String,
}

impl FinalizerRemoved {
    /// What was recorded on an Environment; nothing, if it cannot be read.
    pub fn of(environment: &Environment) -> Vec<Self> {
        let text = environment.annotations().get(keys::FINALIZERS_REMOVED_ANNOTATION);
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// What became of one object.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectResult {
    /// The object.
    pub object: String,
    /// Its UID.
    #[serde(default)]
    pub uid: Option<String>,
    /// `removed`, `gone before`, `went with its namespace`, `kept: …` or `left: …`.
    #[serde(default)]
    pub result: String,
}

/// What is known of the tokens of a removed ServiceAccount.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TokenProof {
    /// The ServiceAccount.
    pub account: String,
    /// Its UID.
    pub uid: String,
    /// When the API server refused a token that it accepted while the account was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved_dead: Option<Time>,
    /// Why nothing is proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_proved: Option<String>,
}

/// A volume that a claim of the environment was bound to.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeResult {
    /// The PersistentVolume.
    pub persistent_volume: String,
    /// Its UID.
    #[serde(default)]
    pub uid: String,
    /// `namespace/name` of the claim.
    pub claim: String,
    /// `Retain`, `Delete` or `Recycle`.
    pub reclaim_policy: String,
    /// `removed`, or `left: ` and why.
    pub result: String,
}

/// An object that mentions the environment.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The object.
    pub object: String,
    /// Where it does so.
    pub r#where: String,
}

/// What a look over the whole cluster cost and could not see.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Scan {
    /// How many kinds were listed.
    pub kinds: u32,
    /// How many requests that took, for all environments that shared the look.
    pub requests: u32,
    /// How many objects were looked at.
    pub objects: u64,
    /// How long it took.
    pub milliseconds: u64,
    /// Kinds that the server may not list.
    #[serde(default)]
    pub not_visible: Vec<String>,
    /// API groups that did not answer, and that somebody said not to wait for.
    #[serde(default)]
    pub not_answering: Vec<String>,
    /// How many further mentions there were beside those listed.
    #[serde(default)]
    pub further_mentions: u32,
}

/// What a receipt is given along, in an annotation: what others have still to be told of the life of its environment.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// When the environment came into being.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Where it was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its last runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<PastRun>,
}

/// A run of an environment that is gone.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct PastRun {
    /// Its number.
    pub number: u64,
    /// The commit.
    pub revision: String,
    /// When it began.
    pub started: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// How it stood.
    pub state: String,
    /// Whether it was the run before a removal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removal: bool,
}

impl FullReceipt {
    /// What does not add up in it; empty for a receipt that is consistent.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.api_version != API_VERSION {
            problems.push(format!("its format is {:?} and not {API_VERSION}", self.api_version));
        }
        let counted = |is: fn(&ObjectResult) -> bool| self.objects.iter().filter(|object| is(object)).count();
        for (name, said, found) in [
            ("created", self.created, self.objects.len()),
            ("removed", self.removed, counted(ObjectResult::is_removed)),
            ("kept", self.kept, counted(ObjectResult::is_kept)),
        ] {
            if usize::try_from(said) != Ok(found) {
                problems.push(format!("it says {name} {said}, and lists {found}"));
            }
        }
        let results = self.objects.iter().map(|object| (object.object.clone(), &object.result));
        let volumes = self
            .volumes
            .iter()
            .map(|volume| (format!("v1 PersistentVolume {}", volume.persistent_volume), &volume.result));
        let is_told = |object: &str| self.left.iter().any(|left| left.object == object);
        for (object, result) in results.chain(volumes) {
            if result.starts_with("left: ") && !is_told(&object) {
                problems.push(format!("{object} is left and not listed so"));
            }
        }
        problems
    }
}

impl ObjectResult {
    /// Whether the object is no more.
    pub fn is_removed(&self) -> bool {
        matches!(self.result.as_str(), "removed" | "gone before" | "went with its namespace")
    }

    /// Whether the object stays on purpose.
    pub fn is_kept(&self) -> bool {
        self.result.starts_with("kept: ")
    }
}
