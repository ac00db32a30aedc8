//! What somebody asked to keep survives the end of its environment, with the fences around it, and everybody can see why.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::Environment;
use graftling::api::environment::Phase;
use graftling::api::keys::{RETAIN_ANNOTATION, RETAINED_FROM_ANNOTATION};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::scene::{CONFIG, Scene, WEB};

/// Kinds and names that the tests look for.
const SETTINGS: (&str, &str, &str) = ("v1", "ConfigMap", "settings");
const ACCOUNT: (&str, &str, &str) = ("v1", "ServiceAccount", "web");
const KEYS: (&str, &str, &str) = ("v1", "Secret", "keys");
const DEPLOYMENT: (&str, &str, &str) = ("apps/v1", "Deployment", "web");
const QUOTA: (&str, &str, &str) = ("v1", "ResourceQuota", "graftling-quota");

async fn is_there(scene: &Scene, namespace: &str, (version, kind, name): (&str, &str, &str)) -> bool {
    let object = scene.read(version, kind, namespace, name).await;
    object.is_some_and(|object| object["metadata"]["deletionTimestamp"].is_null())
}

async fn ask_to_keep(scene: &Scene, namespace: &str, (version, kind, name): (&str, &str, &str)) {
    let patch = json!({ "metadata": { "annotations": { (RETAIN_ANNOTATION): "true" } } });
    scene.edit(version, kind, namespace, name, patch).await;
}

async fn receipt(scene: &Scene, environment: &Environment) -> Value {
    serde_saphyr::from_str(&scene.world.receipt(environment).await).unwrap()
}

fn reasons(receipt: &Value) -> Vec<(String, String)> {
    let text = |left: &Value, field: &str| left[field].as_str().unwrap().to_owned();
    let left = receipt["left"].as_array().unwrap();
    left.iter().map(|left| (text(left, "object"), text(left, "reason"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x3_a_retained_object_outlives_its_environment_and_its_namespace_says_so() {
    let scene = Scene::start("retain", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    ask_to_keep(&scene, &name, SETTINGS).await;

    // Another push applies the object anew, and one more no longer contains it: the annotation is its author's, and counts.
    scene.template(&WEB.replace("greeting: hello", "greeting: again"));
    scene.up("feature/a").await;
    let settings = scene.read(SETTINGS.0, SETTINGS.1, &name, SETTINGS.2).await.unwrap();
    assert_eq!(settings["data"]["greeting"], "again");
    assert_eq!(settings["metadata"]["annotations"][RETAIN_ANNOTATION], "true");
    scene.template(&WEB.replace(CONFIG.trim(), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}"));
    scene.push("feature/a");
    scene
        .told("feature/a", Phase::Ready, &["ConfigMap settings", RETAIN_ANNOTATION])
        .await;
    assert!(is_there(&scene, &name, SETTINGS).await);

    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    for (object, stays) in [
        (SETTINGS, true),
        (QUOTA, true),
        (DEPLOYMENT, false),
        (KEYS, false),
        (ACCOUNT, false),
    ] {
        assert_eq!(is_there(&scene, &name, object).await, stays, "{object:?}");
    }
    let namespace = scene.read("v1", "Namespace", "", &name).await.unwrap();
    assert_eq!(
        namespace["metadata"]["annotations"][RETAINED_FROM_ANNOTATION],
        environment.uid().unwrap()
    );
    let left = reasons(&receipt(&scene, &environment).await);
    let of = |object: &str| {
        left.iter()
            .find(|(left, _)| left.contains(object))
            .unwrap_or_else(|| panic!("no {object}: {left:?}"))
    };
    assert!(of("ConfigMap settings").1.contains("bears the annotation graftling.dev/retain"));
    assert!(of("Namespace").1.contains("graftling.dev/retain"));
    assert!(!left.iter().any(|(object, _)| object.contains("Deployment")), "{left:?}");

    // The branch comes back: nothing is written beside what was kept, and its end is no failure.
    let position = scene.position();
    scene.push("feature/a");
    let words = ["an earlier environment of this branch", "delete the namespace"];
    scene.told("feature/a", Phase::Failed, &words).await;
    let second = scene.world.environment("feature/a").await.unwrap();
    assert_eq!(second.name_any(), name);
    assert_eq!(scene.writes_inside(position, &second), Vec::<String>::new());
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    assert!(is_there(&scene, &name, SETTINGS).await);

    // The way out.
    scene.remove("v1", "Namespace", "", &name).await;
    scene.up("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x3_a_retained_workload_keeps_running_with_what_it_needs() {
    let scene = Scene::start("retain-run", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    ask_to_keep(&scene, &name, DEPLOYMENT).await;
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    for object in [DEPLOYMENT, ACCOUNT, KEYS, SETTINGS, QUOTA] {
        assert!(is_there(&scene, &name, object).await, "{object:?}");
    }
    let left = reasons(&receipt(&scene, &environment).await);
    let account = left.iter().find(|(object, _)| object.contains("ServiceAccount web")).unwrap();
    assert!(account.1.contains("is kept for what bears"), "{account:?}");
    let deployment = scene.read(DEPLOYMENT.0, DEPLOYMENT.1, &name, DEPLOYMENT.2).await.unwrap();
    assert_eq!(deployment["status"]["readyReplicas"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x3_a_bundle_may_ask_to_keep_only_where_the_project_lets_it() {
    let kept = format!(
        "{}\n",
        CONFIG.replace("name: settings", "name: settings, annotations: {graftling.dev/retain: \"true\"}")
    );
    let scene = Scene::start("retain-ask", &kept).await;
    scene.push("feature/a");
    let words = [
        "all.yaml:2",
        "ConfigMap settings",
        "metadata.annotations[\"graftling.dev/retain\"]",
        "spec.policy.retain",
    ];
    scene.told("feature/a", Phase::Failed, &words).await;
    scene.change_project(json!({ "policy": { "retain": "Allow" } })).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    assert!(is_there(&scene, &name, SETTINGS).await);
}
