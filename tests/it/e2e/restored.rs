//! Backups that bring back some objects and not others, all under new UIDs, and statuses that another version wrote.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::Environment;
use graftling::api::environment::Phase;
use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use testbed::{AuditEvent, wait};

use super::orphans::{env, lose};
use super::scene::{CONFIG, Scene, short};
use crate::world::{LONG, objects};

const CONTENTS: [(&str, &str, &str); 3] = [
    ("v1", "ConfigMap", "settings"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "graftling-deployer"),
    ("v1", "ResourceQuota", "graftling-quota"),
];

/// What a backup holds of an environment.
struct Backup {
    environment: Value,
    namespace: Value,
    contents: Vec<Value>,
}

/// Whether field managers come back with the objects; tools differ.
#[derive(Clone, Copy, PartialEq)]
enum Fields {
    Kept,
    Dropped,
}

impl Backup {
    /// Takes everything of an environment, then loses all of it.
    async fn of(scene: &Scene, environment: &Environment) -> Self {
        let name = environment.name_any();
        let mut contents = Vec::new();
        for (version, kind, object) in CONTENTS {
            contents.push(scene.read(version, kind, &name, object).await.unwrap());
        }
        let backup = Self {
            environment: json!(scene.world.environment(&environment.spec.branch).await.unwrap()),
            namespace: scene.read("v1", "Namespace", "", &name).await.unwrap(),
            contents,
        };
        lose(&scene.world, environment).await;
        scene.remove("v1", "Namespace", "", &name).await;
        wait::until("end of the namespace", LONG, || async {
            !scene.world.namespace_exists(&name).await
        })
        .await;
        backup
    }

    /// Creates the namespace and its contents as a restore does: without UIDs and versions.
    async fn restore_namespace(&self, scene: &Scene, fields: Fields) {
        restore(scene, &self.namespace, fields).await;
        for object in &self.contents {
            restore(scene, object, fields).await;
        }
    }

    /// Creates the Environment, with the status that it had.
    async fn restore_environment(&self, scene: &Scene, with_status: bool) {
        restore(scene, &self.environment, Fields::Kept).await;
        if with_status {
            let patch = Patch::Merge(json!({ "status": self.environment["status"] }));
            let name = self.environment["metadata"]["name"].as_str().unwrap();
            scene
                .world
                .environments()
                .patch_status(name, &PatchParams::default(), &patch)
                .await
                .unwrap();
        }
    }
}

async fn restore(scene: &Scene, object: &Value, fields: Fields) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let namespace = text("/metadata/namespace");
    let version = if text("/apiVersion").is_empty() {
        "graftling.dev/v1alpha1"
    } else {
        text("/apiVersion")
    };
    let kind = if text("/kind").is_empty() { "Environment" } else { text("/kind") };
    let api = objects::api(&scene.world.client, version, kind, Some(namespace)).await;
    let mut body = object.clone();
    body["apiVersion"] = json!(version);
    body["kind"] = json!(kind);
    let metadata = body["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| ["name", "namespace", "labels", "annotations", "finalizers"].contains(&key.as_str()));
    body.as_object_mut().unwrap().remove("status");
    let body: DynamicObject = serde_json::from_value(body).unwrap();
    api.create(&PostParams::default(), &body).await.unwrap();
    let managed = match fields {
        Fields::Kept => object["metadata"]["managedFields"].clone(),
        Fields::Dropped => json!([{}]),
    };
    let patch = Patch::Merge(json!({ "metadata": { "managedFields": managed } }));
    api.patch(text("/metadata/name"), &PatchParams::default(), &patch).await.unwrap();
}

