//! A paused environment: what is changed by hand stays, is shown, and is put right on resume.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Duration;

use graftling::api::environment::Phase;
use graftling::api::environment::requests::DriftedObject;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use testbed::wait;

use super::command::env;
use super::scene::{CONFIG, Scene, WEB, short};
use crate::world::{LONG, objects};

/// Changes an object as `kubectl edit` does.
async fn edit(scene: &Scene, (version, kind, name): (&str, &str, &str), namespace: &str, patch: Value) {
    let api = objects::api(&scene.world.client, version, kind, Some(namespace)).await;
    let params = PatchParams {
        field_manager: Some("kubectl-edit".to_owned()),
        ..PatchParams::default()
    };
    api.patch(name, &params, &Patch::Strategic(patch)).await.unwrap();
}

async fn greeting(scene: &Scene, namespace: &str) -> Option<String> {
    let api = objects::api(&scene.world.client, "v1", "ConfigMap", Some(namespace)).await;
    let settings = api.get_opt("settings").await.unwrap()?;
    settings.data["data"]["greeting"].as_str().map(str::to_owned)
}

fn drifted(object: &str, change: &str) -> DriftedObject {
    DriftedObject {
        object: object.to_owned(),
        change: change.to_owned(),
    }
}

async fn wait_for_drift(scene: &Scene, branch: &str, expected: &[DriftedObject]) -> String {
    wait::until(format!("the drift {expected:?}"), LONG, || async {
        let status = scene.world.environment(branch).await.unwrap().status.unwrap_or_default();
        match status.drift == expected {
            true => Ok(status.message.unwrap_or_default()),
            false => Err(format!("{:?}: {:?}", status.drift, status.message)),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_by_hand_of_a_paused_environment_is_respected_shown_and_put_right_on_resume() {
    let branch = "feature/a";
    let scene = Scene::start("paused", WEB).await;
    let environment = scene.up(branch).await;
    let name = environment.name_any();
    let paused = env(&scene, &["pause", branch]).await;
    assert_eq!(paused.code, 0, "{}", paused.errors);
    assert!(paused.output.contains("nothing is applied"), "{}", paused.output);

    edit(
        &scene,
        ("v1", "ConfigMap", "settings"),
        &name,
        json!({ "data": { "greeting": "emergency" } }),
    )
    .await;
    let containers = json!([{ "name": "web", "image": "registry.example/web:fixed" }]);
    let image = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    edit(&scene, ("apps/v1", "Deployment", "web"), &name, image).await;
    let expected = [
        drifted("ConfigMap/settings", "data.greeting"),
        drifted("Deployment/web", "spec.template.spec.containers[web].image"),
    ];
    let message = wait_for_drift(&scene, branch, &expected).await;
    assert!(
        message.ends_with("nothing is applied; changed by hand and put right on resume: ConfigMap/settings (data.greeting) and 1 more"),
        "{message}"
    );
    let described = env(&scene, &["describe", branch]).await.output;
    for words in ["Changed by hand", "Deployment/web", "spec.template.spec.containers[web].image"] {
        assert!(described.contains(words), "{words} in {described}");
    }

    // A newer commit waits and is no drift; a deletion by hand is.
    let revision = scene.push(branch);
    let api = objects::api(&scene.world.client, "v1", "ConfigMap", Some(&name)).await;
    api.delete("settings", &DeleteParams::default()).await.unwrap();
    // The commit is another, so what was applied cannot be rendered any more, and the fields of what depends on it are not known.
    wait::until("the deletion to be seen", LONG, || async {
        let environment = scene.world.environment(branch).await.unwrap();
        let status = environment.status.unwrap_or_default();
        let is_seen = status.drift.first() == Some(&drifted("ConfigMap/settings", "deleted")) && environment.spec.revision == revision;
        if is_seen { Ok(()) } else { Err(format!("{:?}", status.drift)) }
    })
    .await;
    assert_eq!(greeting(&scene, &name).await, None, "nothing is put right while it is paused");
    let refused = env(&scene, &["retry", branch]).await;
    assert_eq!(refused.code, 4, "{}", refused.output);
    assert!(
        refused.errors.contains("is paused") && refused.errors.contains("graftling env resume"),
        "{}",
        refused.errors
    );

    let resumed = env(&scene, &["resume", branch]).await;
    assert_eq!(resumed.code, 0, "{}", resumed.errors);
    let status = scene.world.wait_for(branch, Phase::Ready, &revision).await.status.unwrap();
    assert_eq!(status.drift, []);
    assert_eq!(greeting(&scene, &name).await.as_deref(), Some("hello"));
    let deployments = objects::api(&scene.world.client, "apps/v1", "Deployment", Some(&name)).await;
    let web = deployments.get("web").await.unwrap();
    assert_eq!(
        web.data["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.example/web:1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_by_hand_is_told_and_nothing_but_the_status_is_written() {
    let branch = "feature/a";
    let scene = Scene::start("still", CONFIG).await;
    let environment = scene.up(branch).await;
    let name = environment.name_any();
    assert_eq!(env(&scene, &["pause", branch]).await.code, 0);
    let position = scene.position();
    edit(
        &scene,
        ("v1", "ConfigMap", "settings"),
        &name,
        json!({ "data": { "greeting": "emergency" } }),
    )
    .await;
    wait_for_drift(&scene, branch, &[drifted("ConfigMap/settings", "data.greeting")]).await;
    let of_the_environment = |event: &testbed::AuditEvent| event.namespace == name || event.resource == "environments";
    let written = || {
        let mut writes = scene.writes(position);
        writes.retain(of_the_environment);
        (!writes.is_empty()).then_some(writes)
    };
    // The status is seen by a watch, a moment before the audit log has its write.
    let writes = wait::until("the status's write in the audit log", Duration::from_secs(5), async || written()).await;
    let mut writes: Vec<String> = writes.iter().map(short).collect();
    writes.dedup();
    assert_eq!(writes, [format!("patch environments/status {name}")]);
    assert_eq!(greeting(&scene, &name).await.as_deref(), Some("emergency"));
}
