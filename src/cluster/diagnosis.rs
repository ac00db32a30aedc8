//! What is read of a namespace to find out why something in it is not ready: asked only then, and never more than a dozen requests.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, GroupVersionKind, ListParams, LogParams};
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::Value;

use super::Error;
use super::connection::within;
use super::logs::LOST_LOG;
use super::observe::Observer;
use crate::domain::manifest::ObjectKey;
use crate::domain::name::Namespace;
use crate::domain::readiness;
use crate::domain::why::{LogTail, Scene, crashed_container};

/// The most objects of a kind that are looked at. What is wrong with the first hundreds of pods is wrong with the rest.
const PAGE: u32 = 300;
/// The most objects that are not ready that are read whole.
const MOST_UNREADY: usize = 4;
/// How many lines of a log are read, and how many bytes.
const LOG_LINES: i64 = 20;
const LOG_BYTES: i64 = 16 * 1024;
/// A node that does not give a log soon will not be waited for: the rest is known already.
const LOG_TIMEOUT: Duration = Duration::from_secs(3);

/// A look at a namespace, and what of it may not be read or did not answer.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// What was read.
    pub scene: Scene,
    /// What is missing of it, each with the reason.
    pub missing: Vec<String>,
}

impl Observer {
    /// Reads as `client` what may tell why `unready` are not ready.
    ///
    /// A diagnosis never keeps a deployment from going on, so nothing here is an error: what cannot be read is missing.
    pub async fn diagnose(&self, client: &Client, namespace: &Namespace, unready: &[ObjectKey]) -> Look {
        let wanted: Vec<&ObjectKey> = unready.iter().filter(|key| key.kind != "Pod").take(MOST_UNREADY).collect();
        let reads = join_all(wanted.iter().map(|key| self.read_whole(client.clone(), key)));
        let (mut look, found) = futures::join!(look(client, namespace), reads);
        for (key, found) in wanted.iter().zip(found) {
            match found {
                Ok(body) => look.scene.unready.extend(body),
                Err(error) => look.miss(&key.to_string(), &error),
            }
        }
        look.with_log(client, namespace).await
    }
}

/// Reads as `client` what may tell why things of a namespace are not ready, whichever they are.
pub async fn diagnose_all(client: &Client, namespace: &Namespace) -> Look {
    const WORKLOADS: [(&str, &str); 4] = [
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        ("batch", "Job"),
    ];
    let mut look = look(client, namespace).await;
    let listed = join_all(WORKLOADS.map(|(group, kind)| async move { (kind, list(client, namespace, group, kind).await) })).await;
    for (kind, listed) in listed {
        match listed {
            Ok(items) => look
                .scene
                .unready
                .extend(items.into_iter().filter(|body| !readiness::assess(body).is_ready())),
            Err(error) => look.miss(kind, &error),
        }
    }
    look.with_log(client, namespace).await
}

async fn look(client: &Client, namespace: &Namespace) -> Look {
    let (pods, replica_sets, events, services, claims) = futures::join!(
        list(client, namespace, "", "Pod"),
        list(client, namespace, "apps", "ReplicaSet"),
        list(client, namespace, "", "Event"),
        list(client, namespace, "", "Service"),
        list(client, namespace, "", "PersistentVolumeClaim"),
    );
    let mut look = Look::default();
    look.scene.pods = look.take("pods", pods);
    look.scene.replica_sets = look.take("replica sets", replica_sets);
    look.scene.events = look.take("events", events);
    look.scene.services = look.take("services", services);
    look.scene.claims = look.take("volume claims", claims);
    look
}

/// The first objects of a kind in a namespace, each with its kind, which lists leave out.
async fn list(client: &Client, namespace: &Namespace, group: &str, kind: &str) -> Result<Vec<Value>, Error> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace.as_str(), &resource);
    let params = ListParams::default().limit(PAGE);
    let what = || format!("{} in {namespace}", resource.plural);
    let listed = within(
        || format!("list {}", what()),
        api.list(&params),
        |source| Error::List { what: what(), source },
    )
    .await?;
    let with_kind = |object: DynamicObject| {
        let mut body = serde_json::to_value(object).ok()?;
        body["apiVersion"] = Value::String(resource.api_version.clone());
        body["kind"] = Value::String(resource.kind.clone());
        Some(body)
    };
    Ok(listed.items.into_iter().filter_map(with_kind).collect())
}

impl Look {
    fn take(&mut self, what: &str, listed: Result<Vec<Value>, Error>) -> Vec<Value> {
        listed.unwrap_or_else(|error| {
            self.miss(what, &error);
            Vec::new()
        })
    }

    fn miss(&mut self, what: &str, error: &Error) {
        tracing::debug!(what, error = %error.chain(), "a diagnosis goes without this");
        self.missing.push(format!("{what}: {}", error.chain()));
    }

    /// Reads the last words of the container that says most, if one has ended.
    async fn with_log(mut self, client: &Client, namespace: &Namespace) -> Self {
        let Some((pod, container, previous)) = crashed_container(&self.scene) else {
            return self;
        };
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace.as_str());
        let params = LogParams {
            container: Some(container.clone()),
            previous,
            tail_lines: Some(LOG_LINES),
            limit_bytes: Some(LOG_BYTES),
            ..LogParams::default()
        };
        match tokio::time::timeout(LOG_TIMEOUT, api.logs(&pod, &params)).await {
            Ok(Ok(text)) if text.starts_with(LOST_LOG) => self.missing.push(format!("the log of Pod {pod}: {text}")),
            Ok(Ok(text)) => self.scene.log = Some(LogTail { pod, container, text }),
            Ok(Err(source)) => {
                let what = format!("the log of container {container} of Pod {pod}");
                self.miss(&what.clone(), &Error::Read { what, source });
            }
            Err(_) => self
                .missing
                .push(format!("the log of Pod {pod}: no answer within {} s", LOG_TIMEOUT.as_secs())),
        }
        self
    }
}