/// Deletions by the server in an environment, its namespace included.
fn deletions(scene: &Scene, position: testbed::Position, name: &str) -> Vec<String> {
    let of_environment = |event: &&AuditEvent| event.verb == "delete" && (event.namespace == name || event.name == name);
    scene.writes(position).iter().filter(of_environment).map(short).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f43_a_restored_environment_takes_its_restored_namespace_over_under_the_new_uids() {
    for with_status in [false, true] {
        let mut scene = Scene::start("backup", CONFIG).await;
        let environment = scene.up("feature/a").await;
        let name = environment.name_any();
        scene.world.server = None;
        let backup = Backup::of(&scene, &environment).await;
        backup.restore_namespace(&scene, Fields::Kept).await;
        backup.restore_environment(&scene, with_status).await;
        let settings = scene.uid("v1", "ConfigMap", &name, "settings").await;
        let position = scene.position();
        scene.world.start_server().await;
        scene
            .world
            .wait_until("feature/a", "ready under the new UIDs", |environment| {
                let status = environment.status.clone().unwrap_or_default();
                let recorded = status.inventory.entries().iter().any(|entry| entry.uid.as_ref() == Some(&settings));
                status.phase == Some(Phase::Ready) && recorded
            })
            .await;
        assert_eq!(deletions(&scene, position, &name), [""; 0]);
        assert_eq!(scene.uid("v1", "ConfigMap", &name, "settings").await, settings);
        scene.repository.delete_branches(&["feature/a"]).unwrap();
        scene.world.wait_gone("feature/a").await;
        assert!(!scene.world.namespace_exists(&name).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f43_without_field_managers_nothing_is_written_or_removed_until_somebody_asks() {
    let mut scene = Scene::start("doubt", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene.world.server = None;
    let backup = Backup::of(&scene, &environment).await;
    backup.restore_namespace(&scene, Fields::Dropped).await;
    backup.restore_environment(&scene, true).await;
    let position = scene.position();
    scene.world.start_server().await;
    let command = format!("graftling env adopt {name}");
    scene
        .told("feature/a", Phase::Failed, &["managed fields do not show", &command])
        .await;
    scene.world.wait_for_event("UnknownIncarnation").await;
    // The branch goes: destructive work is refused in the same words.
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene
        .told("feature/a", Phase::Blocked, &["managed fields do not show", &command])
        .await;
    assert_eq!(
        deletions(&scene, position, &name),
        ["delete environments ".to_owned() + &name],
        "only its retirement"
    );
    assert!(scene.writes_inside(position, &environment).is_empty());

    let restored = scene.world.environment("feature/a").await.unwrap();
    let (code, text) = env(&scene.world, &["adopt", "feature/a", "--yes"]).await;
    assert_eq!(code, 0, "{text}");
    scene.world.wait_gone("feature/a").await;
    assert!(!scene.world.namespace_exists(&name).await);
    let receipt = scene.world.receipt(&restored).await;
    assert!(receipt.contains("left: []"), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f43_an_environment_that_is_restored_without_its_namespace_makes_it_anew() {
    let mut scene = Scene::start("half", CONFIG).await;
    let environment = scene.up("feature/a").await;
    scene.world.server = None;
    let backup = Backup::of(&scene, &environment).await;
    backup.restore_environment(&scene, true).await;
    scene.world.start_server().await;
    let name = environment.name_any();
    let namespace = wait::until("a new namespace", LONG, || scene.world.namespace_uid(&name)).await;
    scene
        .world
        .wait_until("feature/a", "ready in it", |environment| {
            let status = environment.status.clone().unwrap_or_default();
            status.phase == Some(Phase::Ready) && status.namespace.is_some_and(|home| home.uid.as_ref() == Some(&namespace))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f85_a_status_of_another_version_keeps_its_inventory_and_refuses_to_delete_what_it_does_not_understand() {
    let mut scene = Scene::start("version", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let other = scene.up("feature/b").await;
    let name = environment.name_any();
    scene.world.server = None;
    // As a newer version writes it: a stage that this one does not have.
    let mut inventory = json!(environment.status.as_ref().unwrap().inventory);
    inventory[0]["stage"] = json!("cloud");
    let patch = Patch::Merge(json!({ "status": { "inventory": inventory } }));
    scene
        .world
        .environments()
        .patch_status(&name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    let position = scene.position();
    scene.world.start_server().await;
    let told = scene
        .told("feature/a", Phase::Failed, &["unknown stage \"cloud\"", "newer version"])
        .await;
    let stored = json!(told.inventory);
    assert_eq!(stored, inventory, "nothing of the inventory is lost");
    scene.world.wait_for_event("NotUnderstood").await;
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.told("feature/a", Phase::Blocked, &["unknown stage \"cloud\""]).await;
    assert_eq!(
        deletions(&scene, position, &name),
        ["delete environments ".to_owned() + &name],
        "only its retirement"
    );
    // Others are not disturbed.
    let pushed = scene.push("feature/b");
    assert_eq!(scene.world.wait_ready("feature/b", &pushed).await.uid(), other.uid());

    // The version that understands it is back.
    inventory[0]["stage"] = json!(environment.status.as_ref().unwrap().inventory.entries()[0].stage);
    let patch = Patch::Merge(json!({ "status": { "inventory": inventory } }));
    scene
        .world
        .environments()
        .patch_status(&name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    scene.world.server = None;
    scene.world.start_server().await;
    scene.world.wait_gone("feature/a").await;
}
