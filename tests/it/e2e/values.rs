//! Values from the bundle and the branch to the cluster: whose they are, and what happens when they are not accepted.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;
use std::process::Command;

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::scene::Scene;

const TEMPLATE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  replicas: "{{values.web.replicas}}"
  tier: {{quote values.tier}}
  first: "{{environment.isFirstDeploy}}"
"#;

const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "tier": { "enum": ["basic", "gold"] },
    "token": { "type": "string" },
    "web": { "type": "object", "properties": { "replicas": { "type": "integer" } } }
  }
}"#;

async fn settings(scene: &Scene, branch: &str) -> Value {
    let environment = scene.world.environment(branch).await.unwrap();
    let map = scene.read("v1", "ConfigMap", &environment.name_any(), "settings").await.unwrap();
    map["data"].clone()
}

fn shown_values(scene: &Scene, branch: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_graftling"))
        .args(["values", branch, "-n", scene.world.namespace.name(), "--bundles"])
        .arg(scene.bundle_folder().parent().unwrap())
        .env("KUBECONFIG", scene.world.plane.kubeconfig())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_p1_a_branch_gets_the_values_of_its_rules_and_a_refused_one_is_told_with_path_and_origin() {
    let project = json!({
        "values": { "web": { "replicas": 2 }, "token": "hush" },
        "rules": [{ "branches": ["release/*"], "values": { "tier": "gold" } }],
    });
    let scene = Scene::with("values", TEMPLATE, project, &[]).await;
    let folder = scene.bundle_folder();
    fs::write(folder.join("values.yaml"), "tier: basic\nweb: {replicas: 1}\n").unwrap();
    fs::write(folder.join("values.schema.json"), SCHEMA).unwrap();
    scene.up("feature/a").await;
    scene.up("release/1").await;
    let of_branch = json!({ "replicas": "2", "tier": "basic", "first": "true" });
    assert_eq!(settings(&scene, "feature/a").await, of_branch);
    let of_release = json!({ "replicas": "2", "tier": "gold", "first": "true" });
    assert_eq!(settings(&scene, "release/1").await, of_release);
    insta::assert_snapshot!(shown_values(&scene, "release/1"), @r#"
    KEY            VALUE    FROM
    tier           "gold"   the Project's rule for release/*
    token          ***      the Project's spec.values
    web.replicas   2        the Project's spec.values
    "#);

    scene.change_project(json!({ "values": { "web": { "replicas": "two" } } })).await;
    let words = [
        "values.web.replicas: \"two\" is not of type \"integer\"",
        "(from the Project's spec.values)",
    ];
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    assert!(!status.message.unwrap().contains("hush"));
    assert_eq!(settings(&scene, "feature/a").await, of_branch, "what ran runs on");

    scene.change_project(json!({ "values": { "web": { "replicas": 3 } } })).await;
    scene.up("feature/a").await;
    let later = json!({ "replicas": "3", "tier": "basic", "first": "false" });
    assert_eq!(settings(&scene, "feature/a").await, later, "another revision came before");
}

const FILE: &str = ".graftling.yaml";

/// A Project whose branches may set `web.replicas` and the entries of `config`.
async fn open_scene(name: &str) -> Scene {
    let project = json!({ "branchFile": { "allow": ["web.replicas", "config.*"] } });
    let scene = Scene::with(name, TEMPLATE, project, &[]).await;
    fs::write(
        scene.bundle_folder().join("values.yaml"),
        "tier: basic\nweb: {replicas: 1}\nconfig: {}\n",
    )
    .unwrap();
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_p1_a_branchs_own_file_sets_what_the_project_allows_until_it_is_gone() {
    let scene = open_scene("branch-file").await;
    let without = scene.up("feature/a").await.spec.revision;
    assert_eq!(settings(&scene, "feature/a").await["replicas"], "1");
    let own = [(FILE, "values:\n  web: {replicas: 5}\n")];
    let revision = scene.repository.commit("feature/a", &own).unwrap();
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    assert_eq!(settings(&scene, "feature/a").await["replicas"], "5");
    insta::assert_snapshot!(shown_values(&scene, "feature/a"), @r#"
    KEY            VALUE     FROM
    config         {}        the bundle's values.yaml
    tier           "basic"   the bundle's values.yaml
    web.replicas   5         .graftling.yaml of the branch
    "#);
    scene.up("feature/b").await;
    assert_eq!(settings(&scene, "feature/b").await["replicas"], "1", "another branch has none");
    scene.repository.force_push("feature/a", &without).unwrap();
    scene.world.wait_for("feature/a", Phase::Ready, &without).await;
    assert_eq!(settings(&scene, "feature/a").await["replicas"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t13_a_branchs_own_file_that_sets_more_is_refused_whole_and_one_that_nests_without_end_ends_no_server() {
    let scene = open_scene("branch-file-hostile").await;
    let environment = scene.up("feature/a").await;
    let before = settings(&scene, "feature/a").await;
    let position = scene.position();
    let more = "values:\n  web: {replicas: 9}\n  tier: gold\npolicy: {}\n";
    scene.repository.commit("feature/a", &[(FILE, more)]).unwrap();
    let words = [
        "Project shop: .graftling.yaml:4: \"policy\" is unknown",
        ".graftling.yaml:3: values.tier: a branch of this Project may not set it; it may set web.replicas, config.*",
    ];
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    assert!(status.conditions.iter().any(|condition| condition.reason == "InvalidBranchFile"));
    let nested: String = (0..300).map(|depth| format!("{:depth$}    k:\n", "")).collect();
    for (content, words) in [
        (format!("values:\n  config:\n{nested}"), [".graftling.yaml:", "too large"]),
        (
            format!("values: {{config: {}}}", "[".repeat(30_000)),
            [".graftling.yaml:1", "recursion"],
        ),
    ] {
        scene.repository.commit("feature/a", &[(FILE, &content)]).unwrap();
        scene.told("feature/a", Phase::Failed, &words).await;
    }
    assert_eq!(settings(&scene, "feature/a").await, before, "what ran runs on");
    assert_eq!(scene.writes_inside(position, &environment), Vec::<String>::new());
    assert!(scene.world.server().running.exited().is_none());
    scene.up("feature/b").await;
}
