//! `graftling env unstick`: the only way to remove a finalizer, shown before, asked for, and on record after.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::process::{Command, Output};

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::scene::{CONFIG, Scene};

const HELD: &[&str] = &["nobody.example/serves", "nobody.example/cleans"];

struct Run {
    code: Option<i32>,
    output: String,
    errors: String,
}

/// Runs the command without a terminal, as the admin.
async fn unstick(scene: &Scene, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graftling"));
    command
        .args(["env", "unstick"])
        .args(arguments)
        .args(["-n", scene.world.namespace.name()]);
    command.env("KUBECONFIG", scene.world.plane.kubeconfig());
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Run {
        code: output.status.code(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn finalizers(scene: &Scene, namespace: &str, name: &str) -> Value {
    let object = scene.read("v1", "ConfigMap", namespace, name).await;
    object.map(|object| object["metadata"]["finalizers"].clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x5_finalizers_are_removed_only_on_demand_by_name_and_on_record() {
    let scene = Scene::start("unstick", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let held = json!({ "metadata": { "finalizers": HELD } });
    scene.edit("v1", "ConfigMap", &name, "settings", held.clone()).await;
    // Somebody else's, in another namespace and of a like name: never shown and never touched.
    let elsewhere = scene.world.namespace.name();
    scene
        .world
        .create("v1", "ConfigMap", Some(elsewhere), "settings", held.clone())
        .await;
    scene.remove("v1", "ConfigMap", elsewhere, "settings").await;

    let refused = unstick(&scene, &["feature/a", "--yes"]).await;
    assert_eq!(refused.code, Some(4), "{}", refused.errors);
    assert!(refused.errors.contains("is not being deleted"), "{}", refused.errors);
    assert_eq!(finalizers(&scene, &name, "settings").await, json!(HELD));

    scene.delete(&environment).await;
    scene.told("feature/a", Phase::Deleting, &["ConfigMap settings", HELD[0]]).await;
    let asked = unstick(&scene, &["feature/a"]).await;
    assert_eq!(asked.code, Some(4), "there is nobody to ask: {}", asked.errors);
    for words in ["v1 ConfigMap settings, being deleted since", HELD[0], HELD[1], "stays behind"] {
        assert!(asked.errors.contains(words), "{words} in {}", asked.errors);
    }
    let other = unstick(&scene, &["feature/a", "--yes", "--object", "ConfigMap/other"]).await;
    assert_eq!(other.code, Some(3), "{}", other.errors);
    assert_eq!(finalizers(&scene, &name, "settings").await, json!(HELD), "nothing happened yet");

    let done = unstick(&scene, &["feature/a", "--yes", "--object", "configmap/settings"]).await;
    assert_eq!(done.code, Some(0), "{}", done.errors);
    assert_eq!(done.output, format!("v1 ConfigMap settings: removed {}\n", HELD.join(", ")));
    scene.world.wait_gone("feature/a").await;
    let receipt: Value = serde_saphyr::from_str(&scene.world.receipt(&environment).await).unwrap();
    let removed = receipt["finalizersRemoved"].as_array().unwrap();
    let told: Vec<_> = removed
        .iter()
        .map(|entry| (entry["object"].as_str().unwrap(), entry["finalizer"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        HELD.iter()
            .map(|finalizer| ("v1 ConfigMap settings", *finalizer))
            .collect::<Vec<_>>()
    );
    assert!(
        removed
            .iter()
            .all(|entry| entry["by"] == "admin" && entry["at"].as_str().unwrap().starts_with("20")),
        "{removed:?}"
    );
    scene.world.wait_for_event("FinalizerRemoved").await;
    let events = scene.world.events("FinalizerRemoved").await;
    assert!(
        events
            .iter()
            .any(|note| note.starts_with("admin removed") && note.contains("ConfigMap settings")),
        "{events:?}"
    );

    assert_eq!(
        finalizers(&scene, elsewhere, "settings").await,
        json!(HELD),
        "outside of the environment"
    );
    scene
        .edit(
            "v1",
            "ConfigMap",
            elsewhere,
            "settings",
            json!({ "metadata": { "finalizers": [] } }),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_finalizer_and_those_of_objects_in_use_are_not_offered() {
    let scene = Scene::start("offered", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let held = |finalizers: Value| json!({ "metadata": { "finalizers": finalizers } });
    scene
        .edit("v1", "ConfigMap", &name, "settings", held(json!(["graftling.dev/teardown"])))
        .await;
    scene
        .world
        .create("v1", "ConfigMap", Some(&name), "inuse", held(json!(["theirs.example/keep"])))
        .await;
    scene.delete(&environment).await;
    scene.told("feature/a", Phase::Deleting, &["ConfigMap settings"]).await;
    let none = unstick(&scene, &["feature/a", "--yes"]).await;
    assert_eq!((none.code, none.output.as_str()), (Some(0), ""), "{}", none.errors);
    assert!(none.errors.starts_with("Nothing of "), "{}", none.errors);
    assert_eq!(finalizers(&scene, &name, "settings").await, json!(["graftling.dev/teardown"]));
    scene.edit("v1", "ConfigMap", &name, "settings", held(json!([]))).await;
    scene.edit("v1", "ConfigMap", &name, "inuse", held(json!([]))).await;
    scene.remove("v1", "ConfigMap", &name, "inuse").await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
}
