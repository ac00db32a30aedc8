//! Run records: what a run applies and what a removal has to do first, kept beside the environment's objects.
//!
//! A record is all that a rollback and the teardown stages need, so that neither asks a bundle, a branch or a repository that may be gone.
//! It is kept in Secrets of the environment's namespace, because it holds the environment's own Secrets. Whoever may write Secrets there
//! could have written it: a record is a claim, and what is read of it passes [`crate::domain::manifest::admit`] like any bundle's documents.

mod contents;
mod journal;
mod keep;
mod mask;
mod packing;
mod secrets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::bundle::pipeline::Pipeline;
use super::manifest::{Manifest, ObjectKey};
use super::observed::is_secret;
use super::render::Document;
use super::run::RunNumber;
pub use contents::undress;
pub use journal::{ContainerLog, Journal, MAX_LINES, MAX_LOG};
pub use keep::{MAX_SECRETS, ROOM, Shown, keep};
pub use mask::Mask;
pub(crate) use packing::{pack, unpack};
pub use secrets::{Head, Home, JOURNAL_FIELD, JOURNAL_MANAGER, MAX_PART, MAX_PARTS, Stored, secrets};

/// The version that a record says it is of.
pub const VERSION: &str = "graftling.dev/run/v1";

/// What the names of records begin with; no bundle may use names that begin with `graftling-`.
const PREFIX: &str = "graftling-run-";

/// What one run consists of.
#[derive(Clone, PartialEq)]
pub struct Record {
    /// The run.
    pub run: RunNumber,
    /// The revision that it is for.
    pub revision: String,
    /// When the record was made.
    pub created: Timestamp,
    /// What it holds.
    pub contents: Contents,
}

/// What a record holds: the same for runs that apply the same.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contents {
    /// The digest of what was rendered, as the run has it.
    pub digest: String,
    /// Whether it was rendered as an environment's first deployment.
    pub first_deploy: bool,
    /// The stages, rendered, those before a removal among them.
    pub pipeline: Pipeline,
    /// What was rendered, by the stage that applies it, without what admission adds: it is admitted again when it is read.
    pub objects: BTreeMap<String, Vec<Document>>,
    /// The main URL.
    pub url: String,
    /// Every URL that an Ingress serves.
    pub urls: Vec<String>,
    /// The ServiceAccount that applied it.
    pub deployer: Deployer,
}

/// A ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deployer {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Why there is no record to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It would need too many Secrets.
    #[error(
        "run {run}: its record has {bytes} bytes even compressed, at most {limit} are kept: make the bundle's objects smaller, or a \
         rollback to this run is not possible"
    )]
    TooLarge {
        /// The run.
        run: RunNumber,
        /// Its size, compressed.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Another version of graftling wrote it.
    #[error("Secret {name} is a record of version {version:?}, and this graftling reads {VERSION}: use the one that wrote it")]
    OtherVersion {
        /// The Secret.
        name: String,
        /// What it says.
        version: String,
    },
    /// It is of another environment: somebody copied it.
    #[error("Secret {name} is a record of the environment {environment}, not of this one: remove the Secret")]
    OtherEnvironment {
        /// The Secret.
        name: String,
        /// The other environment.
        environment: String,
    },
    /// It is not as it was written.
    #[error("Secret {name} is not as graftling wrote it: {reason}; nothing of it is used")]
    Damaged {
        /// The Secret.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Record {
    /// The objects by the stage that applies them, from admitted manifests.
    pub fn objects_of<'m>(stages: impl IntoIterator<Item = (String, &'m Manifest)>) -> BTreeMap<String, Vec<Document>> {
        let mut objects: BTreeMap<String, Vec<Document>> = BTreeMap::new();
        for (stage, manifest) in stages {
            objects.entry(stage).or_default().push(undress(manifest));
        }
        objects
    }
}

/// The name of a run's record.
pub fn name(run: RunNumber) -> String {
    format!("{PREFIX}{run}")
}

/// The name of one of the Secrets of a record, counted from 1.
pub fn part_name(run: RunNumber, part: usize) -> String {
    match part {
        0 | 1 => name(run),
        part => format!("{PREFIX}{run}-{part}"),
    }
}

/// The run whose record an object is, or a part of it; `None` for every other object.
pub fn run_of(key: &ObjectKey) -> Option<RunNumber> {
    if !is_secret(key) || key.namespace.is_none() {
        return None;
    }
    let rest = key.name.strip_prefix(PREFIX)?;
    let (number, part) = rest.split_once('-').unwrap_or((rest, "2"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = Some(number).filter(|number| is_number(number) && is_number(part))?;
    number.parse().ok().map(RunNumber)
}

/// Whether an object is a record, or a part of one.
pub fn is_record(key: &ObjectKey) -> bool {
    run_of(key).is_some()
}

/// It holds Secrets, so it is not shown.
impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Record(run {}, {}, {:?})", self.run, self.revision, self.contents)
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects: usize = self.objects.values().map(Vec::len).sum();
        write!(
            formatter,
            "Contents({}, {objects} objects in {} stages)",
            self.digest,
            self.objects.len()
        )
    }
}
