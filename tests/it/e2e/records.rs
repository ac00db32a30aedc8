//! Records of runs on a real API server: small statuses, and nothing of a Secret in plain sight.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fmt::Write;

use graftling::api::convert::inventory::{entries, inventory};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::command;
use super::scene::{Scene, WEB};

#[tokio::test(flavor = "multi_thread")]
async fn f23_the_status_of_an_environment_of_300_objects_stays_below_64_kib_and_it_is_removed_like_any_other() {
    let mut template = String::new();
    for number in 0..300 {
        writeln!(
            template,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings-of-component-{number}}}\ndata: {{a: b}}"
        )
        .unwrap();
    }
    let scene = Scene::start("large", &template).await;
    let environment = scene.up("feature/a").await;
    let status = environment.status.clone().unwrap();
    let size = json!(status).to_string().len();
    assert!(size < 64 * 1024, "{size} bytes");
    assert_eq!(status.inventory.entries().len(), 1, "packed");
    let known = inventory(Some(&status)).unwrap();
    assert!(known.len() > 300 && known.iter().all(|(_, entry)| entry.uid.is_some()));
    assert_eq!(entries(&status).unwrap().len(), known.len());
    let described = command::env(&scene, &["describe", "feature/a"]).await;
    assert!(described.output.contains("settings-of-component-299"), "{}", described.output);
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s1_a_run_is_recorded_without_its_secrets_in_plain_sight_and_shown_to_who_may_see_it() {
    let scene = Scene::start("recorded", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let record = scene.read("v1", "Secret", &name, "graftling-run-1").await.unwrap();
    assert_eq!(record["type"], "graftling.dev/run");
    for text in [record.to_string(), json!(environment).to_string()] {
        assert!(!text.contains("not-in-any-log"), "{text}");
    }
    let status = environment.status.unwrap();
    let last = &status.history[0];
    assert_eq!(
        (last.run, last.result.as_str(), last.because.as_deref()),
        (Some(1), "Ready", Some("the environment is new"))
    );
    assert!(last.changed >= 8 && !last.objects.is_empty(), "{last:?}");

    let binary = std::path::PathBuf::from(env!("CARGO_BIN_EXE_graftling"));
    let namespace = scene.world.namespace.name().to_owned();
    let shown = command::run(
        &scene,
        binary.clone(),
        &["runs", "show", "feature/a", "-o", "json", "-n", &namespace],
    )
    .await;
    let shown: Value = serde_json::from_str(&shown.output).unwrap();
    assert_eq!(
        (&shown["run"], &shown["result"], &shown["logs"]),
        (&json!(1), &json!("Ready"), &json!([]))
    );
    let listed = command::run(&scene, binary, &["runs", "list", "feature/a", "-n", &namespace]).await;
    assert!(listed.output.contains("deploy "), "{}", listed.output);

    let key = json!({"metadata": {"annotations": {"graftling.dev/retain": "true"}, "labels": {"graftling.dev/environment": null}}});
    scene.edit("v1", "Secret", &name, "graftling-run-1", key).await;
    let environment = scene.world.environment("feature/a").await.unwrap();
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
}
