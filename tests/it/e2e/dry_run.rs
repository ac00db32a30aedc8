//! `graftling env delete --dry-run`: the list before, beside what the server then really deletes.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use graftling::api::keys::RETAIN_ANNOTATION;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::scene::{Scene, WEB};

const SERVICE: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

/// Somebody with an account of their own, so that the audit log tells what they did.
struct Person {
    kubeconfig: PathBuf,
    user: String,
}

impl Person {
    /// With the rights of a ClusterRole of these rules.
    async fn with(scene: &Scene, name: &str, rules: Value) -> Self {
        let (world, namespace) = (&scene.world, scene.world.namespace.name());
        let role = format!("{namespace}-{name}");
        world.create("v1", "ServiceAccount", Some(namespace), name, json!({})).await;
        let version = "rbac.authorization.k8s.io/v1";
        world.create(version, "ClusterRole", None, &role, json!({ "rules": rules })).await;
        let binding = json!({
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }],
        });
        world.create(version, "ClusterRoleBinding", None, &role, binding).await;
        let kubeconfig = world.folder.path().join(format!("{name}.kubeconfig"));
        world.plane.service_account_kubeconfig(namespace, name, &kubeconfig).await.unwrap();
        Self {
            kubeconfig,
            user: format!("system:serviceaccount:{namespace}:{name}"),
        }
    }

    /// The exit code, the list, and what is told beside it.
    async fn dry_run(&self, scene: &Scene, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graftling"));
        command.args(["env", "delete", "feature/a", "--dry-run", "-n", scene.world.namespace.name()]);
        command.args(arguments).env_clear().env("HOME", scene.world.folder.path());
        command.env("KUBECONFIG", &self.kubeconfig);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    async fn list(&self, scene: &Scene, code: i32) -> Value {
        let (ended, output, errors) = self.dry_run(scene, &["-o", "json"]).await;
        assert_eq!(ended, code, "{errors}{output}");
        serde_json::from_str(&output).unwrap()
    }
}

fn everything() -> Value {
    json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }])
}

/// `delete secrets keys`, as the audit log would have it, step by step.
fn steps(list: &Value) -> Vec<BTreeSet<String>> {
    let plural = |object: &Value| {
        format!(
            "delete {}s {}",
            object["kind"].as_str().unwrap().to_lowercase(),
            object["name"].as_str().unwrap()
        )
    };
    let of = |step: &Value| step["delete"].as_array().unwrap().iter().map(plural).collect();
    list["steps"].as_array().unwrap().iter().map(of).collect()
}

fn names(objects: &Value) -> Vec<&str> {
    objects
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["name"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x9_the_list_is_what_the_server_then_deletes_in_this_order() {
    let scene = Scene::start("dry-run", &format!("{WEB}{SERVICE}")).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let person = Person::with(&scene, "anybody", everything()).await;
    let position = scene.position();

    // What others put there blocks, and what would follow is told all the same.
    scene.world.create("v1", "ConfigMap", Some(&name), "notes", json!({})).await;
    let blocked = person.list(&scene, 8).await;
    assert_eq!(
        (&blocked["outcome"], names(&blocked["blockers"])),
        (&"Blocked".into(), vec!["notes"])
    );
    let (_, text, errors) = person.dry_run(&scene, &[]).await;
    assert!(
        text.contains("Blocked by:\n  v1 ConfigMap notes") && text.contains("delete v1 Namespace"),
        "{text}"
    );
    assert!(errors.contains("1 objects block it"), "{errors}");
    scene.remove("v1", "ConfigMap", &name, "notes").await;

    // What is asked to be kept stays, and the namespace with it.
    let keep = |value: Value| json!({ "metadata": { "annotations": { (RETAIN_ANNOTATION): value } } });
    scene.edit("v1", "ConfigMap", &name, "settings", keep("true".into())).await;
    let retained = person.list(&scene, 0).await;
    assert_eq!(retained["outcome"], "Retained");
    let kept = names(&retained["retained"]);
    assert!(
        kept.contains(&"settings") && kept.contains(&name.as_str()) && kept.contains(&"graftling-quota"),
        "{kept:?}"
    );
    assert!(
        !steps(&retained)
            .iter()
            .flatten()
            .any(|delete| delete.contains("namespaces") || delete.contains("settings"))
    );
    scene.edit("v1", "ConfigMap", &name, "settings", keep(Value::Null)).await;

    let list = person.list(&scene, 0).await;
    assert_eq!((&list["outcome"], &list["notVisible"]), (&"Complete".into(), &json!([])));
    assert_eq!(list["withNamespace"]["descendants"]["Pod"], 1);
    assert!(names(&list["withNamespace"]["guardrails"]).contains(&"graftling-quota"));
    let account = scene.uid("v1", "ServiceAccount", &name, "web").await;
    assert!(list.to_string().contains(&account), "with UIDs");
    let (code, yaml, _) = person.dry_run(&scene, &["-o", "yaml"]).await;
    let read: Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!((code, steps(&read)), (0, steps(&list)));

    // It only looked.
    let mut looked = scene.world.plane.audit().since(position);
    looked.retain(|event| event.user == person.user);
    assert!(!looked.is_empty() && !looked.iter().any(|event| event.is_write()), "{looked:#?}");

    let position = scene.position();
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    let mut writes = scene.writes(position);
    writes.retain(|event| event.verb == "delete" && (event.namespace == name || event.name == name) && event.resource != "environments");
    let mut deleted = writes.iter().map(super::scene::short);
    for step in steps(&list) {
        let next: BTreeSet<_> = deleted.by_ref().take(step.len()).collect();
        assert_eq!(next, step, "{list:#}");
    }
    assert_eq!(deleted.collect::<Vec<_>>(), Vec::<String>::new(), "and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x9_whoever_may_not_see_all_is_told_what_they_cannot_see() {
    let scene = Scene::start("dry-narrow", WEB).await;
    let environment = scene.up("feature/a").await;
    let rules = json!([
        { "apiGroups": ["graftling.dev"], "resources": ["*"], "verbs": ["get", "list"] },
        { "apiGroups": [""], "resources": ["configmaps", "namespaces", "serviceaccounts"], "verbs": ["get", "list"] },
        { "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"] },
    ]);
    let person = Person::with(&scene, "narrow", rules).await;
    let list = person.list(&scene, 0).await;
    let unseen = list["notVisible"].to_string();
    for what in ["Secret keys", "who uses the accounts", "what else counts on the accounts"] {
        assert!(unseen.contains(what), "{what}: {unseen}");
    }
    let secret = scene.uid("v1", "Secret", &environment.name_any(), "keys").await;
    assert!(list["steps"].to_string().contains(&secret), "as the inventory has it: {list:#}");
    let (_, text, _) = person.dry_run(&scene, &[]).await;
    assert!(text.contains("Not visible with these rights"), "{text}");
}
