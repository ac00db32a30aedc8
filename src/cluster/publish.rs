//! What we tell of ourselves: statuses, Events, receipts, and the finalizer that goes last.

mod series;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::series::Events;
use super::Error;
use super::connection::within;
use crate::api::convert::size::fit;
use crate::api::receipt::{SIGNATURE_KEY, TEXT_KEY};
use crate::api::{Environment, EnvironmentStatus, keys};

/// How long receipts are kept.
pub const RECEIPT_DAYS: i64 = 30;

/// Writes what it is told and nothing else.
#[derive(Clone)]
pub struct Publisher {
    client: Client,
    events: Events,
}

/// Something to tell about an object, once.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The reason, in UpperCamelCase, from a closed set.
    pub reason: &'static str,
    /// Whether somebody should worry.
    pub warning: bool,
    /// One sentence.
    pub note: String,
}

/// A receipt as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// The name of its ConfigMap.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The signature over the bytes of the text, in base64.
    pub signature: Option<String>,
}

impl Publisher {
    /// Publishes as `client`; `instance` names this process in Events.
    pub fn new(client: Client, instance: String) -> Self {
        Self {
            events: Events::new(client.clone(), instance),
            client,
        }
    }

    /// Writes an Environment's status, shortened if it has to be, if it differs from what `environment` has, and returns the object as it
    /// is then.
    ///
    /// The write carries the resourceVersion that the status was concluded from: a replica that lost the lead, or one that
    /// worked from an old copy, gets a conflict instead of overwriting what it has not seen. A change of the spec alone is no
    /// such conflict.
    ///
    /// # Errors
    /// The write failed, or the status was changed by somebody else meanwhile.
    pub async fn environment_status(&self, environment: &Environment, status: &EnvironmentStatus) -> Result<Environment, Error> {
        let status = &fit(status.clone());
        if environment.status.as_ref() == Some(status) {
            return Ok(environment.clone());
        }
        let error = match self.try_environment_status(environment, status).await {
            Err(error) if is_conflict(&error) => error,
            other => return other,
        };
        let api: Api<Environment> = Api::namespaced(self.client.clone(), &environment.namespace().unwrap_or_default());
        let name = environment.name_any();
        let fresh = within(
            || format!("read Environment {name}"),
            api.get(&name),
            |source| Error::Write {
                what: format!("status of Environment {name}"),
                source,
            },
        )
        .await?;
        if fresh.uid() == environment.uid() && fresh.status == environment.status {
            return self.try_environment_status(&fresh, status).await;
        }
        Err(error)
    }

    async fn try_environment_status(&self, environment: &Environment, status: &EnvironmentStatus) -> Result<Environment, Error> {
        let body = json!({
            "apiVersion": Environment::api_version(&()),
            "kind": Environment::kind(&()),
            "metadata": {
                "name": environment.name_any(),
                "uid": environment.uid(),
                "resourceVersion": environment.resource_version(),
            },
            "status": status,
        });
        let namespace = environment.namespace().unwrap_or_default();
        self.apply_status(&namespace, &environment.name_any(), &body).await
    }

    /// Says that an Environment's status cannot be understood, and leaves everything else of it as it is: an apply would take away what
    /// only the version that wrote it knows.
    ///
    /// # Errors
    /// The write failed.
    pub async fn not_understood(&self, environment: &Environment, status: &EnvironmentStatus) -> Result<(), Error> {
        if environment.status.as_ref() == Some(status) {
            return Ok(());
        }
        let api: Api<Environment> = Api::namespaced(self.client.clone(), &environment.namespace().unwrap_or_default());
        let name = environment.name_any();
        let body = json!({
            "metadata": { "uid": environment.uid(), "resourceVersion": environment.resource_version() },
            "status": { "phase": status.phase, "conditions": status.conditions, "message": status.message },
        });
        let params = PatchParams {
            field_manager: Some(keys::STATUS_FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        within(
            || format!("write the status of Environment {name}"),
            api.patch_status(&name, &params, &Patch::Merge(&body)),
            |source| Error::Write {
                what: format!("status of Environment {name}"),
                source,
            },
        )
        .await
        .map(drop)
    }

    /// Writes the status of one of our other kinds, unless `current` already has it.
    ///
    /// # Errors
    /// The write failed.
    pub async fn status<K, S>(&self, object: &K, current: Option<&S>, status: &S) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
        S: Serialize + PartialEq,
    {
        if current == Some(status) {
            return Ok(());
        }
        let body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": { "name": object.name_any(), "uid": object.uid() },
            "status": status,
        });
        let namespace = object.namespace().unwrap_or_default();
        self.apply_status::<K>(&namespace, &object.name_any(), &body).await.map(drop)
    }

