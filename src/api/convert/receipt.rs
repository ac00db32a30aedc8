//! The proof of a teardown, in full for its ConfigMap and in short for the status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde::Serialize;

use super::environment::Identity;
use crate::api::environment::{Environment, LeftOver, Receipt};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::residue::Reference;

/// A teardown that is over.
#[derive(Debug)]
pub struct Teardown<'a> {
    /// The Environment.
    pub environment: &'a Environment,
    /// Who it is.
    pub identity: &'a Identity,
    /// Everything that was ever created, with what is confirmed gone.
    pub inventory: &'a Inventory,
    /// Bindings elsewhere that still name a removed ServiceAccount.
    pub references: &'a [Reference],
    /// Objects that are there still, because other environments own them as well.
    pub shared: &'a [ObjectKey],
    /// Kinds that could not be listed.
    pub unseen: &'a [String],
    /// When the last look ended.
    pub at: Time,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FullReceipt {
    environment: String,
    project: String,
    branch: String,
    repository_id: String,
    revision: Option<String>,
    requested_at: Option<Time>,
    completed_at: Time,
    created: usize,
    removed: usize,
    left: Vec<LeftOver>,
    objects: Vec<Removed>,
    shared_objects: Vec<String>,
    foreign_objects: Vec<String>,
    dangling_references: Vec<String>,
    kinds_not_visible: Vec<String>,
}

#[derive(Serialize)]
struct Removed {
    object: String,
    uid: Option<String>,
}

/// The short receipt and the text of the full one.
pub fn write(teardown: &Teardown<'_>) -> (Receipt, String) {
    let environment = teardown.environment;
    let left = left(teardown.inventory);
    let created = teardown.inventory.iter().filter(|(_, entry)| entry.uid.is_some()).count();
    let removed = teardown
        .inventory
        .iter()
        .filter(|(_, entry)| entry.uid.is_some() && entry.gone)
        .count();
    let full = FullReceipt {
        environment: environment.name_any(),
        project: teardown.identity.project.to_string(),
        branch: environment.spec.branch.clone(),
        repository_id: environment.spec.repository_id.clone(),
        revision: environment
            .status
            .as_ref()
            .and_then(|status| status.revision.as_ref()?.applied.clone()),
        requested_at: environment.metadata.deletion_timestamp.clone(),
        completed_at: teardown.at.clone(),
        created,
        removed,
        left: left.clone(),
        objects: objects(teardown.inventory),
        shared_objects: teardown.shared.iter().map(ToString::to_string).collect(),
        foreign_objects: environment.status.as_ref().map(|status| status.foreign.clone()).unwrap_or_default(),
        dangling_references: teardown.references.iter().map(reference).collect(),
        kinds_not_visible: teardown.unseen.to_vec(),
    };
    let summary = Receipt {
        created: u32::try_from(created).unwrap_or(u32::MAX),
        removed: u32::try_from(removed).unwrap_or(u32::MAX),
        left,
        at: teardown.at.clone(),
        config_map: format!("{}-receipt", environment.name_any()),
    };
    // Plain structures of text and numbers always serialise; the short receipt says the same if they ever should not.
    let text = serde_saphyr::to_string(&full).unwrap_or_else(|_| format!("created: {created}\nremoved: {removed}\n"));
    (summary, text)
}

fn left(inventory: &Inventory) -> Vec<LeftOver> {
    inventory
        .present()
        .map(|(key, _)| LeftOver {
            object: key.to_string(),
            reason: "its deletion is not confirmed".to_owned(),
        })
        .collect()
}

fn objects(inventory: &Inventory) -> Vec<Removed> {
    inventory
        .iter()
        .filter(|(_, entry)| entry.uid.is_some())
        .map(|(key, entry)| Removed {
            object: key.to_string(),
            uid: entry.uid.clone(),
        })
        .collect()
}

fn reference(reference: &Reference) -> String {
    format!("{} still names ServiceAccount {}", reference.binding, reference.service_account)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;
    use crate::api::convert::environment;
    use crate::domain::inventory::Stage;
    use crate::domain::roster::Wanted;

    fn key(kind: &str, name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: Some("n".into()),
            name: name.into(),
        }
    }

    fn written(inventory: &Inventory, references: &[Reference]) -> (Receipt, String) {
        let wanted = Wanted {
            name: "shop-a-aaaaaaaaaa".parse().unwrap(),
            branch: "true".parse().unwrap(),
            repository: "1".parse().unwrap(),
            revision: "a".repeat(40).parse().unwrap(),
            pull_request: None,
            grace: None,
        };
        let spec = environment::spec(&wanted, &"team/shop".parse().unwrap());
        let mut object = Environment::new(wanted.name.as_str(), spec);
        object.metadata.namespace = Some("team".into());
        object.metadata.uid = Some("u".into());
        let identity = environment::identity(&object).unwrap();
        write(&Teardown {
            environment: &object,
            identity: &identity,
            inventory,
            references,
            shared: &[],
            unseen: &["metrics.k8s.io/PodMetrics".to_owned()],
            at: Time(jiff::Timestamp::UNIX_EPOCH),
        })
    }

    #[test]
    fn feature_x13_the_receipt_counts_what_was_created_and_names_what_is_left() {
        let mut inventory = Inventory::default();
        for (name, uid, gone) in [("a", Some("1"), true), ("b", Some("2"), false), ("c", None, true)] {
            inventory.write_ahead(&key("Service", name), Stage::Deploy);
            uid.into_iter().for_each(|uid| inventory.record_found(&key("Service", name), uid));
            if gone {
                inventory.mark_gone(&key("Service", name));
            }
        }
        let (summary, text) = written(&inventory, &[]);
        assert_eq!((summary.created, summary.removed), (2, 1));
        assert_eq!(summary.left.len(), 1);
        assert_eq!(summary.left[0].object, key("Service", "b").to_string());
        assert_eq!(summary.config_map, "shop-a-aaaaaaaaaa-receipt");
        let full: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!((full["created"].as_u64(), full["removed"].as_u64()), (Some(2), Some(1)));
        assert_eq!(full["objects"].as_array().unwrap().len(), 2);
        assert_eq!(full["kindsNotVisible"][0], "metrics.k8s.io/PodMetrics");
    }

    #[test]
    fn f52_a_binding_elsewhere_that_names_a_removed_account_is_told() {
        let reference = Reference {
            binding: key("RoleBinding", "deploys"),
            service_account: "web".into(),
        };
        let (_, text) = written(&Inventory::default(), &[reference]);
        let full: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let told = full["danglingReferences"][0].as_str().unwrap();
        assert_eq!(told, format!("{} still names ServiceAccount web", key("RoleBinding", "deploys")));
    }
}
