//! Which resource of the API serves a kind.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

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
    known: Arc<RwLock<HashMap<(String, String), Resource>>>,
}

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
