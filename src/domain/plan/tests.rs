//! Plans carried out against a small pure model of an API server: what must hold whatever dies in between.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

mod adoption;
mod agreement;
mod cluster;
mod contents;
mod controller;
mod deploy;
mod examples;
mod records;
mod references;
mod retain;
mod shared;
mod teardown;
mod words;

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::domain::manifest::Source;
use crate::domain::name::EnvironmentName;
use crate::domain::observed::{Share, Shares};
use crate::domain::plan::deploy::Desired;

const ENVIRONMENT: &str = "shop-a-aaaaaaaaaa";
/// The name of objects that environments share.
const SHARED: &str = "shared";
/// The UID of the Environment object.
const UID: &str = "environment-1";

fn environment() -> EnvironmentName {
    ENVIRONMENT.parse().unwrap()
}

/// An object of the environment's namespace, by `group/Kind/name`; the core group is empty.
fn key(text: &str) -> ObjectKey {
    let mut parts = text.splitn(3, '/');
    let mut part = || parts.next().unwrap().to_owned();
    let (group, kind, name) = (part(), part(), part());
    let namespaced = !matches!(
        kind.as_str(),
        "Namespace" | "ClusterThing" | "PriorityClass" | "PersistentVolume" | "ClusterRoleBinding"
    );
    ObjectKey {
        group,
        version: "v1".into(),
        kind,
        namespace: namespaced.then(|| ENVIRONMENT.to_owned()),
        name,
    }
}

fn namespace_key() -> ObjectKey {
    key(&format!("/Namespace/{ENVIRONMENT}"))
}

/// A manifest whose content is `content`.
fn manifest(key: ObjectKey, content: &str) -> Manifest {
    let mut metadata = json!({"name": key.name, "labels": {"graftling.dev/environment": ENVIRONMENT}});
    if key.kind == "Namespace" {
        metadata["annotations"] = json!({"graftling.dev/environment-uid": UID});
    }
    if key.name == SHARED {
        metadata["labels"] = json!({"graftling.dev/shared": "true"});
        metadata["annotations"] = json!({format!("owner.graftling.dev/{ENVIRONMENT}"): format!("digest of {content}")});
    }
    Manifest {
        body: Arc::new(json!({"kind": key.kind, "metadata": metadata, "content": content, "stringData": {"content": content}})),
        digest: format!("digest of {content}"),
        source: Source {
            file: "test.yaml".into(),
            line: 1,
        },
        key,
    }
}

const GUARDRAILS: [&str; 2] = [
    "rbac.authorization.k8s.io/RoleBinding/graftling-deployer",
    "/ResourceQuota/graftling-quota",
];

/// A namespace with guardrails and these objects, each with its content.
fn desired(objects: &[(&str, &str)]) -> Desired {
    Desired {
        namespace: manifest(namespace_key(), "namespace"),
        guardrails: GUARDRAILS.iter().map(|name| manifest(key(name), "guardrail")).collect(),
        objects: objects.iter().map(|(name, content)| manifest(key(name), content)).collect(),
        held: std::collections::BTreeSet::new(),
    }
}

fn keys(desired: &Desired) -> impl Iterator<Item = &ObjectKey> {
    std::iter::once(&desired.namespace)
        .chain(&desired.guardrails)
        .chain(&desired.objects)
        .map(|manifest| &manifest.key)
}
