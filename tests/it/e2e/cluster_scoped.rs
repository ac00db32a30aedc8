//! Objects that belong to no namespace: refused, renamed or shared, and gone with whom they belonged to.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};
use testbed::wait;

use super::scene::{CONFIG, Scene};
use crate::world::LONG;

const SCHEDULING: &str = "scheduling.k8s.io/v1";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// What the chart has to be told, so that deployers may write these kinds.
const RIGHTS: [&str; 4] = [
    "rbac.clusterScoped[0].apiGroups={scheduling.k8s.io}",
    "rbac.clusterScoped[0].resources={priorityclasses}",
    "rbac.clusterScoped[1].apiGroups={rbac.authorization.k8s.io}",
    "rbac.clusterScoped[1].resources={clusterroles,clusterrolebindings}",
];

fn policy(cluster_scoped: &str) -> Value {
    json!({ "policy": { "clusterScoped": cluster_scoped } })
}

/// A class and a Deployment whose pods need it.
fn with_class(class: &str, value: u32) -> String {
    format!(
        r#"
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {{name: {class}}}
value: {value}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      priorityClassName: {class}
      containers: [{{name: web, image: "registry.example/web:1"}}]
"#
    )
}

/// A name that no other test has.
fn class_of(scene: &Scene) -> String {
    format!("{}-urgent", scene.world.release)
}

async fn class(scene: &Scene, name: &str) -> Option<Value> {
    scene.read(SCHEDULING, "PriorityClass", "", name).await
}

