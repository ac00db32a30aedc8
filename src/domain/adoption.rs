//! Whose a namespace is that was made for an Environment which is there no more: evidence in, verdict out.
//!
//! Custom resources get lost: their definitions are deleted, finalizers are stripped, a backup brings some objects back and others not, all
//! under new UIDs. What an environment consists of outlives them. It may be taken over only with full evidence that it was made for the
//! same environment, for whatever is taken over may be removed one day.

use std::fmt;

use serde_json::Value;

use super::git::BranchName;
use super::inventory::{Inventory, Stage};
use super::manifest::{ENVIRONMENT_LABEL, ObjectKey, PROJECT_LABEL, PROJECT_NAMESPACE_LABEL};
use super::name::{EnvironmentName, ProjectKey};
use super::record::is_record;
use super::retention::RETAINED_FROM_ANNOTATION;

/// The wanted revision of an Environment that was made anew and whose branch nobody has seen. No commit is called so, so whatever is seen
/// of the branch is news.
pub const NO_REVISION: &str = "ffffffffffffffffffffffffffffffffffffffff";

/// What a namespace says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The environment that its label names.
    pub environment: Option<String>,
    /// The namespace of the Project, as its label says.
    pub project_namespace: Option<String>,
    /// The Project, as its label says.
    pub project: Option<String>,
    /// The branch, as its annotation says.
    pub branch: Option<String>,
    /// The UID of the Environment that it was made for, as its annotation says.
    pub environment_uid: Option<String>,
    /// Whether graftling itself applied the label: labels are copied by people, but nobody applies under our name.
    pub applied: bool,
    /// Whether it is being deleted.
    pub ending: bool,
    /// Whether a teardown left it on purpose, for what is kept in it.
    pub retained: bool,
}

/// The keys under which graftling finds itself on a namespace, beside the labels that manifests bear.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    /// Our field manager.
    pub field_manager: &'a str,
    /// The annotation with the Environment's UID.
    pub environment_uid: &'a str,
    /// The annotation with the branch.
    pub branch: &'a str,
}

/// Who wants to take a namespace over.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// Its Project.
    pub project: &'a ProjectKey,
    /// Its branch.
    pub branch: &'a BranchName,
    /// The UID of the one namespace that somebody asked for by name.
    pub consent: Option<&'a str>,
}

/// Whether a namespace may be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was made for this environment.
    Adopt,
    /// It is ending: wait for its end.
    Ending,
    /// It stays untouched.
    Refuse {
        /// Why.
        doubts: Vec<Doubt>,
        /// Whether somebody who has looked at it can ask for it all the same.
        curable: bool,
    },
}

/// What speaks against taking a namespace over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// Its label names another environment, or none.
    OtherEnvironment,
    /// No environment is ever called so.
    ReservedName,
    /// Its labels name another Project.
    OtherProject,
    /// Its labels name no Project.
    NoProject,
    /// Its annotation names another branch.
    OtherBranch,
    /// It names no branch.
    NoBranch,
    /// The Environment that it was made for exists.
    EnvironmentExists(String),
    /// It does not say which Environment it was made for.
    NoEnvironmentUid,
    /// The field managers do not show that graftling made it.
    NotApplied,
    /// A teardown left it on purpose.
    Retained,
}

/// What an object that bears an environment's label shows of its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belonging {
    /// Graftling applied it, label and all.
    Applied,
    /// It bears the label, and whoever wrote that is not known.
    Labelled,
    /// It belongs to somebody else.
    Foreign,
}

/// Judges whether `claimant` may take over a namespace. `earlier_exists` answers whether the Environment that the namespace was made for is
/// there, by a consistent read over the whole cluster.
///
/// # Guarantees
/// Consent cures evidence that is missing, never evidence to the contrary.
pub fn judge(claim: &Claim, claimant: &Claimant<'_>, earlier_exists: bool) -> Verdict {
    let doubts = doubts(claim, claimant, earlier_exists);
    let curable = doubts.iter().all(Doubt::is_curable);
    let has_consent = claimant.consent == Some(claim.uid.as_str());
    if claim.ending && curable {
        Verdict::Ending
    } else if doubts.is_empty() || curable && has_consent {
        Verdict::Adopt
    } else {
        Verdict::Refuse { doubts, curable }
    }
}

fn doubts(claim: &Claim, claimant: &Claimant<'_>, earlier_exists: bool) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let name = claimant.environment.as_str();
    if claim.name != name || claim.environment.as_deref() != Some(name) {
        doubts.push(Doubt::OtherEnvironment);
    }
    if !has_form_of_an_environment(&claim.name) {
        doubts.push(Doubt::ReservedName);
    }
    match (&claim.project_namespace, &claim.project) {
        (Some(namespace), Some(project)) => {
            if namespace != claimant.project.namespace.as_str() || project != claimant.project.name.as_str() {
                doubts.push(Doubt::OtherProject);
            }
        }
        _ => doubts.push(Doubt::NoProject),
    }
    match &claim.branch {
        Some(branch) if branch == claimant.branch.as_str() => {}
        Some(_) => doubts.push(Doubt::OtherBranch),
        None => doubts.push(Doubt::NoBranch),
    }
    match &claim.environment_uid {
        Some(uid) if earlier_exists => doubts.push(Doubt::EnvironmentExists(uid.clone())),
        Some(_) => {}
        None => doubts.push(Doubt::NoEnvironmentUid),
    }
    if !claim.applied {
        doubts.push(Doubt::NotApplied);
    }
    if claim.retained {
        doubts.push(Doubt::Retained);
    }
    doubts
}

