//! Teardowns that cannot go on: what is in the way is named, nothing of others is touched, and the rest heals by itself.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};
use testbed::wait;

use super::scene::{CONFIG, Scene, WEB};
use crate::world::LONG;

const ENVIRONMENT_LABEL: &str = "graftling.dev/environment";

#[tokio::test(flavor = "multi_thread")]
async fn feature_x3_an_object_of_somebody_else_keeps_the_namespace_until_it_is_removed() {
    let scene = Scene::start("notes", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene
        .world
        .create("v1", "ConfigMap", Some(&name), "notes", json!({ "data": { "a": "b" } }))
        .await;
    scene
        .world
        .create("v1", "Secret", Some(&name), "diary", json!({ "stringData": { "a": "b" } }))
        .await;
    scene.delete(&environment).await;
    scene
        .told(
            "feature/a",
            Phase::Blocked,
            &["ConfigMap notes", "not created by graftling", "foreignObjects", "1 more"],
        )
        .await;
    assert!(
        scene.read("v1", "ConfigMap", &name, "settings").await.is_none(),
        "what is ours is gone"
    );
    scene.remove("v1", "ConfigMap", &name, "notes").await;
    scene.nudge(&environment).await;
    scene.told("feature/a", Phase::Blocked, &["Secret diary"]).await;
    scene.remove("v1", "Secret", &name, "diary").await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x3_objects_of_others_go_with_the_namespace_where_the_project_says_so_and_the_receipt_lists_them() {
    let scene = Scene::with("policy", CONFIG, json!({ "policy": { "foreignObjects": "Delete" } }), &[]).await;
    let environment = scene.up("feature/a").await;
    scene
        .world
        .create("v1", "ConfigMap", Some(&environment.name_any()), "notes", json!({}))
        .await;
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
    assert!(!scene.world.namespace_exists(&environment.name_any()).await);
    let receipt = scene.world.receipt(&environment).await;
    assert!(
        receipt.contains("foreignObjects:\n- v1 ConfigMap notes\n") || receipt.contains("foreignObjects:\n  - v1 ConfigMap notes\n"),
        "{receipt}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f51_an_account_and_its_rights_stay_as_long_as_a_pod_of_somebody_else_runs_as_it() {
    let scene = Scene::start("pod", &format!("{WEB}{ROLE}")).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let pod = json!({ "spec": { "serviceAccountName": "web", "containers": [{ "name": "debug", "image": "registry.example/debug:1" }] } });
    scene.world.create("v1", "Pod", Some(&name), "debug", pod).await;
    scene.delete(&environment).await;
    scene.told("feature/a", Phase::Blocked, &["ServiceAccount web", "Pod debug"]).await;
    for (version, kind, object) in [
        ("v1", "ServiceAccount", "web"),
        ("rbac.authorization.k8s.io/v1", "Role", "reader"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", "reader"),
    ] {
        let found = scene
            .read(version, kind, &name, object)
            .await
            .unwrap_or_else(|| panic!("{kind} is gone"));
        assert!(found["metadata"]["deletionTimestamp"].is_null(), "{kind}");
    }
    assert!(scene.read("apps/v1", "Deployment", &name, "web").await.is_none());
    scene.remove("v1", "Pod", &name, "debug").await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
}

const ROLE: &str = r#"
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: web}]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn f36_a_finalizer_that_nobody_serves_is_named_with_its_object_and_never_taken_off() {
    let scene = Scene::start("finalizer", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let held = json!({ "metadata": { "finalizers": ["nobody.example/serves"] } });
    scene.edit("v1", "ConfigMap", &name, "settings", held).await;
    scene.delete(&environment).await;
    scene
        .told(
            "feature/a",
            Phase::Deleting,
            &["ConfigMap settings", "is being deleted", "since 20", "nobody.example/serves"],
        )
        .await;
    assert!(scene.read("v1", "ServiceAccount", &name, "web").await.is_some());
    let settings = scene.read("v1", "ConfigMap", &name, "settings").await.unwrap();
    assert_eq!(settings["metadata"]["finalizers"], json!(["nobody.example/serves"]));
    scene
        .edit("v1", "ConfigMap", &name, "settings", json!({ "metadata": { "finalizers": null } }))
        .await;
    scene.world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x5_a_namespace_that_does_not_end_is_told_in_the_words_of_its_controller() {
    let scene = Scene::with("ending", CONFIG, json!({ "policy": { "foreignObjects": "Delete" } }), &[]).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let held = json!({ "metadata": { "finalizers": ["nobody.example/serves"] } });
    scene.world.create("v1", "ConfigMap", Some(&name), "notes", held).await;
    scene.delete(&environment).await;
    let words = [
        "Namespace",
        "configmaps. has 1 resource instances",
        "nobody.example/serves in 1 resource instances",
    ];
    scene.told("feature/a", Phase::Deleting, &words).await;
    scene
        .edit("v1", "ConfigMap", &name, "notes", json!({ "metadata": { "finalizers": null } }))
        .await;
    scene.world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f57_an_object_of_the_same_name_with_another_uid_is_left_alone() {
    let mut scene = Scene::start("replaced", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene.world.server = None;
    scene.delete(&environment).await;
    for kind in ["ServiceAccount", "ConfigMap"] {
        let object = if kind == "ServiceAccount" { "web" } else { "settings" };
        scene.remove("v1", kind, &name, object).await;
        wait::until(format!("end of {kind}"), LONG, || async {
            scene.read("v1", kind, &name, object).await.is_none()
        })
        .await;
        // Even with our label: the recorded UID decides.
        let theirs = json!({ "metadata": { "labels": { ENVIRONMENT_LABEL: name } } });
        scene.world.create("v1", kind, Some(&name), object, theirs).await;
    }
    let position = scene.position();
    scene.world.start_server().await;
    scene
        .told("feature/a", Phase::Blocked, &["not created by graftling", "1 more"])
        .await;
    let inside = scene.writes_inside(position, &environment);
    assert!(inside.contains(&"delete deployments web".to_owned()), "{inside:?}");
    assert!(
        !inside
            .iter()
            .any(|write| write.contains("serviceaccounts") || write.contains("configmaps")),
        "{inside:?}"
    );
    scene.remove("v1", "ServiceAccount", &name, "web").await;
    scene.remove("v1", "ConfigMap", &name, "settings").await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t40_a_namespace_of_our_name_with_another_uid_survives_even_with_our_label() {
    let mut scene = Scene::start("impostor", CONFIG).await;
    let plain = scene.up("feature/plain").await;
    let labelled = scene.up("feature/labelled").await;
    scene.world.server = None;
    for environment in [&plain, &labelled] {
        scene.delete(environment).await;
        scene.remove("v1", "Namespace", "", &environment.name_any()).await;
    }
    let mut uids = Vec::new();
    for environment in [&plain, &labelled] {
        let name = environment.name_any();
        wait::until("end of the namespace", LONG, || async {
            !scene.world.namespace_exists(&name).await
        })
        .await;
        let marks = json!({
            "labels": { ENVIRONMENT_LABEL: name },
            "annotations": { "graftling.dev/environment-uid": environment.uid() },
        });
        let is_marked = name == labelled.name_any();
        let body = json!({ "metadata": if is_marked { marks } else { json!({}) } });
        scene.world.create("v1", "Namespace", None, &name, body).await;
        scene
            .world
            .create("v1", "ConfigMap", Some(&name), "settings", json!({ "data": { "whose": "theirs" } }))
            .await;
        uids.push(scene.uid("v1", "Namespace", "", &name).await);
    }
    let position = scene.position();
    scene.world.start_server().await;
    scene.world.wait_gone("feature/plain").await;
    scene
        .told(
            "feature/labelled",
            Phase::Blocked,
            &["managed fields do not show", &format!("Namespace {}", labelled.name_any())],
        )
        .await;
    let receipt = scene.world.receipt(&plain).await;
    assert!(receipt.contains("left: []"), "{receipt}");
    for (environment, uid) in [&plain, &labelled].into_iter().zip(&uids) {
        let name = environment.name_any();
        assert_eq!(scene.uid("v1", "Namespace", "", &name).await, *uid);
        assert_eq!(
            scene.read("v1", "ConfigMap", &name, "settings").await.unwrap()["data"]["whose"],
            "theirs"
        );
        assert_eq!(scene.writes_inside(position, environment), [""; 0]);
    }
    let deleted = scene.writes(position).iter().filter(|event| event.resource == "namespaces").count();
    assert_eq!(deleted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_what_lost_our_label_is_not_deleted_but_named_and_goes_when_the_label_is_back() {
    let mut scene = Scene::start("disowned", WEB).await;
    let object = scene.up("feature/object").await;
    let namespace = scene.up("feature/namespace").await;
    scene.world.server = None;
    let off = json!({ "metadata": { "labels": { ENVIRONMENT_LABEL: Value::Null } } });
    let back = |name: &str| json!({ "metadata": { "labels": { ENVIRONMENT_LABEL: name } } });
    scene.edit("v1", "ConfigMap", &object.name_any(), "settings", off.clone()).await;
    scene.edit("v1", "Namespace", "", &namespace.name_any(), off).await;
    scene.delete(&object).await;
    scene.delete(&namespace).await;
    scene.world.start_server().await;
    scene
        .told(
            "feature/object",
            Phase::Blocked,
            &["ConfigMap settings", "no longer bears graftling's label"],
        )
        .await;
    scene
        .told(
            "feature/namespace",
            Phase::Blocked,
            &["Namespace", "no longer bears graftling's label"],
        )
        .await;
    scene
        .edit("v1", "ConfigMap", &object.name_any(), "settings", back(&object.name_any()))
        .await;
    scene
        .edit("v1", "Namespace", "", &namespace.name_any(), back(&namespace.name_any()))
        .await;
    scene.world.wait_gone("feature/object").await;
    scene.world.wait_gone("feature/namespace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f59_a_teardown_whose_deployer_lost_its_binding_still_ends_and_still_sees_what_is_foreign() {
    let mut scene = Scene::start("unbound", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene.world.server = None;
    scene
        .remove("rbac.authorization.k8s.io/v1", "RoleBinding", &name, "graftling-deployer")
        .await;
    scene
        .world
        .create("v1", "Secret", Some(&name), "diary", json!({ "stringData": { "a": "b" } }))
        .await;
    scene.delete(&environment).await;
    scene.world.start_server().await;
    scene
        .told("feature/a", Phase::Blocked, &["Secret diary", "not created by graftling"])
        .await;
    // Now that all of ours is gone, the binding goes again: nothing but the look for objects of others needs it.
    scene
        .remove("rbac.authorization.k8s.io/v1", "RoleBinding", &name, "graftling-deployer")
        .await;
    scene.nudge(&environment).await;
    scene
        .anew("rbac.authorization.k8s.io/v1", "RoleBinding", &name, "graftling-deployer", "")
        .await;
    scene.told("feature/a", Phase::Blocked, &["Secret diary"]).await;
    scene.remove("v1", "Secret", &name, "diary").await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
}
