//! The shipped bundle `web`, with everything that it can have, under the strictest guardrails.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeSet;

use graftling::api::environment::{Environment, Phase};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::{Api, ResourceExt};
use serde_json::json;
use testbed::{Repository, wait};

use crate::world::{LONG, Options, World, root};

#[tokio::test(flavor = "multi_thread")]
async fn the_web_bundle_with_a_database_comes_up_under_restricted_pod_security_and_goes_without_a_trace() {
    let options = Options {
        bundles: root().join("templates"),
        ..Options::default()
    };
    let world = World::with("web", options).await;
    volume(&world).await;
    let repository = Repository::create().unwrap();
    let revision = repository.commit("feature/basket", &[("index.html", "1")]).unwrap();
    let values = json!({
        "bundle": { "name": "web" },
        "values": { "database": { "enabled": true }, "migration": { "enabled": true }, "cache": { "enabled": true }, "worker": { "enabled": true },
            "cron": { "enabled": true }, "appSecrets": { "API_KEY": "not-in-any-status" } },
        "guardrails": { "podSecurity": "restricted" },
        "branches": { "include": ["feature/*"] },
    });
    world.project("shop", &repository, values).await;

    let environment = world.wait_for("feature/basket", Phase::Ready, &revision).await;
    let name = environment.name_any();
    let kinds = kinds(&environment);
    for kind in [
        "Namespace",
        "ResourceQuota",
        "LimitRange",
        "NetworkPolicy",
        "RoleBinding",
        "Role",
        "ServiceAccount",
        "ConfigMap",
        "Secret",
        "Service",
        "Ingress",
        "Deployment",
        "StatefulSet",
        "Job",
        "CronJob",
    ] {
        assert!(kinds.contains(kind), "{kind} is not in {kinds:?}");
    }
    let status = environment.status.clone().unwrap();
    assert_eq!(status.urls, [format!("https://{name}.preview.example.com")]);
    let text = serde_json::to_string(&status).unwrap();
    assert!(!text.contains("not-in-any-status"), "{text}");

    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), &name);
    assert_eq!(deployments.get("web").await.unwrap().status.unwrap().available_replicas, Some(1));
    for name in ["cache", "worker"] {
        assert_eq!(
            deployments.get(name).await.unwrap().status.unwrap().available_replicas,
            Some(1),
            "{name}"
        );
    }
    let sets: Api<StatefulSet> = Api::namespaced(world.client.clone(), &name);
    assert_eq!(sets.list(&Default::default()).await.unwrap().items.len(), 1);

    repository.delete_branches(&["feature/basket"]).unwrap();
    provisioner_deletes_the_volume(&world).await;
    world.wait_gone("feature/basket").await;
    assert!(!world.namespace_exists(&name).await);
    assert!(world.receipt(&environment).await.contains("left: []"));
}

fn kinds(environment: &Environment) -> BTreeSet<String> {
    let status = environment.status.as_ref().unwrap();
    status.inventory.entries().into_iter().map(|entry| entry.kind).collect()
}

/// What a provisioner does with a volume whose claim is gone.
async fn provisioner_deletes_the_volume(world: &World) {
    let api: Api<PersistentVolume> = Api::all(world.client.clone());
    let name = volume_name(world);
    let is_released = |volume: &PersistentVolume| {
        let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
        phase == Some("Released") || phase == Some("Failed")
    };
    wait::for_object(&api, &name, "released volume", LONG, is_released).await;
    api.delete(&name, &Default::default()).await.unwrap();
}

fn volume_name(world: &World) -> String {
    format!("{}-volume", world.namespace.name())
}

/// There is no provisioner: a volume for the database to be bound to.
async fn volume(world: &World) {
    let name = volume_name(world);
    let body = json!({ "spec": {
        "capacity": { "storage": "1Gi" },
        "accessModes": ["ReadWriteOnce"],
        "hostPath": { "path": "/nowhere" },
        "persistentVolumeReclaimPolicy": "Delete",
    }});
    world.create("v1", "PersistentVolume", None, &name, body).await;
}
