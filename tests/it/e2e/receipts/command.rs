//! `graftling receipt` against real receipts, good ones and others.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::e2e::command::{Run, run};
use crate::e2e::scene::{CONFIG, Scene};
use crate::world::receipt_name;

async fn graftling(scene: &Scene, arguments: &[&str]) -> Run {
    let all = [&["receipt"], arguments, &["-n", scene.world.namespace.name()]].concat();
    run(scene, PathBuf::from(env!("CARGO_BIN_EXE_graftling")), &all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x13_people_list_show_and_verify_receipts_and_a_changed_one_is_refused() {
    let scene = Scene::start("receipts", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    let home = scene.world.namespace.name();
    let keys = format!("--keys={home}/{home}-receipt-key");
    let stored = receipt_name(&environment);

    let list = graftling(&scene, &["list", "--project", "shop"]).await;
    assert_eq!((list.code, list.errors.as_str()), (0, ""));
    assert!(
        ["feature/a", &stored, "yes"].iter().all(|word| list.output.contains(word)),
        "{}",
        list.output
    );
    assert!(!graftling(&scene, &["list", "--project", "other"]).await.output.contains(&stored));
    let shown = graftling(&scene, &["show", "feature/a"]).await;
    assert!(shown.output.contains("ConfigMap settings: removed"), "{}", shown.output);
    let yaml = graftling(&scene, &["show", &name, "-o", "yaml"]).await;
    assert_eq!(yaml.output, scene.world.receipt(&environment).await, "byte for byte");

    let good = graftling(&scene, &["verify", "feature/a", &keys, "--rescan", "-o", "json"]).await;
    assert_eq!(good.code, 0, "{}", good.errors);
    let verdict: Value = serde_json::from_str(&good.output).unwrap();
    assert_eq!((&verdict["verdict"], &verdict["now"]["left"]), (&json!("good"), &json!([])));
    assert_eq!(graftling(&scene, &["verify", "feature/z", &keys]).await.code, 3);
    let untrusted = graftling(&scene, &["verify", "feature/a"]).await;
    assert_eq!(
        untrusted.code, 6,
        "what a receipt says of its key is not trusted: {}",
        untrusted.errors
    );

    offline(&scene, &yaml.output, &stored).await;
    let api: Api<ConfigMap> = Api::namespaced(scene.world.client.clone(), home);
    let forged = yaml.output.replace("left: []", "left:\n- {object: x, reason: y}");
    for (data, code) in [(json!({ "receipt.yaml": forged }), 6), (json!({ "receipt.sig": null }), 7)] {
        let patch = Patch::Merge(json!({ "data": data }));
        api.patch(&stored, &PatchParams::default(), &patch).await.unwrap();
        let run = graftling(&scene, &["verify", "feature/a", &keys]).await;
        assert_eq!((run.code, run.output.as_str()), (code, ""), "{}", run.errors);
    }
}

/// With files alone, and no cluster.
async fn offline(scene: &Scene, text: &str, stored: &str) {
    let api: Api<ConfigMap> = Api::namespaced(scene.world.client.clone(), scene.world.namespace.name());
    let signature = api.get(stored).await.unwrap().data.unwrap()["receipt.sig"].clone();
    let published = api.get(&format!("{}-receipt-key", scene.world.release)).await.unwrap();
    let key = published.data.unwrap().into_values().next().unwrap();
    let path = |name: &str| scene.world.folder.path().join(name).display().to_string();
    let files = [("receipt.yaml", text), ("receipt.sig", &signature), ("key.pem", &key)];
    files.iter().for_each(|(name, content)| fs::write(path(name), content).unwrap());
    let (file, signature, key) = (path("receipt.yaml"), path("receipt.sig"), path("key.pem"));
    let arguments = [
        "verify",
        "--file",
        &file,
        "--signature",
        &signature,
        "--public-key",
        &key,
        "--kubeconfig=/nowhere",
    ];
    let good = graftling(scene, &arguments).await;
    assert_eq!(good.code, 0, "{}", good.errors);
    fs::write(&file, text.replace("shop", "shob")).unwrap();
    assert_eq!(graftling(scene, &arguments).await.code, 6);
}
