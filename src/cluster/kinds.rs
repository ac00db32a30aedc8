//! Which resource of the API serves a kind.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use kube::api::DynamicObject;
use kube::discovery::{ApiResource, Scope, pinned_kind};
use kube::{Api, Client};

use super::Error;
use super::connection::within;
use crate::domain::manifest::ObjectKey;

/// The kinds that were asked for so far. Cheap to clone.
#[derive(Clone)]
pub struct Kinds {
    client: Client,
    known: Arc<RwLock<HashMap<Id, Resource>>>,
    /// Kinds that the cluster did not serve, and when it was asked.
    absent: Arc<RwLock<HashMap<Id, Instant>>>,
}

/// API version and kind.
type Id = (String, String);

/// For how long whoever only looks takes a kind for absent without asking again.
const ABSENT_FOR: Duration = Duration::from_secs(60);

/// A kind as the API serves it.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The resource.
    pub api: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Kinds {
    /// Knows nothing yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            known: Arc::default(),
            absent: Arc::default(),
        }
    }

    /// As [`Kinds::resolve`] for whoever looks at what there is: `None` for a kind that the cluster does not serve, or did not a minute
    /// ago. Nobody creates objects of it then, and so it need not be asked for with every environment.
    ///
    /// # Errors
    /// [`Error::ResolveKind`] if the cluster does not say.
    pub async fn find(&self, key: &ObjectKey) -> Result<Option<Resource>, Error> {
        let id = (key.api_version(), key.kind.clone());
        let asked = self.absent.read().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
        if asked.is_some_and(|asked| asked.elapsed() < ABSENT_FOR) {
            return Ok(None);
        }
        match self.resolve(key).await {
            Ok(resource) => Ok(Some(resource)),
            Err(Error::UnknownKind { .. }) => {
                let mut absent = self.absent.write().unwrap_or_else(PoisonError::into_inner);
                absent.insert(id, Instant::now());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Finds the resource of a kind: one request for a kind's first time.
    ///
    /// # Errors
    /// [`Error::UnknownKind`] if the cluster does not serve it, [`Error::ResolveKind`] if it does not say.
    pub async fn resolve(&self, key: &ObjectKey) -> Result<Resource, Error> {
        let id = (key.api_version(), key.kind.clone());
        if let Some(resource) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(resource.clone());
        }
        let resource = self.discover(key).await?;
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, resource.clone());
        Ok(resource)
    }

    async fn discover(&self, key: &ObjectKey) -> Result<Resource, Error> {
        let (api_version, kind) = (key.api_version(), key.kind.clone());
        let gvk = kube::api::GroupVersionKind::gvk(&key.group, &key.version, &key.kind);
        let found = within(
            || format!("find out about {api_version} {kind}"),
            pinned_kind(&self.client, &gvk),
            |source| {
                let (api_version, kind) = (key.api_version(), key.kind.clone());
                match &source {
                    kube::Error::Api(status) if status.code == 404 => Error::UnknownKind { api_version, kind },
                    kube::Error::Discovery(_) => Error::UnknownKind { api_version, kind },
                    _ => Error::ResolveKind { api_version, kind, source },
                }
            },
        );
        let (api, capabilities) = found.await?;
        Ok(Resource {
            api,
            namespaced: capabilities.scope == Scope::Namespaced,
        })
    }
}

impl Resource {
    /// The API of the object of `key`.
    pub fn api_for(&self, client: Client, key: &ObjectKey) -> Api<DynamicObject> {
        match &key.namespace {
            Some(namespace) if self.namespaced => Api::namespaced_with(client, namespace, &self.api),
            _ => Api::all_with(client, &self.api),
        }
    }
}
