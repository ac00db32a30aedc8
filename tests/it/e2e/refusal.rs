//! What the API server refuses: the object is named, what runs keeps running, and the next good revision heals.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use testbed::wait;

use super::scene::{CONFIG, Scene, WEB};
use crate::world::LONG;

#[tokio::test(flavor = "multi_thread")]
async fn f26_a_rejected_object_is_named_and_the_next_good_revision_heals() {
    let scene = Scene::start("rejected", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let good = scene.uid("apps/v1", "Deployment", &name, "web").await;
    scene.template(&WEB.replace("name: web, image:", "name: Not_A_Label, image:"));
    let bad = scene.push("feature/a");
    // The template may be seen before the push.
    wait::until("look at the bad revision", LONG, || async {
        let status = scene.world.environment("feature/a").await?.status?;
        (status.revision?.wanted.as_ref() == Some(&bad)).then_some(())
    })
    .await;
    let words = ["apps/v1 Deployment web", "spec.template.spec.containers[0].name"];
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    let revision = status.revision.unwrap();
    assert_eq!(revision.wanted, Some(bad.clone()));
    assert_ne!(revision.applied, Some(bad));
    let stage = status.stages.iter().find(|stage| stage.name == "deploy").unwrap();
    assert_eq!(stage.state, "Failed", "{:?}", status.stages);
    let deployment = scene.read("apps/v1", "Deployment", &name, "web").await.unwrap();
    assert_eq!(deployment["status"]["availableReplicas"], 1, "what ran before runs on");

    scene.template(WEB);
    scene.up("feature/a").await;
    assert_eq!(scene.uid("apps/v1", "Deployment", &name, "web").await, good);
}

#[tokio::test(flavor = "multi_thread")]
async fn f26_a_field_that_the_kind_does_not_have_is_a_failure_with_file_and_line_and_not_an_outage() {
    let scene = Scene::start(
        "unknown-field",
        &WEB.replace("spec:\n  selector:", "spec:\n  replica: 2\n  selector:"),
    )
    .await;
    scene.push("feature/a");
    let words = [
        "apps/v1 Deployment web",
        ".spec.replica: field not declared in schema",
        "(templates/all.yaml:",
    ];
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    assert!(status.conditions.iter().any(|condition| condition.reason == "Rejected"));
    scene.template(WEB);
    scene.up("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f32_a_change_of_a_field_that_cannot_change_is_told() {
    let scene = Scene::start("immutable", WEB).await;
    scene.up("feature/a").await;
    scene.template(&WEB.replace("app: web", "app: other"));
    scene.push("feature/a");
    let words = ["apps/v1 Deployment web", "spec.selector", "immutable"];
    scene.told("feature/a", Phase::Failed, &words).await;
    scene.template(WEB);
    scene.up("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f25_a_kind_that_the_cluster_does_not_know_is_named_and_its_environment_can_go() {
    let policy = json!({ "policy": { "kinds": ["nowhere.example/Ghost"] } });
    let ghost = "---\napiVersion: nowhere.example/v1\nkind: Ghost\nmetadata: {name: boo}\n";
    let scene = Scene::with("unknown", &format!("{CONFIG}{ghost}"), policy, &[]).await;
    scene.push("feature/a");
    let words = ["nowhere.example/v1 Ghost boo", "the cluster knows no"];
    scene.told("feature/a", Phase::Failed, &words).await;
    scene.template(CONFIG);
    let environment = scene.up("feature/a").await;
    assert!(
        environment
            .status
            .unwrap()
            .inventory
            .entries()
            .iter()
            .all(|entry| entry.kind != "Ghost")
    );

    scene.template(&format!("{CONFIG}{ghost}"));
    scene.push("feature/a");
    scene.told("feature/a", Phase::Failed, &words).await;
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f27_a_full_quota_is_told_and_heals_when_the_project_raises_it() {
    let roles = "count/roles.rbac.authorization.k8s.io";
    let quota = |number: &str| json!({ "guardrails": { "quota": { roles: number, "pods": "0" } } });
    let role = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader}\nrules: []\n";
    let scene = Scene::with("quota", &format!("{WEB}{role}"), quota("0"), &[]).await;
    let revision = scene.push("feature/a");
    let words = ["Role reader", "quota has no room", "count/roles", "0 of 0 is left"];
    scene.told("feature/a", Phase::Failed, &words).await;
    let raised = json!({ "guardrails": { "quota": { roles: "5" } } });
    scene.change_project(raised).await;
    let words = ["Deployment web", "quota has no room", "0 of 0 is left"];
    scene.told("feature/a", Phase::Deploying, &words).await;
    let raised = json!({ "guardrails": { "quota": { "pods": "5" } } });
    scene.change_project(raised).await;
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
}
