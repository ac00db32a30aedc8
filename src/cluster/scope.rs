//! Questions to the cluster before the first write: what is namespaced, and what the deployer may do outside of namespaces.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use super::Error;
use super::connection::{Deployer, within};
use super::kinds::Resource;
use super::observe::Observer;
use crate::domain::claims::Objection;
use crate::domain::inventory::Inventory;
use crate::domain::manifest::{GroupKind, Manifest};

/// What an environment does with an object outside of its namespace.
const VERBS: [&str; 4] = ["get", "create", "patch", "delete"];

impl Observer {
    /// Whether objects are of the scope that the Project says, and whether the deployer has the rights to those outside of the
    /// namespace; the first thing that is wrong, if any. Nothing is asked about objects that were applied before.
    ///
    /// # Errors
    /// The cluster did not answer.
    pub async fn check_scopes(
        &self,
        deployer: &Deployer,
        manifests: &[Manifest],
        inventory: &Inventory,
    ) -> Result<Option<Objection>, Error> {
        let is_new = |manifest: &&Manifest| inventory.get(&manifest.key).is_none_or(|entry| entry.uid.is_none());
        for manifest in manifests.iter().filter(is_new) {
            let resource = match self.kinds.resolve(&manifest.key).await {
                Ok(resource) => resource,
                // Left to the apply, which names the object.
                Err(Error::UnknownKind { .. }) => continue,
                Err(error) => return Err(error),
            };
            if let Some(objection) = wrong_scope(manifest, &resource) {
                return Ok(Some(objection));
            }
            if !resource.namespaced {
                let missing = missing_verbs(&self.connection.deployer(deployer)?, &resource).await?;
                if !missing.is_empty() {
                    return Ok(Some(missing_rights(manifest, &resource, deployer, &missing)));
                }
            }
        }
        Ok(None)
    }
}

fn wrong_scope(manifest: &Manifest, resource: &Resource) -> Option<Objection> {
    let kind = GroupKind::of(&manifest.key);
    let reason = match (resource.namespaced, manifest.key.namespace.is_some()) {
        (false, true) => format!(
            "{kind} belongs to the whole cluster, and an environment only to its namespace: have it installed by who runs the cluster, \
             or move the kind from policy.kinds of the Project to policy.clusterKinds"
        ),
        (true, false) => format!("{kind} belongs to a namespace: move the kind from policy.clusterKinds of the Project to policy.kinds"),
        _ => return None,
    };
    Some(Objection {
        reason: "InvalidBundle",
        message: format!("{}: {}: kind: {reason}", manifest.source, manifest.key),
    })
}

fn missing_rights(manifest: &Manifest, resource: &Resource, deployer: &Deployer, verbs: &[&str]) -> Objection {
    let (group, plural) = (&resource.api.group, &resource.api.plural);
    let message = format!(
        "{}: {}: ServiceAccount {} in {} may not {} {plural} in the whole cluster: add {{apiGroups: [{group:?}], resources: [{plural}]}} to \
         the value rbac.clusterScoped of graftling's chart",
        manifest.source,
        manifest.key,
        deployer.name,
        deployer.namespace,
        verbs.join(", ")
    );
    Objection {
        reason: "MissingRights",
        message,
    }
}

async fn missing_verbs(as_deployer: &Client, resource: &Resource) -> Result<Vec<&'static str>, Error> {
    let mut missing = Vec::new();
    for verb in VERBS {
        if !may(as_deployer, resource, verb).await? {
            missing.push(verb);
        }
    }
    Ok(missing)
}

async fn may(as_deployer: &Client, resource: &Resource, verb: &str) -> Result<bool, Error> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(resource.api.group.clone()),
                resource: Some(resource.api.plural.clone()),
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let what = format!("whether the deployer may {verb} {}", resource.api.plural);
    let api: Api<SelfSubjectAccessReview> = Api::all(as_deployer.clone());
    let params = PostParams::default();
    let answer = within(
        || format!("ask {what}"),
        api.create(&params, &review),
        |source| Error::Read {
            what: what.clone(),
            source,
        },
    );
    Ok(answer.await?.status.is_some_and(|status| status.allowed))
}
