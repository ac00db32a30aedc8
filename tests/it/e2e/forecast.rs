//! `graftling plan` and `graftling diff`: what would be done and what would change, as text, without doing it.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::path::Path;
use std::process::{Command, Output};

use graftling::api::environment::Phase;
use serde_json::json;
use testbed::Repository;

use crate::world::{Options, World, root};

fn plan(world: &World, bundles: &Path, arguments: &[&str]) -> String {
    let output = run(world, "plan", bundles, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn diff(world: &World, bundles: &Path) -> (Option<i32>, String) {
    let output = run(world, "diff", bundles, &[]);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn run(world: &World, command: &str, bundles: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_graftling"))
        .arg(command)
        .args(["feature/login", "-n", world.namespace.name()])
        .args(["--bundles", &bundles.display().to_string()])
        .args(["--deployer-cluster-role", &format!("{}-deployer", world.release)])
        .args(arguments)
        .env("KUBECONFIG", world.plane.kubeconfig())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x9_a_plan_tells_what_would_be_done_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let template = root().join("tests/bundles/mini/templates/all.yaml");
    let bundle = folder.path().join("mini");
    std::fs::create_dir_all(bundle.join("templates")).unwrap();
    for file in ["bundle.yaml", "values.yaml"] {
        std::fs::copy(root().join("tests/bundles/mini").join(file), bundle.join(file)).unwrap();
    }
    std::fs::copy(&template, bundle.join("templates/all.yaml")).unwrap();
    let world = World::with("plan", Options::default()).await;
    let repository = Repository::create().unwrap();
    let revision = repository.commit("feature/login", &[("a", "1")]).unwrap();
    world
        .project("shop", &repository, json!({ "branches": { "include": ["feature/*"] } }))
        .await;
    let environment = world.wait_for("feature/login", Phase::Ready, &revision).await;

    assert_eq!(plan(&world, folder.path(), &[]), "Nothing to do: everything is as it should be.\n");
    assert_eq!(diff(&world, folder.path()), (Some(0), String::new()), "feature P4");
    let text = std::fs::read_to_string(&template).unwrap();
    let changed = text.replace("key: not-in-any-log", "key: another") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: more\n";
    std::fs::write(bundle.join("templates/all.yaml"), changed).unwrap();
    insta::assert_snapshot!(plan(&world, folder.path(), &[]), @r"
    Step 1:
      create v1 ConfigMap more
      update v1 Secret keys (changed)
    ");

    let (code, differences) = diff(&world, folder.path());
    assert_eq!(code, Some(1));
    let differences = differences.replace(&environment.metadata.name.clone().unwrap(), "ENVIRONMENT");
    insta::assert_snapshot!(differences.replace(world.namespace.name(), "PROJECT-NAMESPACE"), @r#"
    --- /dev/null
    +++ v1 ConfigMap more
    @@ -0,0 +1,10 @@
    +apiVersion: v1
    +kind: ConfigMap
    +metadata:
    +  labels:
    +    app.kubernetes.io/managed-by: graftling
    +    graftling.dev/environment: ENVIRONMENT
    +    graftling.dev/project: shop
    +    graftling.dev/project-namespace: PROJECT-NAMESPACE
    +  name: more
    +  namespace: ENVIRONMENT
    --- v1 Secret keys
    +++ v1 Secret keys
    @@ -1,6 +1,6 @@
     apiVersion: v1
     data:
    -  key: "*** (before)"
    +  key: "*** (after)"
     kind: Secret
     metadata:
       labels:
    "#);

    let namespace = &environment.status.unwrap().namespace.unwrap();
    let teardown = plan(&world, folder.path(), &["--teardown"]).replace(&namespace.name, "NAMESPACE");
    insta::assert_snapshot!(teardown.replace(namespace.uid.as_ref().unwrap(), "UID"), @r"
    Remove workloads:
      delete apps/v1 Deployment web
    Remove volumes and configuration:
      delete v1 ConfigMap settings
    Remove role bindings, roles and secrets:
      delete v1 Secret graftling-run-1
      delete v1 Secret keys
    Remove service accounts:
      delete v1 ServiceAccount web
    Delete v1 Namespace NAMESPACE (UID UID).
    Everything is gone: scan for residue and write the receipt.
    ");

    let after = world.environment("feature/login").await.unwrap();
    assert_eq!(after.metadata.resource_version, environment.metadata.resource_version);
}
