//! Namespaces whose Environment is lost: taken over where the evidence is complete, told where it is not, and never removed in between.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeMap;
use std::process::Command;

use graftling::api::Environment;
use graftling::api::environment::Phase;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use testbed::{AuditEvent, Repository, subject, wait};

use super::scene::{CONFIG, Scene, WEB, short};
use crate::world::{LONG, Options, World, without_main};

/// What an environment of the bundle [`WEB`] consists of, and what runs in it.
const OBJECTS: [(&str, &str, &str); 6] = [
    ("v1", "ServiceAccount", "web"),
    ("v1", "ConfigMap", "settings"),
    ("v1", "Secret", "keys"),
    ("apps/v1", "Deployment", "web"),
    ("v1", "ResourceQuota", "graftling-quota"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "graftling-deployer"),
];

/// Loses the Environment object as somebody does who takes its finalizer off and deletes it.
pub async fn lose(world: &World, environment: &Environment) {
    let api = world.environments();
    let name = environment.name_any();
    let none = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch(&name, &PatchParams::default(), &none).await.unwrap();
    api.delete(&name, &DeleteParams::default()).await.unwrap();
}

/// The UIDs of everything in an environment of [`WEB`], its namespace and pods included.
async fn uids(scene: &Scene, namespace: &str) -> BTreeMap<String, String> {
    let mut uids = BTreeMap::new();
    uids.insert("namespace".to_owned(), scene.world.namespace_uid(namespace).await.unwrap());
    for (version, kind, name) in OBJECTS {
        uids.insert(kind.to_owned(), scene.uid(version, kind, namespace, name).await);
    }
    let pods: Api<Pod> = Api::namespaced(scene.world.client.clone(), namespace);
    for pod in pods.list(&ListParams::default()).await.unwrap() {
        uids.insert(pod.name_any(), pod.uid().unwrap());
    }
    uids
}

