//! What is there beside the inventory: in a namespace before it goes, and anywhere after it went.

mod discovery;
mod pass;
mod scanner;
mod volumes;

use futures::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, PartialObjectMeta};
use kube::discovery::ApiResource;

use self::discovery::discover;
use super::Error;
use super::connection::within;
use super::error::chain;
use super::observe::{FAN_OUT, Observer};
use crate::api::keys;
use crate::domain::manifest::ObjectKey;
use crate::domain::name::{EnvironmentName, Namespace};
use crate::domain::residue::{Found, mark_lost};
use crate::domain::retention::Retention;

pub use self::pass::{Cost, Findings, look};
pub use self::scanner::{Scanned, Scanner};

/// Everything that a look over many kinds brought up.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// What was found.
    pub found: Vec<Found>,
    /// Kinds that we are not permitted to list.
    pub unseen: Vec<String>,
}

impl Observer {
    /// Lists what a namespace holds, over every kind that one of `clients` may list; the first that may does.
    ///
    /// # Errors
    /// A listing failed for another reason than a missing right: an unknown rest must not be deleted.
    pub async fn contents(&self, clients: &[Client], namespace: &Namespace) -> Result<Look, Error> {
        let served = discover(&self.connection.controller()).await?;
        let resources: Vec<_> = served
            .kinds
            .into_iter()
            .filter(|kind| kind.namespaced)
            .map(|kind| kind.api)
            .collect();
        let kinds: Vec<_> = resources
            .iter()
            .map(|resource| (resource.group.clone(), resource.kind.clone()))
            .collect();
        let apis = |resource: &ApiResource| {
            let api = |client: &Client| Api::namespaced_with(client.clone(), namespace.as_str(), resource);
            clients.iter().map(api).collect()
        };
        let mut look = self.look(resources, &ListParams::default(), apis).await?;
        let listed = kinds
            .into_iter()
            .filter(|(group, kind)| !look.unseen.contains(&kind_name(group, kind)));
        mark_lost(&mut look.found, &listed.collect());
        Ok(look)
    }

    /// Searches the whole cluster for objects that bear an environment's label.
    ///
    /// # Errors
    /// As [`Observer::contents`].
    pub async fn residue(&self, environment: &EnvironmentName) -> Result<Look, Error> {
        self.labelled(&format!("{}={environment}", keys::ENVIRONMENT_LABEL)).await
    }

    /// Searches the whole cluster for objects that a label selector fits.
    ///
    /// # Errors
    /// As [`Observer::contents`].
    pub async fn labelled(&self, selector: &str) -> Result<Look, Error> {
        let client: Client = self.connection.controller();
        let params = ListParams::default().labels(selector);
        let resources = discover(&client).await?.kinds.into_iter().map(|kind| kind.api);
        self.look(resources, &params, |resource| vec![Api::all_with(client.clone(), resource)])
            .await
    }

    async fn look(
        &self,
        resources: impl IntoIterator<Item = ApiResource>,
        params: &ListParams,
        apis: impl Fn(&ApiResource) -> Vec<Api<DynamicObject>>,
    ) -> Result<Look, Error> {
        let list = |resource| {
            let apis = apis(&resource);
            list_by_any(resource, apis, params.clone())
        };
        let listings: Vec<_> = resources.into_iter().map(list).collect();
        let results: Vec<_> = stream::iter(listings).buffer_unordered(FAN_OUT).collect().await;
        let mut look = Look::default();
        for result in results {
            match result? {
                Listed::Found(found) => look.found.extend(found),
                Listed::Unseen(kind) => look.unseen.push(kind),
            }
        }
        look.found.sort_by(|left, right| left.key.cmp(&right.key));
        look.unseen.sort();
        Ok(look)
    }
}

enum Listed {
    Found(Vec<Found>),
    Unseen(String),
}

async fn list_by_any(resource: ApiResource, apis: Vec<Api<DynamicObject>>, params: ListParams) -> Result<Listed, Error> {
    let mut listed = Listed::Unseen(resource.kind.clone());
    for api in &apis {
        listed = list_metadata(&resource, api, &params).await?;
        if matches!(listed, Listed::Found(_)) {
            break;
        }
    }
    Ok(listed)
}

async fn list_metadata(resource: &ApiResource, api: &Api<DynamicObject>, params: &ListParams) -> Result<Listed, Error> {
    let what = resource.plural.clone();
    let listed = within(
        || format!("list {what}"),
        api.list_metadata(params),
        |source| Error::List {
            what: what.clone(),
            source,
        },
    );
    match listed.await {
        Ok(list) => Ok(Listed::Found(
            list.items.iter().filter_map(|object| found(resource, object)).collect(),
        )),
        Err(Error::List {
            source: kube::Error::Api(status),
            ..
        }) if matches!(status.code, 403..=405) => {
            tracing::debug!(kind = %resource.kind, "kind cannot be listed: {}", chain(&kube::Error::Api(status)));
            Ok(Listed::Unseen(kind_name(&resource.group, &resource.kind)))
        }
        Err(error) => Err(error),
    }
}

/// `group/Kind`, or `Kind` for the core group.
fn kind_name(group: &str, kind: &str) -> String {
    match group {
        "" => kind.to_owned(),
        group => format!("{group}/{kind}"),
    }
}

fn owner_kinds(owners: &[OwnerReference]) -> Vec<(String, String)> {
    let group = |version: &str| version.split_once('/').map_or_else(String::new, |(group, _)| group.to_owned());
    owners.iter().map(|owner| (group(&owner.api_version), owner.kind.clone())).collect()
}

fn found(resource: &ApiResource, object: &PartialObjectMeta<DynamicObject>) -> Option<Found> {
    let metadata = &object.metadata;
    Some(Found {
        key: ObjectKey {
            group: resource.group.clone(),
            version: resource.version.clone(),
            kind: resource.kind.clone(),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone()?,
        },
        uid: metadata.uid.clone()?,
        environment: metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(keys::ENVIRONMENT_LABEL))
            .cloned(),
        owners: metadata.owner_references.iter().flatten().map(|owner| owner.uid.clone()).collect(),
        owner_kinds: owner_kinds(metadata.owner_references.as_deref().unwrap_or_default()),
        lost: false,
        finalizers: metadata.finalizers.clone().unwrap_or_default(),
        deleting_since: metadata.deletion_timestamp.as_ref().map(|since| since.0.to_string()),
        retention: Retention::of(|key| metadata.annotations.as_ref()?.get(key).map(String::as_str)),
    })
}
