//! Receipts of teardowns: where they are kept, the keys that they were signed with, and another look at what is there now.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::{Access, Error, Scope};
use crate::api::keys;
use crate::api::receipt::{SIGNATURE_KEY, TEXT_KEY};
use crate::cluster::residue::look;
use crate::domain::name::{Namespace, ObjectName};
use crate::domain::residue::evidence::{Trace, Traces};

/// A receipt as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The namespace of its ConfigMap.
    pub namespace: String,
    /// The name of its ConfigMap.
    pub name: String,
    /// The text, byte for byte.
    pub text: String,
    /// The signature, in base64.
    pub signature: Option<String>,
    /// When it may be removed.
    pub expires: Option<Timestamp>,
}

/// What is there now of an environment that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residue {
    /// What bears marks of it, and what mentions it.
    pub traces: Vec<Trace>,
    /// Kinds that these credentials may not list.
    pub not_visible: Vec<String>,
    /// Kinds and groups that did not answer.
    pub not_answering: Vec<String>,
}

impl Access {
    /// Every receipt in `scope`, in no particular order.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn receipts(&self, scope: &Scope) -> Result<Vec<Kept>, Error> {
        let api: Api<ConfigMap> = match scope {
            Scope::Namespace(namespace) => self.namespaced(namespace),
            Scope::AllNamespaces => Api::all(self.client.clone()),
        };
        let params = ListParams::default().labels(keys::RECEIPT_LABEL);
        let found = self.within("list receipts", api.list(&params)).await?;
        Ok(found.items.into_iter().filter_map(kept).collect())
    }

    /// The public key of this id that a ConfigMap publishes, in PEM.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn published_key(&self, namespace: &Namespace, name: &ObjectName, id: &str) -> Result<Option<String>, Error> {
        let api: Api<ConfigMap> = self.namespaced(namespace);
        let published = self.within("read the published keys", api.get_opt(name.as_str())).await?;
        Ok(published.and_then(|published| published.data?.remove(&format!("{id}.pem"))))
    }

    /// Looks over the whole cluster, with the rights of the caller, for what is left of an environment.
    ///
    /// # Errors
    /// The kinds of the cluster could not be discovered.
    pub async fn residue(&self, traces: &Traces) -> Result<Residue, crate::cluster::Error> {
        let client: Client = self.client.clone();
        let found = look(&client, std::slice::from_ref(traces)).await?;
        let found = found.into_iter().next().unwrap_or_default();
        Ok(Residue {
            traces: found.traces,
            not_visible: found.cost.not_visible,
            not_answering: found.cost.silent.into_keys().collect(),
        })
    }
}

/// What a ConfigMap keeps, if it is a receipt.
fn kept(object: ConfigMap) -> Option<Kept> {
    let expires = object
        .annotations()
        .get(keys::EXPIRES_ANNOTATION)
        .and_then(|text| text.parse().ok());
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let mut data = object.data?;
    Some(Kept {
        namespace,
        name,
        text: data.remove(TEXT_KEY)?,
        signature: data.remove(SIGNATURE_KEY),
        expires,
    })
}