    async fn apply_status<K>(&self, namespace: &str, name: &str, body: &Value) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let params = PatchParams {
            // What we write is of our own types. To look for fields that it does not know, the server would read all of it a second time.
            field_validation: Some(ValidationDirective::Ignore),
            ..PatchParams::apply(keys::STATUS_FIELD_MANAGER).force()
        };
        let what = || format!("status of {} {name}", K::kind(&()));
        within(
            || format!("write the {}", what()),
            api.patch_status(name, &params, &Patch::Apply(body)),
            |source| Error::Write { what: what(), source },
        )
        .await
    }

    /// An Environment as the API server has it now: a watch may not have shown the last change yet.
    ///
    /// # Errors
    /// The read failed.
    pub async fn read_environment(&self, environment: &Environment) -> Result<Environment, Error> {
        let api: Api<Environment> = Api::namespaced(self.client.clone(), &environment.namespace().unwrap_or_default());
        let name = environment.name_any();
        within(
            || format!("read Environment {name}"),
            api.get(&name),
            |source| Error::Read {
                what: format!("Environment {name}"),
                source,
            },
        )
        .await
    }

    /// Announces something about an object. An Event that cannot be written is logged and lost: nothing depends on it.
    pub async fn announce(&self, about: &ObjectReference, announcement: &Announcement) {
        if let Err(error) = self.events.say(about, announcement).await {
            tracing::warn!(error = %super::error::chain(&error), reason = announcement.reason, "could not write an Event");
        }
    }

    /// Writes the receipt of a teardown as a ConfigMap beside the Environment.
    ///
    /// # Errors
    /// The write failed; the finalizer must stay.
    pub async fn receipt(&self, environment: &Environment, receipt: &StoredReceipt, now: Timestamp) -> Result<(), Error> {
        let name = &receipt.name;
        let mut data = BTreeMap::from([(TEXT_KEY, &receipt.text)]);
        data.extend(receipt.signature.as_ref().map(|signature| (SIGNATURE_KEY, signature)));
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &environment.namespace().unwrap_or_default());
        let expires = now + SignedDuration::from_hours(24 * RECEIPT_DAYS);
        // The Environment goes, and what is still to be told of it has to survive it.
        let mut annotations = super::told::handed_over(environment);
        annotations.insert(keys::BRANCH_ANNOTATION.to_owned(), environment.spec.branch.clone());
        annotations.insert(keys::EXPIRES_ANNOTATION.to_owned(), expires.to_string());
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": {
                    "app.kubernetes.io/managed-by": "graftling",
                    (keys::RECEIPT_LABEL): "true",
                    (keys::PROJECT_LABEL): environment.spec.project_ref.name,
                },
                "annotations": annotations,
            },
            "data": data,
        });
        let params = PatchParams::apply(keys::FIELD_MANAGER).force();
        within(
            || format!("write the receipt {name}"),
            api.patch(name, &params, &Patch::Apply(&body)),
            |source| Error::Write {
                what: format!("receipt {name}"),
                source,
            },
        )
        .await
        .map(drop)
    }

    /// Puts our finalizer on an Environment that somebody created by hand, before anything is created for it.
    ///
    /// # Errors
    /// The write failed.
    pub async fn add_finalizer(&self, environment: &Environment) -> Result<Environment, Error> {
        let mut finalizers = environment.finalizers().to_vec();
        finalizers.push(keys::FINALIZER.to_owned());
        self.patch_finalizers(environment, &finalizers).await
    }

    /// Takes our finalizer off: the last thing of a teardown.
    ///
    /// # Errors
    /// The write failed. That the object is already gone is no error.
    pub async fn remove_finalizer(&self, environment: &Environment) -> Result<(), Error> {
        let mut finalizers = environment.finalizers().to_vec();
        finalizers.retain(|finalizer| finalizer != keys::FINALIZER);
        match self.patch_finalizers(environment, &finalizers).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn patch_finalizers(&self, environment: &Environment, finalizers: &[String]) -> Result<Environment, Error> {
        let api: Api<Environment> = Api::namespaced(self.client.clone(), &environment.namespace().unwrap_or_default());
        let name = environment.name_any();
        let body = json!({ "metadata": {
            "uid": environment.uid(),
            "resourceVersion": environment.resource_version(),
            "finalizers": finalizers,
        }});
        within(
            || format!("write the finalizers of Environment {name}"),
            api.patch(&name, &PatchParams::default(), &Patch::Merge(&body)),
            |source| Error::Write {
                what: format!("finalizers of Environment {name}"),
                source,
            },
        )
        .await
    }
}

/// Whether somebody else wrote the object meanwhile.
pub(crate) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Write { source: kube::Error::Api(status), .. } if status.code == 409)
}