/// The environments that a shared object names as its owners.
async fn owners(scene: &Scene, name: &str) -> Vec<String> {
    let class = class(scene, name).await.unwrap_or_default();
    let annotations = class.pointer("/metadata/annotations").and_then(Value::as_object);
    let owners = annotations.into_iter().flat_map(|annotations| annotations.keys());
    owners
        .filter_map(|key| key.strip_prefix("owner.graftling.dev/").map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_i5_f44_cluster_scoped_objects_are_refused_by_default_before_anything_is_written() {
    let scene = Scene::start("deny", CONFIG).await;
    let name = class_of(&scene);
    scene.template(&with_class(&name, 1));
    scene.push("feature/a");
    let words = ["templates/all.yaml:2", &format!("PriorityClass {name}"), "policy.clusterScoped"];
    scene.told("feature/a", Phase::Failed, &words).await;
    let environment = scene.world.environment("feature/a").await.unwrap();
    assert!(!scene.world.namespace_exists(&environment.name_any()).await);
    assert_eq!(class(&scene, &name).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_i5_a_custom_kind_that_turns_out_to_be_cluster_scoped_is_refused_before_anything_is_written() {
    let scene = Scene::start("scope", CONFIG).await;
    let group = format!("{}.example.com", scene.world.release);
    let definition = json!({ "spec": {
        "group": group,
        "scope": "Cluster",
        "names": { "kind": "Ghost", "plural": "ghosts" },
        "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }],
    } });
    let world = &scene.world;
    world
        .create(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            None,
            &format!("ghosts.{group}"),
            definition,
        )
        .await;
    wait::until("the definition to be served", LONG, || async {
        world.client.list_api_group_resources(&format!("{group}/v1")).await.is_ok()
    })
    .await;
    scene
        .change_project(json!({ "policy": { "kinds": [format!("{group}/Ghost")] } }))
        .await;
    scene.template(&format!(
        "{CONFIG}\n---\napiVersion: {group}/v1\nkind: Ghost\nmetadata: {{name: boo}}\n"
    ));
    scene.push("feature/a");
    let words = [
        "templates/all.yaml:",
        "Ghost boo",
        "belongs to the whole cluster",
        "policy.clusterKinds",
    ];
    scene.told("feature/a", Phase::Failed, &words).await;
    let environment = scene.world.environment("feature/a").await.unwrap();
    assert!(!scene.world.namespace_exists(&environment.name_any()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_i5_a_right_that_only_the_chart_can_give_is_named_before_anything_is_written() {
    let scene = Scene::with("rightless", CONFIG, policy("Rename"), &[]).await;
    scene.template(&with_class("urgent", 1));
    scene.push("feature/a");
    let words = [
        "PriorityClass urgent-",
        "graftling-deployer",
        "may not get, create, patch, delete priorityclasses",
        "rbac.clusterScoped",
    ];
    scene.told("feature/a", Phase::Failed, &words).await;
    let environment = scene.world.environment("feature/a").await.unwrap();
    assert!(!scene.world.namespace_exists(&environment.name_any()).await);
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
}

const ROLE: &str = r#"
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: classes}
rules: [{apiGroups: [scheduling.k8s.io], resources: [priorityclasses], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: classes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: classes}
subjects: [{kind: ServiceAccount, name: web}]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn feature_i5_f44_renamed_objects_are_each_environments_own_and_go_with_it() {
    let scene = Scene::with("rename", CONFIG, policy("Rename"), &RIGHTS).await;
    let urgent = class_of(&scene);
    scene.template(&format!("{}{ROLE}", with_class(&urgent, 10)));
    let (one, two) = (scene.up("feature/one").await, scene.up("feature/two").await);
    let own = |environment: &graftling::api::Environment, name: &str| {
        let environment = environment.name_any();
        format!("{name}-{}", environment.rsplit('-').next().unwrap())
    };
    for environment in [&one, &two] {
        let name = environment.name_any();
        let found = class(&scene, &own(environment, &urgent)).await.unwrap();
        assert_eq!(found["metadata"]["labels"]["graftling.dev/environment"], name);
        let deployment = scene.read("apps/v1", "Deployment", &name, "web").await.unwrap();
        assert_eq!(
            deployment["spec"]["template"]["spec"]["priorityClassName"],
            own(environment, &urgent)
        );
        let binding = scene
            .read(RBAC, "ClusterRoleBinding", "", &own(environment, "classes"))
            .await
            .unwrap();
        assert_eq!(binding["roleRef"]["name"], own(environment, "classes"));
        assert_eq!(binding["subjects"][0]["namespace"], name);
    }
    assert_eq!(class(&scene, &urgent).await, None);

    scene.repository.delete_branches(&["feature/one"]).unwrap();
    scene.world.wait_gone("feature/one").await;
    assert_eq!(class(&scene, &own(&one, &urgent)).await, None);
    assert_eq!(scene.read(RBAC, "ClusterRole", "", &own(&one, "classes")).await, None);
    assert_eq!(scene.read(RBAC, "ClusterRoleBinding", "", &own(&one, "classes")).await, None);
    let receipt = scene.world.receipt(&one).await;
    assert!(receipt.contains(&format!("PriorityClass {}", own(&one, &urgent))), "{receipt}");
    assert!(receipt.contains("left: []"), "{receipt}");
    assert!(class(&scene, &own(&two, &urgent)).await.is_some());

    // Pruned like everything else.
    scene.template(CONFIG);
    scene.up("feature/two").await;
    assert_eq!(class(&scene, &own(&two, &urgent)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_i5_f55_a_shared_object_lives_as_long_as_an_environment_owns_it() {
    let scene = Scene::with("share", CONFIG, policy("Share"), &RIGHTS).await;
    let urgent = class_of(&scene);
    scene.template(&with_class(&urgent, 10));
    let one = scene.up("feature/one").await;
    let uid = scene.uid(SCHEDULING, "PriorityClass", "", &urgent).await;
    let two = scene.up("feature/two").await;
    assert_eq!(
        scene.uid(SCHEDULING, "PriorityClass", "", &urgent).await,
        uid,
        "one object for both"
    );
    let mut both = vec![one.name_any(), two.name_any()];
    both.sort();
    assert_eq!(owners(&scene, &urgent).await, both);

    scene.repository.delete_branches(&["feature/one"]).unwrap();
    scene.world.wait_gone("feature/one").await;
    assert_eq!(owners(&scene, &urgent).await, [two.name_any()]);
    let receipt = scene.world.receipt(&one).await;
    let told = receipt.split_once("sharedObjects:").map(|(_, rest)| rest.contains(&urgent));
    assert!(receipt.contains("left: []") && told == Some(true), "{receipt}");
    let deployment = scene.read("apps/v1", "Deployment", &two.name_any(), "web").await.unwrap();
    assert_eq!(deployment["status"]["availableReplicas"], 1);

    // The last one leaves while another joins.
    scene.repository.delete_branches(&["feature/two"]).unwrap();
    let three = scene.up("feature/three").await;
    scene.world.wait_gone("feature/two").await;
    scene.up("feature/three").await;
    assert_eq!(owners(&scene, &urgent).await, [three.name_any()]);
    scene.repository.delete_branches(&["feature/three"]).unwrap();
    scene.world.wait_gone("feature/three").await;
    assert_eq!(class(&scene, &urgent).await, None);
    let receipt = scene.world.receipt(&three).await;
    assert!(receipt.contains(&format!("PriorityClass {urgent}")), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_i5_nothing_of_others_is_adopted_and_two_wishes_for_one_object_are_told_with_both_owners() {
    let scene = Scene::with("adopt", CONFIG, policy("Share"), &RIGHTS).await;
    let urgent = class_of(&scene);
    scene
        .world
        .create(SCHEDULING, "PriorityClass", None, &urgent, json!({ "value": 10 }))
        .await;
    let uid = scene.uid(SCHEDULING, "PriorityClass", "", &urgent).await;
    scene.template(&with_class(&urgent, 10));
    scene.push("feature/one");
    let words = [&format!("PriorityClass {urgent}"), "was not created by graftling"];
    scene.told("feature/one", Phase::Failed, &words).await;
    assert_eq!(scene.uid(SCHEDULING, "PriorityClass", "", &urgent).await, uid);
    scene.remove(SCHEDULING, "PriorityClass", "", &urgent).await;
    let one = scene.up("feature/one").await;

    scene.template(&with_class(&urgent, 11));
    scene.push("feature/two");
    let words = ["templates/all.yaml:2", "is shared", &one.name_any(), "make both the same"];
    scene.told("feature/two", Phase::Failed, &words).await;
    assert_eq!(class(&scene, &urgent).await.unwrap()["value"], 10);
    assert_eq!(owners(&scene, &urgent).await, [one.name_any()]);
    // Nobody else owns it any more: it may become what the other wants, were its value not immutable.
    scene.repository.delete_branches(&["feature/one"]).unwrap();
    scene.world.wait_gone("feature/one").await;
    scene.up("feature/two").await;
    assert_eq!(class(&scene, &urgent).await.unwrap()["value"], 11);
}

/// What each branch wants the shared role to allow.
fn verbs(of_one: &str, of_two: &str) -> Value {
    let rule = |branch: &str, verb: &str| json!({ "branches": [branch], "values": { "verb": verb } });
    json!({ "rules": [rule("feature/one", of_one), rule("feature/two", of_two)] })
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_i5_f55_a_shared_object_changes_once_all_of_its_owners_want_it_to() {
    let mut project = policy("Share");
    crate::world::merge(&mut project, verbs("get", "get"));
    let scene = Scene::with("agree", CONFIG, project, &RIGHTS).await;
    let name = format!("{}-classes", scene.world.release);
    scene.template(&format!(
        "{CONFIG}---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\n\
         rules: [{{apiGroups: [scheduling.k8s.io], resources: [priorityclasses], verbs: [{{{{quote values.verb}}}}]}}]\n"
    ));
    let role = || async { scene.read(RBAC, "ClusterRole", "", &name).await.unwrap() };
    let (one, two) = (scene.up("feature/one").await, scene.up("feature/two").await);
    let (name_of_one, name_of_two) = (one.name_any(), two.name_any());
    let uid = role().await["metadata"]["uid"].clone();

    scene.change_project(verbs("patch", "get")).await;
    let words = ["ClusterRole", &name, "is shared", &name_of_two, "still wants it as it is"];
    scene.told("feature/one", Phase::Deploying, &words).await;
    let waiting = role().await;
    assert_eq!(waiting["rules"][0]["verbs"], json!(["get"]), "{waiting}");
    let wish = |of: &str| waiting["metadata"]["annotations"][format!("owner.graftling.dev/{of}")].clone();
    assert!(wish(&name_of_one).is_string() && wish(&name_of_two).is_string(), "{waiting}");
    assert_ne!(wish(&name_of_one), wish(&name_of_two));

    // The third wish is of neither the content nor the other owner.
    scene.change_project(verbs("patch", "create")).await;
    let words = ["is shared", &name_of_one, &name_of_two, "make both the same"];
    scene.told("feature/two", Phase::Failed, &words).await;
    scene.told("feature/one", Phase::Failed, &words).await;
    assert_eq!(role().await["rules"][0]["verbs"], json!(["get"]));

    scene.change_project(verbs("patch", "patch")).await;
    for branch in ["feature/one", "feature/two"] {
        scene.told(branch, Phase::Ready, &["everything is applied and ready"]).await;
    }
    let changed = role().await;
    assert_eq!(changed["rules"][0]["verbs"], json!(["patch"]), "{changed}");
    assert_eq!(changed["metadata"]["uid"], uid);
    scene.repository.delete_branches(&["feature/one", "feature/two"]).unwrap();
    scene.world.wait_gone("feature/one").await;
    scene.world.wait_gone("feature/two").await;
    assert_eq!(scene.read(RBAC, "ClusterRole", "", &name).await, None);
    for environment in [one, two] {
        let receipt = scene.world.receipt(&environment).await;
        assert!(receipt.contains("left: []"), "{receipt}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x11_f44_what_is_outside_of_the_namespace_goes_even_if_somebody_deleted_the_namespace() {
    let mut scene = Scene::with("outlived", CONFIG, policy("Rename"), &RIGHTS).await;
    let urgent = class_of(&scene);
    scene.template(&with_class(&urgent, 10));
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let own = format!("{urgent}-{}", name.rsplit('-').next().unwrap());
    scene.world.server = None;
    scene.delete(&environment).await;
    scene.remove("v1", "Namespace", "", &name).await;
    wait::until("the end of the namespace", LONG, || async {
        !scene.world.namespace_exists(&name).await
    })
    .await;
    assert!(class(&scene, &own).await.is_some());
    scene.world.start_server().await;
    scene.world.wait_gone("feature/a").await;
    assert_eq!(class(&scene, &own).await, None);
    let receipt = scene.world.receipt(&environment).await;
    assert!(receipt.contains("left: []"), "{receipt}");
}
