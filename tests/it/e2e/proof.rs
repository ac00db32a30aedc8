//! The proof of a teardown: its receipt, its Event, what still names a removed account, and how long all that is kept.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use testbed::wait;

use super::scene::{CONFIG, Scene, WEB};
use crate::world::{LONG, receipt_name};

#[tokio::test(flavor = "multi_thread")]
async fn feature_x13_the_receipt_lists_every_object_and_is_kept_for_thirty_days() {
    let scene = Scene::start("receipt", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let inventory = environment.status.clone().unwrap().inventory.entries();
    let begin = Instant::now();
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    println!(
        "from the deletion of the branch to the receipt: {:.1} s",
        begin.elapsed().as_secs_f64()
    );

    let receipt: Value = serde_saphyr::from_str(&scene.world.receipt(&environment).await).unwrap();
    assert_eq!(receipt["created"], inventory.len());
    assert_eq!(receipt["removed"], inventory.len());
    assert_eq!(receipt["left"], json!([]));
    assert_eq!((&receipt["branch"], &receipt["environment"]), (&json!("feature/a"), &json!(name)));
    let listed = |uid: &str| receipt["objects"].as_array().unwrap().iter().any(|object| object["uid"] == uid);
    assert!(inventory.iter().all(|entry| listed(entry.uid.as_deref().unwrap())), "{receipt:#}");

    let stored = scene
        .read("v1", "ConfigMap", scene.world.namespace.name(), &receipt_name(&environment))
        .await
        .unwrap();
    let expires: Timestamp = stored["metadata"]["annotations"]["graftling.dev/expires"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let days = expires.duration_since(Timestamp::now()).as_hours() as f64 / 24.0;
    assert!((29.9..=30.0).contains(&days), "{days}");
    let removed = wait::until("Event Removed", LONG, || async { event(&scene, &name, "Removed").await }).await;
    assert!(
        removed.contains(&format!("removed {0} of {0} objects, left 0", inventory.len())),
        "{removed}"
    );
    assert!(event(&scene, &name, "Retired").await.is_some());
}

async fn event(scene: &Scene, environment: &str, reason: &str) -> Option<String> {
    let events: Api<Event> = Api::namespaced(scene.world.client.clone(), scene.world.namespace.name());
    let all = events.list(&ListParams::default()).await.unwrap();
    let wanted = |event: &Event| event.involved_object.name.as_deref() == Some(environment) && event.reason.as_deref() == Some(reason);
    all.items.into_iter().find(wanted).map(|event| event.message.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn f52_f53_bindings_elsewhere_that_name_a_removed_account_are_in_the_receipt_where_the_project_lets_them_be() {
    let policy = json!({ "policy": { "references": { "bindings": "Report" } } });
    let scene = Scene::with("bindings", WEB, policy, &[]).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let home = scene.world.namespace.name();
    let rbac = "rbac.authorization.k8s.io/v1";
    let group = "rbac.authorization.k8s.io";
    let subject = |account: &str| json!([{ "kind": "ServiceAccount", "name": account, "namespace": name }]);
    let role = json!({ "apiGroup": group, "kind": "ClusterRole", "name": "view" });
    let binding = |account: &str| json!({ "roleRef": role, "subjects": subject(account) });
    scene
        .world
        .create(rbac, "RoleBinding", Some(home), "elsewhere", binding("web"))
        .await;
    scene
        .world
        .create(rbac, "RoleBinding", Some(home), "of-another", binding("nobody"))
        .await;
    let cluster_wide = format!("everywhere-{home}");
    scene
        .world
        .create(rbac, "ClusterRoleBinding", None, &cluster_wide, binding("web"))
        .await;
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
    let receipt: Value = serde_saphyr::from_str(&scene.world.receipt(&environment).await).unwrap();
    let dangling = receipt["danglingReferences"].as_array().unwrap();
    let told = |words: &[&str]| {
        dangling
            .iter()
            .any(|reference| words.iter().all(|word| reference.to_string().contains(word)))
    };
    assert!(told(&[" RoleBinding", "elsewhere", "ServiceAccount web"]), "{dangling:?}");
    assert!(told(&["ClusterRoleBinding", &cluster_wide, "ServiceAccount web"]), "{dangling:?}");
    assert_eq!(dangling.len(), 2, "{dangling:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_removed_once_they_have_expired_and_not_before() {
    let mut scene = Scene::start("expiry", CONFIG).await;
    let receipts: Api<ConfigMap> = Api::namespaced(scene.world.client.clone(), scene.world.namespace.name());
    let make = async |name: &str, expires: &str, receipt: bool| {
        let labels = if receipt {
            json!({ "graftling.dev/receipt": "true" })
        } else {
            json!({})
        };
        let body = json!({ "metadata": { "labels": labels, "annotations": { "graftling.dev/expires": expires } } });
        scene
            .world
            .create("v1", "ConfigMap", Some(scene.world.namespace.name()), name, body)
            .await;
    };
    let past = "2020-01-01T00:00:00Z";
    make("old", past, true).await;
    make("new", "2999-01-01T00:00:00Z", true).await;
    make("odd", "next week", true).await;
    make("foreign", past, false).await;
    scene.world.server = None;
    scene.world.start_server().await;
    wait::until("end of the expired receipt", LONG, || async {
        receipts.get_opt("old").await.unwrap().is_none()
    })
    .await;
    for kept in ["new", "odd", "foreign"] {
        assert!(receipts.get_opt(kept).await.unwrap().is_some(), "{kept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_a_teardown_beside_those_of_kubectl() {
    let scene = Scene::start("beside", WEB).await;
    let environment = scene.up("feature/a").await;
    let other = scene.up("feature/b").await;
    scene.suspend_project().await;
    let ours = async {
        let begin = Instant::now();
        scene.delete(&environment).await;
        scene.world.wait_gone("feature/a").await;
        begin.elapsed()
    };
    let theirs = async {
        let begin = Instant::now();
        let name = other.name_any();
        scene.remove("v1", "Namespace", "", &name).await;
        // It comes back at once, so that its absence may be missed; its UID cannot.
        let uid = other.status.as_ref().unwrap().namespace.as_ref().unwrap().uid.clone().unwrap();
        let present = || async {
            let found = scene.read("v1", "Namespace", "", &name).await;
            found.is_none_or(|found| found["metadata"]["uid"] != uid.as_str())
        };
        wait::until("end of the namespace", LONG, present).await;
        begin.elapsed()
    };
    let (ours, theirs): (Duration, Duration) = tokio::join!(ours, theirs);
    println!(
        "teardown {:.1} s, kubectl delete namespace {:.1} s",
        ours.as_secs_f64(),
        theirs.as_secs_f64()
    );
    assert!(scene.world.receipt(&environment).await.contains("left: []"));
}
