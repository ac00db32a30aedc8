//! The life of an environment, from the first push to the receipt.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use testbed::Repository;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn feature_t9_a_pushed_branch_comes_up_and_a_deleted_one_leaves_nothing() {
    let world = World::start("life").await;
    let repository = Repository::create().unwrap();
    repository.commit("main", &[("README.md", "hello")]).unwrap();
    world
        .project("shop", &repository, json!({ "branches": { "exclude": ["main"] } }))
        .await;

    let revision = repository.commit("feature/login", &[("login.txt", "1")]).unwrap();
    let environment = world.wait_for("feature/login", Phase::Ready, &revision).await;
    let namespace = environment.name_any();
    assert!(world.namespace_exists(&namespace).await);
    let status = environment.status.clone().unwrap();
    assert_eq!(status.url.unwrap(), format!("https://{namespace}.preview.example.com"));

    repository.delete_branches(&["feature/login"]).unwrap();
    world.wait_gone("feature/login").await;
    assert!(!world.namespace_exists(&namespace).await);
    let receipt = world.receipt(&environment).await;
    assert!(receipt.contains("left: []"), "{receipt}");
}