/// Every name that was ever computed ends with the digest of an identity, so none of Kubernetes' own namespaces can be meant.
fn has_form_of_an_environment(name: &str) -> bool {
    let digest = name.rsplit_once('-').map(|(_, digest)| digest);
    let is_base32 = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
    !name.starts_with("kube-") && digest.is_some_and(|digest| digest.len() == 10 && digest.bytes().all(is_base32))
}

/// What an object shows of its origin, judged for one environment.
pub fn belonging(body: &Value, environment: &str, field_manager: &str) -> Belonging {
    let label = body.pointer("/metadata/labels").and_then(|labels| labels.get(ENVIRONMENT_LABEL));
    let is_retained = body
        .pointer("/metadata/annotations")
        .is_some_and(|annotations| annotations.get(RETAINED_FROM_ANNOTATION).is_some());
    if is_retained || label.and_then(Value::as_str) != Some(environment) {
        return Belonging::Foreign;
    }
    match applied_label(body, field_manager, ENVIRONMENT_LABEL) {
        true => Belonging::Applied,
        false => Belonging::Labelled,
    }
}

/// Whether a label is among the fields that `field_manager` applied.
fn applied_label(body: &Value, field_manager: &str, label: &str) -> bool {
    let entries = body.pointer("/metadata/managedFields").and_then(Value::as_array);
    let is_ours = |entry: &&Value| {
        let text = |field: &str| entry.get(field).and_then(Value::as_str);
        text("manager") == Some(field_manager) && text("operation") == Some("Apply") && text("subresource").is_none()
    };
    let holds_label = |entry: &Value| {
        let labels = entry.pointer("/fieldsV1/f:metadata/f:labels");
        labels.is_some_and(|labels| labels.get(format!("f:{label}")).is_some())
    };
    entries.into_iter().flatten().filter(is_ours).any(holds_label)
}

/// The inventory with everything that was found recorded under its UID: what was recorded under another is of another incarnation.
pub fn rebuild(old: &Inventory, found: &[(ObjectKey, String)]) -> Inventory {
    let mut inventory = old.clone();
    for (key, uid) in found {
        if inventory.get(key).is_some_and(|entry| entry.uid.as_ref() == Some(uid)) {
            continue;
        }
        inventory.write_ahead(key, stage_of(key));
        inventory.record_found(key, uid);
    }
    inventory
}

/// The stage that an object was applied in. No bundle may use names that begin with `graftling-`, and of those only run records are
/// written as the deployer.
fn stage_of(key: &ObjectKey) -> Stage {
    match (&key.namespace, key.kind.as_str()) {
        (None, "Namespace") => Stage::Namespace,
        (Some(_), _) if key.name.starts_with("graftling-") && !is_record(key) => Stage::Guardrails,
        _ => Stage::Deploy,
    }
}

// === impl Claim ===

impl Claim {
    /// Reads what a namespace says of itself; `None` without a name or UID, which no answer lacks.
    pub fn read(body: &Value, marks: Marks<'_>) -> Option<Self> {
        let metadata = body.get("metadata")?;
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).map(str::to_owned);
        let of = |map: &str, key: &str| metadata.get(map)?.get(key)?.as_str().map(str::to_owned);
        Some(Self {
            name: text("name")?,
            uid: text("uid")?,
            environment: of("labels", ENVIRONMENT_LABEL),
            project_namespace: of("labels", PROJECT_NAMESPACE_LABEL),
            project: of("labels", PROJECT_LABEL),
            branch: of("annotations", marks.branch),
            environment_uid: of("annotations", marks.environment_uid),
            applied: applied_label(body, marks.field_manager, ENVIRONMENT_LABEL),
            retained: of("annotations", RETAINED_FROM_ANNOTATION).is_some(),
            ending: metadata.get("deletionTimestamp").is_some_and(|time| !time.is_null()),
        })
    }

    /// The Project that the labels name.
    pub fn project_key(&self) -> Option<ProjectKey> {
        Some(ProjectKey {
            namespace: self.project_namespace.as_ref()?.parse().ok()?,
            name: self.project.as_ref()?.parse().ok()?,
        })
    }
}

// === impl Doubt ===

impl Doubt {
    /// Whether evidence is missing, rather than there to the contrary. Without its Project's labels, whoever may write Environments in some
    /// Project could ask for a namespace of any other.
    fn is_curable(&self) -> bool {
        matches!(self, Self::NoBranch | Self::NoEnvironmentUid | Self::NotApplied)
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherEnvironment => formatter.write_str("its label graftling.dev/environment names another environment"),
            Self::ReservedName => formatter.write_str("its name is not one that environments have"),
            Self::OtherProject => formatter.write_str("its labels name another Project"),
            Self::NoProject => formatter.write_str("its labels name no Project"),
            Self::OtherBranch => formatter.write_str("its annotation graftling.dev/branch names another branch"),
            Self::NoBranch => formatter.write_str("it has no annotation graftling.dev/branch"),
            Self::EnvironmentExists(uid) => write!(formatter, "the Environment that it was made for, UID {uid}, exists"),
            Self::NoEnvironmentUid => formatter.write_str("it has no annotation graftling.dev/environment-uid"),
            Self::Retained => formatter.write_str(
                "it was left on purpose by a teardown, for what is kept in it; take its annotation graftling.dev/retained-from off first",
            ),
            Self::NotApplied => formatter.write_str("its managed fields do not show that graftling made it"),
        }
    }
}

/// The doubts as one text.
pub fn reasons(doubts: &[Doubt]) -> String {
    doubts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
