//! What a deployment plan is made over: the live objects under an environment's keys.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::DynamicObject;
use kube::{Api, Client};
use serde_json::Value;

use super::Error;
use super::claims::Holders;
use super::connection::{Connection, Deployer, within};
use super::kinds::{Kinds, Resource};
use super::live::{LiveObjects, reduce};
use super::recent::Recent;
use super::references::RecentBindings;
use crate::domain::inventory::{Entry, Inventory, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::observed::LiveObject;
use crate::domain::plan::Observed;
use crate::domain::plan::records::is_looked_at;
use crate::domain::record::is_record;

/// How many requests one environment has in flight at a time.
pub(crate) const FAN_OUT: usize = 16;

/// Reads live objects.
#[derive(Clone)]
pub struct Observer {
    pub(crate) connection: Connection,
    pub(crate) kinds: Kinds,
    pub(crate) live: LiveObjects,
    /// What no watch shows.
    pub(crate) recent: Recent,
    /// Bindings of the whole cluster, for environments that go at the same time.
    pub(crate) bindings: RecentBindings,
    /// Who has which host; whoever looks only once lists instead.
    pub(crate) holders: Option<Holders>,
}

impl Observer {
    /// The server's own client.
    pub fn controller(&self) -> Client {
        self.connection.controller()
    }

    /// The client of a deployer.
    ///
    /// # Errors
    /// As [`Connection::deployer`].
    pub fn deployer(&self, deployer: &Deployer) -> Result<Client, Error> {
        self.connection.deployer(deployer)
    }

    /// Observes `keys` and everything of `inventory`: from the watches where there is one, else by a request as the deployer.
    ///
    /// The watches show only what bears our label. So that an object is not missed because somebody took the label off, what is
    /// recorded and does not show is asked for. While the environment's Namespace was never made, nothing of it is asked for at all.
    ///
    /// A kind that the cluster does not know has no objects: that is left to the apply, which names the object.
    ///
    /// # Errors
    /// The first read that failed: a plan is made over everything or not at all.
    pub async fn observe(
        &self,
        deployer: &Deployer,
        keys: impl IntoIterator<Item = ObjectKey>,
        inventory: &Inventory,
    ) -> Result<Observed, Error> {
        let as_deployer = self.connection.deployer(deployer)?;
        let recorded = inventory
            .iter()
            .filter(|(key, entry)| is_looked_at(key, entry))
            .map(|(key, _)| key.clone());
        let keys: BTreeSet<_> = keys.into_iter().chain(recorded).collect();
        let unmade = self.unmade_namespace(&keys, inventory).await?;
        let look = |key: ObjectKey| {
            let entry = inventory.get(&key);
            self.observe_one(as_deployer.clone(), key, entry)
        };
        let may_be_there = |key: &ObjectKey| unmade.is_none() || key.namespace != unmade;
        let looks: Vec<_> = keys.into_iter().filter(may_be_there).map(look).collect();
        let found: Vec<Option<LiveObject>> = stream::iter(looks).buffer_unordered(FAN_OUT).try_collect().await?;
        Ok(found.into_iter().flatten().map(|live| (live.key.clone(), live)).collect())
    }

    /// The namespace among `keys` that was never recorded to be there and that no watch shows: there can be nothing of ours in it. One of
    /// this name that is somebody else's is found when it is to be made.
    async fn unmade_namespace(&self, keys: &BTreeSet<ObjectKey>, inventory: &Inventory) -> Result<Option<String>, Error> {
        let Some(key) = keys.iter().find(|key| key.kind == "Namespace" && key.group.is_empty()) else {
            return Ok(None);
        };
        let is_made = inventory.iter().any(|(_, entry)| entry.uid.is_some());
        let resource = self.kinds.resolve(key).await?;
        let is_unmade = !is_made && self.live.watches(&resource).await? && self.live.get(key).is_none();
        Ok(is_unmade.then(|| key.name.clone()))
    }

    async fn observe_one(&self, as_deployer: Client, key: ObjectKey, entry: Option<&Entry>) -> Result<Option<LiveObject>, Error> {
        let resource = match self.kinds.resolve(&key).await {
            Ok(resource) => resource,
            Err(Error::UnknownKind { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if self.live.watches(&resource).await? {
            let live = self.live.get(&key);
            // No watch shows an object that environments share: it bears no environment's label.
            let may_be_shared = key.namespace.is_none() && key.kind != "Namespace";
            if live.is_some() || !may_be_shared && entry.is_none_or(|entry| entry.uid.is_none()) {
                return Ok(live);
            }
        } else if let Some(live) = self.recent.get(&key) {
            return Ok(Some(live));
        }
        let client = match entry.map(|entry| entry.stage) {
            Some(Stage::Namespace | Stage::Guardrails) => self.connection.controller(),
            Some(Stage::Deploy) | None => as_deployer,
        };
        match self.read(client, &key).await {
            // Before the namespace has its RoleBinding, the deployer may not even look; then there is nothing of ours either. Rights over
            // the whole cluster do not depend on it: what is recorded and cannot be seen must not be taken for gone.
            Err(Error::Read {
                source: kube::Error::Api(status),
                ..
            }) if status.code == 403 && (key.namespace.is_some() || entry.is_none()) => Ok(None),
            Ok(Some(live)) => {
                self.recent.keep(&live);
                Ok(Some(live))
            }
            other => other,
        }
    }

    /// Reads `keys` from the API server itself, as `client`.
    ///
    /// # Errors
    /// The first read that failed.
    pub async fn read_all(&self, client: &Client, keys: impl IntoIterator<Item = ObjectKey>) -> Result<Observed, Error> {
        let reads: Vec<_> = keys.into_iter().map(|key| self.read_if_known(client.clone(), key)).collect();
        let found: Vec<Option<LiveObject>> = stream::iter(reads).buffer_unordered(FAN_OUT).try_collect().await?;
        Ok(found.into_iter().flatten().map(|live| (live.key.clone(), live)).collect())
    }

    async fn read_if_known(&self, client: Client, key: ObjectKey) -> Result<Option<LiveObject>, Error> {
        match self.read(client, &key).await {
            Err(Error::UnknownKind { .. }) => Ok(None),
            other => other,
        }
    }

    /// A client that acts as a deployer.
    ///
    /// # Errors
    /// The client could not be made.
    pub fn deployer_client(&self, deployer: &Deployer) -> Result<Client, Error> {
        self.connection.deployer(deployer)
    }

    /// Reads one object from the API server itself.
    ///
    /// # Errors
    /// Any failure but "not found", which is `None`.
    pub async fn read(&self, client: Client, key: &ObjectKey) -> Result<Option<LiveObject>, Error> {
        let resource = self.kinds.resolve(key).await?;
        let object = get(&resource, client, key).await?;
        Ok(object.and_then(|object| reduce(&resource, &object)))
    }

    /// Reads one object from the API server itself, whole.
    ///
    /// # Errors
    /// Any failure but "not found", which is `None`, as is a kind that the cluster does not know.
    pub async fn read_whole(&self, client: Client, key: &ObjectKey) -> Result<Option<Value>, Error> {
        let resource = match self.kinds.resolve(key).await {
            Err(Error::UnknownKind { .. }) => return Ok(None),
            resolved => resolved?,
        };
        let object = get(&resource, client, key).await?;
        Ok(object.and_then(|object| serde_json::to_value(object).ok()))
    }
}

pub(super) async fn get(resource: &Resource, client: Client, key: &ObjectKey) -> Result<Option<DynamicObject>, Error> {
    let api = resource.api_for(client, key);
    if is_record(key) {
        return get_metadata(&api, resource, key).await;
    }
    within(
        || format!("read {key}"),
        api.get_opt(&key.name),
        |source| Error::Read {
            what: key.to_string(),
            source,
        },
    )
    .await
}

/// A run record without what it holds: only whose it is, and whether it is there, matters to a plan.
async fn get_metadata(api: &Api<DynamicObject>, resource: &Resource, key: &ObjectKey) -> Result<Option<DynamicObject>, Error> {
    let found = within(
        || format!("read {key}"),
        api.get_metadata_opt(&key.name),
        |source| Error::Read {
            what: key.to_string(),
            source,
        },
    )
    .await?;
    Ok(found.map(|found| DynamicObject {
        metadata: found.metadata,
        ..DynamicObject::new(&key.name, &resource.api)
    }))
}
