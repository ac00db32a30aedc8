//! What somebody changes by hand in a running environment.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::Phase;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testbed::wait;

use super::scene::{CONFIG, Scene, WEB, short};
use crate::world::{LONG, objects};

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_edit_is_put_right_and_a_deleted_object_comes_back() {
    let scene = Scene::start("edit", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let uid = scene.uid("v1", "ConfigMap", &name, "settings").await;
    let edit = json!({ "data": { "greeting": "changed by hand", "mine": "kept" } });
    scene.edit("v1", "ConfigMap", &name, "settings", edit).await;
    let settings = wait::until("greeting of the bundle", LONG, || async {
        let settings = scene.read("v1", "ConfigMap", &name, "settings").await?;
        (settings["data"]["greeting"] == "hello").then_some(settings)
    })
    .await;
    assert_eq!(settings["metadata"]["uid"], uid.as_str(), "it was changed, not replaced");
    assert_eq!(settings["data"]["mine"], "kept", "a field of somebody else is not ours to remove");

    for (version, kind, object) in [
        ("v1", "ConfigMap", "settings"),
        ("apps/v1", "Deployment", "web"),
        ("v1", "ServiceAccount", "web"),
    ] {
        let uid = scene.uid(version, kind, &name, object).await;
        scene.remove(version, kind, &name, object).await;
        scene.anew(version, kind, &name, object, &uid).await;
    }
    let status = scene.told("feature/a", Phase::Ready, &["ready"]).await;
    let uid = scene.uid("apps/v1", "Deployment", &name, "web").await;
    assert!(
        status.inventory.entries().iter().any(|entry| entry.uid.as_deref() == Some(&uid)),
        "{:?}",
        status.inventory
    );
    assert!(status.history.iter().all(|run| run.result == "Ready"), "{:?}", status.history);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_of_ours_that_somebody_takes_off_is_put_back_on_the_same_object() {
    let scene = Scene::start("label", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    for (version, kind, object) in [("v1", "ConfigMap", "settings"), ("v1", "ResourceQuota", "graftling-quota")] {
        let uid = scene.uid(version, kind, &name, object).await;
        let off = json!({ "metadata": { "labels": { "graftling.dev/environment": Value::Null } } });
        scene.edit(version, kind, &name, object, off).await;
        let labelled = wait::until(format!("label on {kind} {object}"), LONG, || async {
            let found = scene.read(version, kind, &name, object).await?;
            (found["metadata"]["labels"]["graftling.dev/environment"] == name.as_str()).then_some(found)
        })
        .await;
        assert_eq!(labelled["metadata"]["uid"], uid.as_str());
    }
    scene.told("feature/a", Phase::Ready, &["ready"]).await;
    let status = scene.world.environment("feature/a").await.unwrap().status.unwrap();
    assert!(
        status.inventory.entries().iter().all(|entry| entry.uid.is_some()),
        "{:?}",
        status.inventory
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_adds_to_a_secret_stays_and_causes_no_write() {
    let scene = Scene::start("secret", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene
        .edit("v1", "Secret", &name, "keys", json!({ "stringData": { "mine": "kept" } }))
        .await;
    let position = scene.position();
    // The Secret is not watched: the next revision makes the server look at it.
    let environment = scene.up("feature/a").await;
    assert_eq!(scene.writes_inside(position, &environment), ["patch deployments web"]);

    scene.template(
        &WEB.replace("not-in-any-log", "another")
            .replace("name: keys}", "name: keys, annotations: {a: b}}"),
    );
    let environment = scene.up("feature/a").await;
    let secret = scene.read("v1", "Secret", &name, "keys").await.unwrap();
    assert_eq!(secret["data"], json!({ "key": "YW5vdGhlcg==", "mine": "a2VwdA==" }));
    assert_eq!(secret["metadata"]["annotations"]["a"], "b");
    let text = json!(environment).to_string() + &scene.world.server().running.lines().concat();
    assert!(
        !text.contains("not-in-any-log") && !text.contains("another") && !text.contains("YW5vdGhlcg"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_field_that_another_applier_took_is_reported_and_not_fought_over() {
    let scene = Scene::start("conflict", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let api = objects::api(&scene.world.client, "v1", "ConfigMap", Some(&name)).await;
    let theirs = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" }, "data": { "greeting": "of flux" } });
    let params = PatchParams::apply("flux").force();
    api.patch("settings", &params, &Patch::Apply(&theirs)).await.unwrap();
    let words = ["ConfigMap settings", "\"flux\"", ".data.greeting"];
    scene.told("feature/a", Phase::Failed, &words).await;

    let position = scene.position();
    let revision = scene.push("feature/a");
    wait::until("new revision in Deployment web", LONG, || async {
        let web = scene.read("apps/v1", "Deployment", &name, "web").await?;
        web.to_string().contains(&revision).then_some(())
    })
    .await;
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    assert_eq!(
        status
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Stalled")
            .unwrap()
            .reason,
        "Conflict"
    );
    let settings = scene.read("v1", "ConfigMap", &name, "settings").await.unwrap();
    assert_eq!(settings["data"]["greeting"], "of flux");
    let writes = scene.writes_inside(position, &environment);
    assert!(writes.len() < 8, "no hot loop: {writes:?}");

    // Flux lets go.
    let nothing = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" } });
    api.patch("settings", &params, &Patch::Apply(&nothing)).await.unwrap();
    scene.told("feature/a", Phase::Ready, &[]).await;
    let settings = scene.read("v1", "ConfigMap", &name, "settings").await.unwrap();
    assert_eq!(settings["data"]["greeting"], "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_a_namespace_deleted_by_hand_comes_back_with_everything_in_it() {
    let scene = Scene::start("rebirth", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let uid = scene.uid("v1", "Namespace", "", &name).await;
    let position = scene.position();
    scene.remove("v1", "Namespace", "", &name).await;
    scene
        .told("feature/a", Phase::Deploying, &["Namespace", "created anew once it is gone"])
        .await;
    scene.anew("v1", "Namespace", "", &name, &uid).await;
    let status = scene.told("feature/a", Phase::Ready, &["ready"]).await;
    let new = scene.uid("v1", "Namespace", "", &name).await;
    assert_eq!(status.namespace.unwrap().uid, Some(new));
    assert!(
        status.inventory.entries().iter().all(|entry| entry.uid.is_some()),
        "{:?}",
        status.inventory
    );
    let refused: Vec<_> = scene
        .writes(position)
        .iter()
        .filter(|event| event.code >= 400 && event.code != 409)
        .map(short)
        .collect();
    assert_eq!(refused, [""; 0], "nothing is tried in a namespace that is ending");
    assert!(status.history.iter().all(|run| run.result == "Ready"), "{:?}", status.history);
}

#[tokio::test(flavor = "multi_thread")]
async fn f30_guardrails_and_the_deployers_binding_come_back() {
    let scene = Scene::start("rails", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let rbac = "rbac.authorization.k8s.io/v1";
    let rails = [
        ("v1", "ResourceQuota", "graftling-quota"),
        ("v1", "LimitRange", "graftling-limits"),
        ("networking.k8s.io/v1", "NetworkPolicy", "graftling-ingress"),
        ("networking.k8s.io/v1", "NetworkPolicy", "graftling-egress"),
        (rbac, "RoleBinding", "graftling-deployer"),
    ];
    for (version, kind, object) in rails {
        let uid = scene.uid(version, kind, &name, object).await;
        scene.remove(version, kind, &name, object).await;
        scene.anew(version, kind, &name, object, &uid).await;
    }
    scene.up("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f41_what_somebody_else_created_is_never_written_to() {
    let scene = Scene::start("foreign", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let theirs = json!({ "data": { "whose": "theirs" } });
    scene.world.create("v1", "ConfigMap", Some(&name), "notes", theirs).await;
    scene.template(&format!(
        "{CONFIG}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: notes}}\ndata: {{whose: ours}}\n"
    ));
    let revision = scene.push("feature/a");
    scene
        .told("feature/a", Phase::Failed, &["ConfigMap notes", "was not created by graftling"])
        .await;
    let notes = scene.read("v1", "ConfigMap", &name, "notes").await.unwrap();
    assert_eq!(notes["data"]["whose"], "theirs");
    assert_eq!(notes["metadata"]["labels"], Value::Null);

    scene.remove("v1", "ConfigMap", &name, "notes").await;
    scene.nudge(&environment).await;
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    assert_eq!(
        scene.read("v1", "ConfigMap", &name, "notes").await.unwrap()["data"]["whose"],
        "ours"
    );
}
