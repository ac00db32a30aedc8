//! The command line and kubectl against the real control plane.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::path::PathBuf;
use std::process::{Command, Output};

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::Value;

use super::scene::{CONFIG, Scene};

/// How a command ended.
pub struct Run {
    pub code: i32,
    pub output: String,
    pub errors: String,
}

pub(super) async fn run(scene: &Scene, program: PathBuf, arguments: &[&str]) -> Run {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", scene.world.folder.path());
    command.env("KUBECONFIG", scene.world.plane.kubeconfig());
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Run {
        code: output.status.code().unwrap(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `graftling env` in the world's namespace.
pub async fn env(scene: &Scene, arguments: &[&str]) -> Run {
    graftling(scene, &[&["env"], arguments].concat()).await
}

/// Runs `graftling` in the world's namespace.
pub async fn graftling(scene: &Scene, arguments: &[&str]) -> Run {
    let all = [arguments, &["-n", scene.world.namespace.name()]].concat();
    run(scene, PathBuf::from(env!("CARGO_BIN_EXE_graftling")), &all).await
}

async fn kubectl(scene: &Scene, arguments: &[&str]) -> Run {
    let program = tokio::task::spawn_blocking(|| testbed::binaries::kubectl().unwrap()).await.unwrap();
    run(scene, program, &[&["-n", scene.world.namespace.name()], arguments].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_find_an_environment_by_its_branch_and_remove_it_with_its_receipt() {
    let scene = Scene::start("people", CONFIG).await;
    let environment = scene.up("feature/login").await;
    let name = environment.name_any();
    let revision = environment.spec.revision.clone();

    let list = env(&scene, &["list"]).await;
    assert_eq!((list.code, list.errors.as_str()), (0, ""));
    let url = format!("https://{name}.preview.example.com");
    for word in ["feature/login", "Ready", url.as_str(), &revision[..7]] {
        assert!(list.output.contains(word), "{word} in {}", list.output);
    }
    let get = env(&scene, &["get", "feature/login", "-o", "json"]).await;
    let object: Value = serde_json::from_str(&get.output).unwrap();
    assert_eq!(
        (&object["kind"], &object["metadata"]["name"]),
        (&"Environment".into(), &name.as_str().into())
    );
    let yaml = env(&scene, &["get", &name, "-o", "yaml"]).await;
    let read: Value = serde_saphyr::from_str(&yaml.output).unwrap();
    assert_eq!(read, object, "by name and as YAML it is the same");
    let reference = env(&scene, &["list", "-o", "name"]).await;
    assert_eq!(reference.output, format!("environment.graftling.dev/{name}\n"));
    let described = env(&scene, &["describe", "feature/login"]).await;
    for word in ["feature/login", "ConfigMap", "settings", "graftling-quota", &revision] {
        assert!(described.output.contains(word), "{word} in {}", described.output);
    }
    let missing = env(&scene, &["get", "feature/logon"]).await;
    assert_eq!((missing.code, missing.output.as_str()), (3, ""));
    assert!(missing.errors.contains("feature/login"), "what was meant: {}", missing.errors);
    let unconfirmed = env(&scene, &["delete", "feature/login"]).await;
    assert_eq!(unconfirmed.code, 4, "{}", unconfirmed.errors);

    scene.suspend_project().await;
    let deleted = env(&scene, &["delete", "feature/login", "--yes", "--wait"]).await;
    assert_eq!(deleted.code, 0, "{}", deleted.errors);
    let receipt: Value = serde_saphyr::from_str(&deleted.output).unwrap();
    assert_eq!(
        (&receipt["branch"], &receipt["left"]),
        (&"feature/login".into(), &Value::Array(vec![]))
    );
    assert_eq!(receipt["created"], receipt["removed"]);
    assert!(scene.world.environment("feature/login").await.is_none());
    assert_eq!(env(&scene, &["get", "feature/login"]).await.code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_waits_lists_and_explains_environments() {
    let scene = Scene::start("kubectl", CONFIG).await;
    let revision = scene.push("feature/a");
    let name = scene.world.wait_for("feature/a", Phase::Ready, &revision).await.name_any();
    let waited = kubectl(
        &scene,
        &["wait", "--for=condition=Ready", &format!("environment/{name}"), "--timeout=30s"],
    )
    .await;
    assert_eq!(waited.code, 0, "{}", waited.errors);
    let table = kubectl(&scene, &["get", "env", "-o", "wide"]).await.output;
    let (header, row) = table.split_once('\n').unwrap();
    assert_eq!(
        header.split_whitespace().collect::<Vec<_>>(),
        ["NAME", "BRANCH", "PHASE", "REVISION", "URL", "AGE", "MESSAGE"]
    );
    let url = format!("https://{name}.preview.example.com");
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(cells[..5], [name.as_str(), "feature/a", "Ready", &revision, &url]);
    let selected = kubectl(&scene, &["get", "env", "--field-selector", "spec.branch=feature/a", "-o", "name"]).await;
    assert_eq!(selected.output, format!("environment.graftling.dev/{name}\n"));
    let projects = kubectl(&scene, &["get", "projects"]).await.output;
    assert!(projects.contains("shop") && projects.contains("True"), "{projects}");
    let explained = kubectl(&scene, &["explain", "environment.spec.branch"]).await;
    assert!(
        explained.output.contains("The branch, as Git names it"),
        "{}{}",
        explained.output,
        explained.errors
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_refuses_what_would_change_an_identity() {
    let scene = Scene::start("schema", CONFIG).await;
    let name = scene.up("feature/a").await.name_any();
    let other = "0".repeat(40);
    for (kind, object, patch, words) in [
        (
            "environment",
            name.as_str(),
            r#"{"spec":{"branch":"main"}}"#.to_owned(),
            "are the identity of the environment and cannot change",
        ),
        (
            "environment",
            &name,
            r#"{"spec":{"repositoryId":"x"}}"#.to_owned(),
            "are the identity of the environment and cannot change",
        ),
        (
            "environment",
            &name,
            r#"{"spec":{"projectRef":{"name":"x"}}}"#.to_owned(),
            "are the identity of the environment and cannot change",
        ),
        ("environment", &name, r#"{"spec":{"revision":"main"}}"#.to_owned(), "spec.revision"),
        (
            "project",
            "shop",
            r#"{"spec":{"repository":"x"}}"#.to_owned(),
            "create another Project",
        ),
    ] {
        let refused = kubectl(&scene, &["patch", kind, object, "--type=merge", "--patch", &patch]).await;
        assert!(refused.code == 1 && refused.errors.contains(words), "{patch}: {}", refused.errors);
    }
    let allowed = kubectl(
        &scene,
        &[
            "patch",
            "environment",
            &name,
            "--type=merge",
            "--patch",
            &format!(r#"{{"spec":{{"revision":"{other}"}}}}"#),
        ],
    )
    .await;
    assert_eq!(allowed.code, 0, "{}", allowed.errors);
    let project = kubectl(&scene, &["get", "project", "shop", "-o", "json"]).await.output;
    let mut project: Value = serde_json::from_str(&project).unwrap();
    for reserved in ["kube-x", "kube"] {
        project["metadata"] = serde_json::json!({ "name": reserved });
        let file = scene.world.folder.path().join("project.json");
        std::fs::write(&file, project.to_string()).unwrap();
        let refused = kubectl(&scene, &["create", "-f", &file.display().to_string()]).await;
        assert!(
            refused.code == 1 && refused.errors.contains("which Kubernetes keeps for itself"),
            "{}",
            refused.errors
        );
    }
}
