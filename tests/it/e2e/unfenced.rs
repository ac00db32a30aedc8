//! A run that was interrupted, and with it the rights by which its record can be read: they are put back before it is gone on with.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::Phase;
use kube::ResourceExt;
use testbed::wait;

use super::scene::{Scene, WEB};
use crate::world::LONG;

/// A scene whose server ended while a run waited for something that never comes, and the name of the environment.
async fn interrupted(name: &str) -> (Scene, String) {
    let mut scene = Scene::start(name, WEB).await;
    let environment = scene.up("feature/a").await;
    scene.template(&WEB.replace("containers:", "nodeSelector: {no: such-node}\n      containers:"));
    scene.push("feature/a");
    scene.told("feature/a", Phase::Deploying, &["Deployment web"]).await;
    let server = scene.world.server.take().unwrap();
    server.running.kill_hard().await.unwrap();
    scene.template(WEB);
    (scene, environment.name_any())
}

#[tokio::test(flavor = "multi_thread")]
async fn f30_a_run_that_a_push_overtook_is_gone_on_with_although_its_binding_was_removed() {
    let (mut scene, name) = interrupted("unbound").await;
    let rbac = "rbac.authorization.k8s.io/v1";
    let uid = scene.uid("v1", "Namespace", "", &name).await;
    scene.remove(rbac, "RoleBinding", &name, "graftling-deployer").await;
    let revision = scene.push("feature/a");
    scene.world.start_server().await;
    scene.world.wait_ready("feature/a", &revision).await;
    assert!(scene.read(rbac, "RoleBinding", &name, "graftling-deployer").await.is_some());
    assert_eq!(scene.uid("v1", "Namespace", "", &name).await, uid);
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_a_run_that_a_push_overtook_ends_with_its_namespace_and_the_next_one_makes_another() {
    let (mut scene, name) = interrupted("homeless").await;
    scene.remove("v1", "Namespace", "", &name).await;
    wait::until("the end of the namespace", LONG, || async {
        !scene.world.namespace_exists(&name).await
    })
    .await;
    let revision = scene.push("feature/a");
    scene.world.start_server().await;
    let environment = scene.world.wait_ready("feature/a", &revision).await;
    let status = environment.status.unwrap();
    assert!(
        status.inventory.entries().iter().all(|entry| entry.uid.is_some()),
        "{:?}",
        status.inventory
    );
    assert!(scene.read("apps/v1", "Deployment", &name, "web").await.is_some());
}
