//! Taking finalizers off by hand, with the caller's own rights: the server has no right to.

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::access::Access;
use super::plan::{self, observer};
use crate::api::receipt::FinalizerRemoved;
use crate::api::{Environment, keys};
use crate::cluster;
use crate::cluster::connection::within;
use crate::cluster::error::chain;
use crate::cluster::observe::Observer;
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::name::EnvironmentName;

/// An object that is being deleted and held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which object.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: String,
    /// Since when it is being deleted.
    pub since: String,
    /// What holds it.
    pub finalizers: Vec<String>,
}

/// Why no finalizer was removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Finalizers of an environment that is in use do their work.
    #[error("the environment {0} is not being deleted: its finalizers are not stuck")]
    NotDeleting(String),
    /// The Environment cannot be read.
    #[error("could not read the environment")]
    Read(#[source] Box<plan::Error>),
    /// The cluster did not do as asked.
    #[error("could not {operation}")]
    Cluster {
        /// What was being done.
        operation: &'static str,
        /// The cause.
        #[source]
        source: Box<cluster::Error>,
    },
    /// The object is not the one that was shown.
    #[error("{0} has changed since it was shown: look again")]
    Changed(ObjectKey),
}

/// The way to what holds one environment.
pub struct Unstick {
    observer: Observer,
    environment: Environment,
    name: EnvironmentName,
    inventory: Inventory,
}

/// How often a write of the record is repeated: the server writes the status of the same object.
const ATTEMPTS: usize = 10;

impl Unstick {
    /// Prepares to look at what holds `environment`.
    ///
    /// # Errors
    /// [`Error::NotDeleting`], or the object cannot be read.
    pub fn new(access: &Access, environment: &Environment) -> Result<Self, Error> {
        if environment.metadata.deletion_timestamp.is_none() {
            return Err(Error::NotDeleting(environment.name_any()));
        }
        let (identity, inventory) = plan::read(environment).map_err(|source| Error::Read(Box::new(source)))?;
        Ok(Self {
            observer: observer(access).map_err(|source| Error::Read(Box::new(source)))?,
            environment: environment.clone(),
            name: identity.name,
            inventory,
        })
    }

    /// Everything that is being deleted and holds finalizers, in the environment's own namespace or of its inventory. A namespace of the
    /// name that is not the recorded one is somebody else's.
    ///
    /// # Errors
    /// The cluster did not answer or did not permit it.
    pub async fn held(&self) -> Result<Vec<Held>, Error> {
        let failed = |source| Error::Cluster {
            operation: "look for what holds the environment",
            source: Box::new(source),
        };
        let client = self.observer.connection.controller();
        let mut held = Vec::new();
        let mut is_home = false;
        for (key, entry) in self.inventory.present().filter(|(key, _)| key.namespace.is_none()) {
            let live = self.observer.read(client.clone(), key).await.map_err(failed)?;
            let Some(live) = live.filter(|live| entry.uid.as_ref() == Some(&live.uid)) else {
                continue;
            };
            is_home |= key.kind == "Namespace";
            if let Some(deletion) = live.deletion {
                held.push(Held {
                    key: live.key,
                    uid: live.uid,
                    since: deletion.since,
                    finalizers: deletion.finalizers,
                });
            }
        }
        if is_home {
            let contents = self.observer.contents(&[client], &self.name.namespace()).await.map_err(failed)?;
            held.extend(contents.found.into_iter().filter_map(|object| {
                Some(Held {
                    since: object.deleting_since?,
                    key: object.key,
                    uid: object.uid,
                    finalizers: object.finalizers,
                })
            }));
        }
        held.iter_mut().for_each(|object| {
            object
                .finalizers
                .retain(|finalizer| finalizer != keys::FINALIZER && finalizer != "kubernetes")
        });
        held.retain(|object| !object.finalizers.is_empty());
        Ok(held)
    }

    /// Who the cluster takes the caller for.
    ///
    /// # Errors
    /// The cluster did not say.
    pub async fn caller(&self) -> Result<String, Error> {
        let api: Api<SelfSubjectReview> = Api::all(self.observer.connection.controller());
        let (params, question) = (PostParams::default(), SelfSubjectReview::default());
        let review = within(
            || "find out who you are".to_owned(),
            api.create(&params, &question),
            |source| cluster::Error::Read {
                what: "who you are".to_owned(),
                source,
            },
        );
        let review = review.await.map_err(|source| Error::Cluster {
            operation: "find out who you are",
            source: Box::new(source),
        })?;
        let user = review.status.and_then(|status| status.user_info?.username);
        Ok(user.unwrap_or_else(|| "unknown".to_owned()))
    }