/// Runs `graftling env …` as the admin in the world's namespace, and gives its code and what it printed.
pub async fn env(world: &World, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graftling"));
    command.arg("env").args(arguments).args(["-n", world.namespace.name()]);
    command.env_clear().env("HOME", world.folder.path());
    command.env("KUBECONFIG", world.plane.kubeconfig());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn f40_what_a_lost_environment_left_is_taken_over_and_nothing_restarts() {
    let scene = Scene::start("lost", WEB).await;
    let before = scene.up("feature/a").await;
    let name = before.name_any();
    let old = uids(&scene, &name).await;
    let position = scene.position();
    lose(&scene.world, &before).await;

    let after = scene
        .world
        .wait_until("feature/a", "made anew and ready", |environment| {
            let phase = environment.status.as_ref().and_then(|status| status.phase);
            environment.uid() != before.uid() && phase == Some(Phase::Ready)
        })
        .await;
    assert_eq!(after.name_any(), name);
    assert_eq!(uids(&scene, &name).await, old, "everything is what it was, to the pod");
    let namespace = scene.read("v1", "Namespace", "", &name).await.unwrap();
    assert_eq!(
        namespace["metadata"]["annotations"]["graftling.dev/environment-uid"],
        after.uid().unwrap()
    );
    let status = after.status.as_ref().unwrap();
    let recorded = |kind: &str| {
        let entry = status
            .inventory
            .entries()
            .into_iter()
            .find(|entry| entry.kind == kind && !entry.name.starts_with("graftling-run-"));
        entry.unwrap_or_else(|| panic!("no {kind}")).uid.unwrap()
    };
    for (_, kind, _) in OBJECTS {
        assert_eq!(recorded(kind), old[kind], "{kind}");
    }
    scene.world.wait_for_event("Adopted").await;
    let writes = scene.writes(position);
    let deletes: Vec<_> = writes.iter().filter(|event| event.verb == "delete").map(short).collect();
    assert_eq!(deletes, [""; 0]);
    let is_status = |event: &&AuditEvent| event.resource == "environments" && event.subresource == "status";
    let recorded_first = writes.iter().find(is_status).unwrap().request_received;
    let inside = writes
        .iter()
        .filter(|event| event.namespace == name || event.name == name && event.resource == "namespaces");
    for event in inside {
        assert!(event.request_received > recorded_first, "the UIDs come first: {event:?}");
    }

    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    assert!(!scene.world.namespace_exists(&name).await);
    let receipt = scene.world.receipt(&after).await;
    assert!(receipt.contains("left: []"), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f40_namespaces_whose_branches_are_gone_too_go_by_the_same_rule_and_within_the_brake() {
    let mut scene = Scene::start("forgotten", CONFIG).await;
    let branches = ["one", "two", "three", "four"];
    let mut environments = Vec::new();
    for branch in branches {
        environments.push(scene.up(branch).await);
    }
    scene.world.server = None;
    for environment in &environments {
        lose(&scene.world, environment).await;
    }
    scene.repository.delete_branches(&branches).unwrap();
    let position = scene.position();
    scene.world.start_server().await;

    let held = scene
        .world
        .wait_for_project("shop", "with all of them held", |status| {
            status.brake.as_ref().is_some_and(|brake| brake.count == 4)
        })
        .await;
    scene.world.wait_for_event("Adopted").await;
    let of_namespaces = |event: &&AuditEvent| event.verb == "delete";
    let deletes: Vec<_> = scene.writes(position).iter().filter(of_namespaces).map(short).collect();
    assert_eq!(deletes, [""; 0], "nothing goes while the brake holds");
    let mut anew = Vec::new();
    for environment in &environments {
        anew.push(scene.world.environment(&environment.spec.branch).await.unwrap());
    }
    let digest = held.brake.unwrap().digest;
    scene.world.annotate_project("shop", "graftling.dev/release-brake", &digest).await;
    for environment in &anew {
        scene.world.wait_gone(&environment.spec.branch).await;
        assert!(!scene.world.namespace_exists(&environment.name_any()).await);
        let receipt = scene.world.receipt(environment).await;
        assert!(receipt.contains("left: []") && !receipt.contains("created: 0"), "{receipt}");
    }
    scene
        .world
        .wait_for_project("shop", "without orphans", |status| status.orphans.is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f40_while_the_project_is_suspended_an_orphan_is_told_and_goes_only_when_somebody_asks() {
    let scene = Scene::start("asked", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene.suspend_project().await;
    scene
        .world
        .wait_for_project("shop", "that is suspended", |status| {
            status.message.as_ref().is_some_and(|message| message.contains("suspend"))
        })
        .await;
    lose(&scene.world, &environment).await;
    let told = scene
        .world
        .wait_for_project("shop", "with an orphan", |status| !status.orphans.is_empty())
        .await;
    let orphan = &told.orphans[0];
    scene.world.wait_for_event("Orphaned").await;
    assert_eq!(
        (orphan.namespace.as_str(), orphan.branch.as_deref()),
        (name.as_str(), Some("feature/a"))
    );
    let command = format!("graftling env adopt {name} -n {}", scene.world.namespace.name());
    assert!(orphan.message.contains(&command), "{}", orphan.message);

    let (code, text) = env(&scene.world, &["adopt", &name]).await;
    assert_eq!(code, 4, "not confirmed: {text}");
    let (code, text) = env(&scene.world, &["adopt", "feature/other", "--yes"]).await;
    assert_eq!(code, 3, "{text}");
    let old = uids(&scene, &name).await;
    let (code, text) = env(&scene.world, &["adopt", &name, "--yes"]).await;
    assert_eq!(code, 0, "{text}");
    scene.told("feature/a", Phase::Pending, &["lost", "feature/a"]).await;
    scene.world.wait_for_event("Adopted").await;
    assert!(scene.world.events("Adopted").await[0].contains("as asked by admin"));
    assert_eq!(uids(&scene, &name).await, old);
    scene
        .world
        .wait_for_project("shop", "without orphans", |status| status.orphans.is_empty())
        .await;

    let (code, text) = env(&scene.world, &["delete", "feature/a", "--yes", "--wait"]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("left: []"), "{text}");
    assert!(!scene.world.namespace_exists(&name).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn f38_f40_definitions_that_are_deleted_take_no_environment_with_them_and_all_goes_on_when_they_are_back() {
    let mut world = World::apart("definitions", Options::default()).await;
    world.start_server().await;
    let repository = Repository::create().unwrap();
    world.project("shop", &repository, without_main(json!({}))).await;
    let revision = repository.commit("feature/a", &[("a", "1")]).unwrap();
    let before = world.wait_ready("feature/a", &revision).await;
    let name = before.name_any();
    let namespace = world.namespace_uid(&name).await.unwrap();
    let position = world.plane.audit().position();

    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    for plural in ["environments", "projects", "githosts"] {
        let definition = format!("{plural}.graftling.dev");
        definitions.delete(&definition, &DeleteParams::default()).await.unwrap();
        wait::until(format!("end of the definition {definition}"), LONG, || async {
            definitions.get_opt(&definition).await.unwrap().is_none()
        })
        .await;
    }
    wait::until("words about it", LONG, || async {
        let lines = world.server().running.lines();
        lines.iter().any(|line| line.contains("watch interrupted")).then_some(())
    })
    .await;
    assert!(world.server().running.exited().is_none(), "no crash");
    let is_inside = |event: &&AuditEvent| event.namespace == name || event.name == name && event.resource == "namespaces";
    let touched: Vec<_> = world.writes_since(position).iter().filter(is_inside).map(short).collect();
    assert_eq!(touched, [""; 0], "nothing of the environment is touched");

    subject::define_anew(&world.client).await.unwrap();
    world.project("shop", &repository, without_main(json!({}))).await;
    let after = world.wait_ready("feature/a", &revision).await;
    assert_ne!(after.uid(), before.uid());
    assert_eq!(world.namespace_uid(&name).await.unwrap(), namespace, "taken over");
    assert!(world.server().running.exited().is_none());
    let deletes = |event: &&AuditEvent| event.verb == "delete";
    let deletes: Vec<_> = world.writes_since(position).iter().filter(deletes).map(short).collect();
    assert_eq!(deletes, [""; 0]);
}
