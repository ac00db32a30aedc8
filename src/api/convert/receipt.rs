//! The proof of a teardown, in full for its ConfigMap and in short for the status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::environment::Identity;
use super::references;
use crate::api::environment::{Environment, LeftOver, Receipt};
use crate::api::receipt::{API_VERSION, FinalizerRemoved, FullReceipt, Mention, ObjectResult, Scan, VolumeResult, config_map_name};
use crate::domain::inventory::{Entry, Inventory};
use crate::domain::manifest::ObjectKey;
use crate::domain::plan::teardown::identities::Proof;
use crate::domain::plan::teardown::references::Reference;
use crate::domain::plan::teardown::retain::Kept;
use crate::domain::residue::Shared;

/// A teardown that is over.
#[derive(Debug)]
pub struct Teardown<'a> {
    /// The Environment.
    pub environment: &'a Environment,
    /// Who it is.
    pub identity: &'a Identity,
    /// Everything that was ever created, with what is confirmed gone.
    pub inventory: &'a Inventory,
    /// What stays on purpose.
    pub kept: &'a [Kept],
    /// Bindings elsewhere that still name a removed ServiceAccount.
    pub references: &'a [Reference],
    /// What is known of the tokens of removed ServiceAccounts.
    pub proofs: &'a [Proof],
    /// Objects that are there still, because other environments own them as well.
    pub shared: &'a [Shared],
    /// The volumes that claims were bound to.
    pub volumes: Vec<VolumeResult>,
    /// What else mentions the environment.
    pub mentions: Vec<Mention>,
    /// What the last look cost and could not see.
    pub scan: Scan,
    /// The id of the key that the text is going to be signed with, or why there is none.
    pub key: Result<String, String>,
    /// When the last look ended.
    pub at: Time,
}

/// The short receipt and the text of the full one.
pub fn write(teardown: Teardown<'_>) -> (Receipt, String) {
    let full = full(teardown);
    let summary = Receipt {
        created: full.created,
        removed: full.removed,
        left: full.left.clone(),
        at: full.completed_at.clone(),
        config_map: config_map_name(&full.environment, &full.uid),
    };
    // Plain structures of text and numbers always serialise; the short receipt says the same if they ever should not.
    let text = serde_saphyr::to_string(&full).unwrap_or_else(|_| format!("created: {}\nremoved: {}\n", full.created, full.removed));
    (summary, text)
}

fn full(teardown: Teardown<'_>) -> FullReceipt {
    let environment = teardown.environment;
    let status = environment.status.as_ref();
    let objects = objects(&teardown);
    let left = left(teardown.kept, &objects, &teardown.volumes);
    let accounts = status.map(|status| status.references.clone()).unwrap_or_default();
    let (signed_by, unsigned_because) = match teardown.key {
        Ok(id) => (Some(id), None),
        Err(because) => (None, Some(because)),
    };
    FullReceipt {
        api_version: API_VERSION.to_owned(),
        environment: environment.name_any(),
        uid: environment.uid().unwrap_or_default(),
        project: teardown.identity.project.to_string(),
        branch: environment.spec.branch.clone(),
        because: super::removal::reason(environment).text,
        repository_id: environment.spec.repository_id.clone(),
        revision: status.and_then(|status| status.revision.as_ref()?.applied.clone()),
        requested_at: environment.metadata.deletion_timestamp.clone(),
        completed_at: teardown.at.clone(),
        created: count(objects.len()),
        removed: count(objects.iter().filter(|object| object.is_removed()).count()),
        kept: count(objects.iter().filter(|object| object.is_kept()).count()),
        left,
        objects,
        shared_objects: teardown.shared.iter().map(|shared| shared.key.to_string()).collect(),
        foreign_objects: status.map(|status| status.foreign.clone()).unwrap_or_default(),
        dangling_references: teardown.references.iter().map(references::dangling).collect(),
        tokens: teardown.proofs.iter().map(|proof| references::proof(proof, &teardown.at)).collect(),
        cloud_identities: accounts.cloud_identities,
        token_secrets: accounts.token_secrets,
        finalizers_removed: FinalizerRemoved::of(environment),
        teardown_stages: super::run::teardown_stages(status),
        volumes: teardown.volumes,
        mentions: teardown.mentions,
        scan: teardown.scan,
        signed_by,
        unsigned_because,
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn objects(teardown: &Teardown<'_>) -> Vec<ObjectResult> {
    let created = teardown.inventory.iter().filter(|(_, entry)| entry.uid.is_some());
    created
        .map(|(key, entry)| ObjectResult {
            object: key.to_string(),
            uid: entry.uid.clone(),
            result: result(teardown, key, entry),
        })
        .collect()
}

fn result(teardown: &Teardown<'_>, key: &ObjectKey, entry: &Entry) -> String {
    if let Some(shared) = teardown.shared.iter().find(|shared| shared.key == *key) {
        return format!("kept: shared with {}", shared.owners.join(", "));
    }
    if let Some(kept) = teardown.kept.iter().find(|kept| kept.key == *key) {
        return format!("kept: it {}", kept.because.reason());
    }
    if !entry.gone {
        return "left: its deletion is not confirmed".to_owned();
    }
    let with_its_namespace = || {
        let home =
            |(home, entry): (&ObjectKey, &Entry)| home.kind == "Namespace" && Some(&home.name) == key.namespace.as_ref() && entry.asked;
        teardown.inventory.iter().any(home)
    };
    if entry.asked {
        "removed".to_owned()
    } else if with_its_namespace() {
        "went with its namespace".to_owned()
    } else {
        // Somebody else removed it, or a crash lost the answer to our own deletion.
        "gone before".to_owned()
    }
}

fn left(kept: &[Kept], objects: &[ObjectResult], volumes: &[VolumeResult]) -> Vec<LeftOver> {
    let reason = |result: &str| result.strip_prefix("left: ").map(str::to_owned);
    let objects = objects.iter().filter_map(|object| {
        Some(LeftOver {
            object: object.object.clone(),
            reason: reason(&object.result)?,
        })
    });
    let volumes = volumes.iter().filter_map(|volume| {
        Some(LeftOver {
            object: format!("v1 PersistentVolume {}", volume.persistent_volume),
            reason: reason(&volume.result)?,
        })
    });
    let kept = kept.iter().map(|kept| LeftOver {
        object: kept.key.to_string(),
        reason: format!("it {}", kept.because.reason()),
    });
    kept.chain(objects).chain(volumes).collect()
}

#[cfg(test)]
mod tests;