    /// Takes the finalizers off one object, on record: the record is written first, as the object's end may be the end of the Environment
    /// and of what could still be written on it; the server takes it into the receipt. An Event tells it as well.
    ///
    /// # Errors
    /// Nothing was removed: the object is not what was shown, the record or the removal was refused.
    pub async fn release(&self, held: &Held, by: &str) -> Result<(), Error> {
        let failed = |source| Error::Cluster {
            operation: "remove the finalizers",
            source: Box::new(source),
        };
        let resource = self.observer.kinds.resolve(&held.key).await.map_err(failed)?;
        let api = resource.api_for(self.observer.connection.controller(), &held.key);
        let found = within(
            || format!("read {}", held.key),
            api.get_opt(&held.key.name),
            |source| cluster::Error::Read {
                what: held.key.to_string(),
                source,
            },
        );
        let Some(live) = found.await.map_err(failed)? else { return Ok(()) };
        let is_same = live.uid().as_ref() == Some(&held.uid) && live.metadata.deletion_timestamp.is_some();
        if !is_same {
            return Err(Error::Changed(held.key.clone()));
        }
        let records = record(held, by);
        self.write_records(|all| all.extend(records.iter().cloned()))
            .await
            .map_err(failed)?;
        if let Err(source) = remove(&api, held, &live).await {
            // It did not happen, so the receipt must not say so.
            let _ = self.write_records(|all| all.retain(|entry| !records.contains(entry))).await;
            return Err(failed(source));
        }
        self.announce(held, by).await;
        Ok(())
    }

    async fn write_records(&self, change: impl Fn(&mut Vec<FinalizerRemoved>)) -> Result<(), cluster::Error> {
        let namespace = self.environment.namespace().unwrap_or_default();
        let api: Api<Environment> = Api::namespaced(self.observer.connection.controller(), &namespace);
        let name = self.environment.name_any();
        let wrap = |source| cluster::Error::Write {
            what: format!("the record on Environment {name}"),
            source,
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let fresh = within(|| format!("read Environment {name}"), api.get(&name), wrap).await?;
            let mut all = FinalizerRemoved::of(&fresh);
            change(&mut all);
            let text = serde_json::to_string(&all).unwrap_or_default();
            let body = json!({ "metadata": {
                "uid": self.environment.uid(),
                "resourceVersion": fresh.resource_version(),
                "annotations": { keys::FINALIZERS_REMOVED_ANNOTATION: text },
            }});
            let (params, patch) = (PatchParams::default(), Patch::Merge(&body));
            let written = within(|| format!("write on Environment {name}"), api.patch(&name, &params, &patch), wrap).await;
            match written {
                Err(error) if attempts < ATTEMPTS && cluster::publish::is_conflict(&error) => {}
                other => return other.map(drop),
            }
        }
    }

    async fn announce(&self, held: &Held, by: &str) {
        let reporter = Reporter {
            controller: "graftling-unstick".to_owned(),
            instance: None,
        };
        let event = Event {
            type_: EventType::Warning,
            reason: "FinalizerRemoved".to_owned(),
            note: Some(format!("{by} removed {} from {} by hand", held.finalizers.join(", "), held.key)),
            action: "Unstick".to_owned(),
            secondary: None,
        };
        let recorder = Recorder::new(self.observer.connection.controller(), reporter);
        if let Err(error) = recorder.publish(&event, &self.environment.object_ref(&())).await {
            tracing::warn!(error = %chain(&error), "could not write an Event about the removal; the record on the Environment has it");
        }
    }
}

fn record(held: &Held, by: &str) -> Vec<FinalizerRemoved> {
    let at = Timestamp::now().to_string();
    let entry = |finalizer: &String| FinalizerRemoved {
        object: held.key.to_string(),
        finalizer: finalizer.clone(),
        by: by.to_owned(),
        at: at.clone(),
    };
    held.finalizers.iter().map(entry).collect()
}

/// Takes off what was shown, and leaves what came since.
async fn remove(api: &Api<DynamicObject>, held: &Held, live: &DynamicObject) -> Result<(), cluster::Error> {
    let mut left = live.finalizers().to_vec();
    left.retain(|finalizer| !held.finalizers.contains(finalizer));
    let body = json!({ "metadata": { "uid": held.uid, "resourceVersion": live.resource_version(), "finalizers": left } });
    let (params, patch) = (PatchParams::default(), Patch::Merge(&body));
    let removed = within(
        || format!("remove finalizers of {}", held.key),
        api.patch(&held.key.name, &params, &patch),
        |source| cluster::Error::Write {
            what: format!("the finalizers of {}", held.key),
            source,
        },
    );
    match removed.await {
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}
