//! Reads what is there.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::super::observed::{Observed, text};
use super::super::operation::Branch;
use super::cluster::api;
use super::{Error, Machine};

/// The kinds that environments of a storm consist of.
const KINDS: [(&str, &str); 9] = [
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    ("apps/v1", "Deployment"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
];

impl Machine {
    /// What is there now.
    pub(super) async fn observe(&mut self) -> Result<Observed, Error> {
        let environments = self.subject.environments().await.map_err(Error::SetUp)?;
        for environment in &environments {
            if let Some(branch) = Branch::all().find(|branch| environment["spec"]["branch"] == branch.name()) {
                self.names.insert(branch, text(environment, "/metadata/name").to_owned());
            }
        }
        let names: BTreeSet<&str> = self.names.values().map(String::as_str).collect();
        let all = self.list("v1", "Namespace", None).await?;
        let ours = |namespace: &Value| {
            let of = text(namespace, "/metadata/labels/graftling.dev~1project-namespace");
            of == self.subject.namespace() || names.contains(text(namespace, "/metadata/name"))
        };
        let namespaces: BTreeMap<String, Value> = all
            .into_iter()
            .filter(ours)
            .map(|namespace| (text(&namespace, "/metadata/name").to_owned(), namespace))
            .collect();
        let this = &*self;
        let listed = try_join_all(KINDS.map(|(version, kind)| async move {
            let objects = this.list(version, kind, None).await?;
            Ok::<_, Error>(objects.into_iter().map(move |object| (kind, object)))
        }))
        .await?;
        let objects = listed.into_iter().flatten().filter_map(|(kind, object)| {
            let (namespace, name) = (text(&object, "/metadata/namespace"), text(&object, "/metadata/name"));
            let key = (namespace.to_owned(), kind.to_owned(), name.to_owned());
            namespaces.contains_key(namespace).then_some((key, object))
        });
        let objects = objects.collect();
        let project = self
            .list("graftling.dev/v1alpha1", "Project", Some(self.subject.namespace()))
            .await?;
        Ok(Observed {
            project: project.into_iter().next().unwrap_or_default(),
            environments,
            namespaces,
            objects,
        })
    }

    pub(super) async fn list(&self, version: &str, kind: &str, namespace: Option<&str>) -> Result<Vec<Value>, Error> {
        let listed = api(self.subject.client(), version, kind, namespace)
            .list(&ListParams::default())
            .await;
        let listed = listed.map_err(|source| Error::Request {
            action: format!("list {kind}"),
            source: Box::new(source),
        })?;
        Ok(listed.items.into_iter().map(|object| json!(object)).collect())
    }

    /// The version of everything now, for stale reads later.
    pub(super) async fn version(&self) -> Result<String, Error> {
        let listed = api(self.subject.client(), "v1", "Namespace", None)
            .list(&ListParams::default().limit(1))
            .await;
        let listed = listed.map_err(|source| Error::Request {
            action: "list namespaces".to_owned(),
            source: Box::new(source),
        })?;
        Ok(listed.metadata.resource_version.unwrap_or_default())
    }
}
