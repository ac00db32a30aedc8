//! Who signed a receipt, and what becomes of one that was changed.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeMap;

use graftling::api::Environment;
use graftling::domain::signature::PublicKey;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use super::receipt;
use crate::e2e::scene::{CONFIG, Scene};
use crate::world::receipt_name;

async fn config_map(scene: &Scene, name: &str) -> BTreeMap<String, String> {
    let api: Api<ConfigMap> = Api::namespaced(scene.world.client.clone(), scene.world.namespace.name());
    api.get(name).await.unwrap().data.unwrap()
}

fn key_name(scene: &Scene) -> String {
    format!("{}-receipt-key", scene.world.release)
}

/// Whether the receipt of an environment bears the signature of the published key that it names.
async fn is_signed(scene: &Scene, environment: &Environment) -> bool {
    let stored = config_map(scene, &receipt_name(environment)).await;
    let published = config_map(scene, &key_name(scene)).await;
    let id = receipt(scene, environment).await.signed_by.unwrap();
    let key = PublicKey::from_pem(&published[&format!("{id}.pem")]).unwrap();
    key.verifies(stored["receipt.yaml"].as_bytes(), &stored["receipt.sig"])
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x13_a_receipt_is_signed_and_stays_good_when_the_key_is_replaced() {
    let mut scene = Scene::start("signed", CONFIG).await;
    let first = scene.up("feature/a").await;
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    assert!(is_signed(&scene, &first).await);
    let secrets: Api<Secret> = Api::namespaced(scene.world.client.clone(), scene.world.namespace.name());
    let secret = secrets.get(&key_name(&scene)).await.unwrap().data.unwrap();
    let private = std::str::from_utf8(&secret["private.pem"].0).unwrap().to_owned();

    let home = scene.world.namespace.name().to_owned();
    scene.remove("v1", "Secret", &home, &key_name(&scene)).await;
    scene.world.server = None;
    scene.world.start_server().await;
    // The same branch again: another incarnation, another receipt.
    let second = scene.up("feature/a").await;
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    assert_ne!(receipt_name(&first), receipt_name(&second));
    assert!(is_signed(&scene, &second).await, "by the new key");
    assert!(is_signed(&scene, &first).await, "by the old key, which is still published");
    assert_ne!(receipt(&scene, &first).await.signed_by, receipt(&scene, &second).await.signed_by);
    let body = private.lines().nth(1).unwrap();
    let log = scene.world.server().running.lines().join("\n");
    assert!(
        !log.contains(body) && !log.contains("PRIVATE"),
        "a private key never reaches the log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x13_two_servers_that_make_a_key_at_once_agree_on_one() {
    let scene = Scene::start("race", CONFIG).await;
    let place = graftling::cluster::signing::Place {
        namespace: scene.world.namespace.name().parse().unwrap(),
        name: "raced".parse().unwrap(),
    };
    let signers: Vec<_> = (0..8)
        .map(|_| graftling::cluster::signing::Signer::new(scene.world.client.clone(), Some(place.clone())))
        .collect();
    let keys = futures::future::join_all(signers.iter().map(|signer| signer.key())).await;
    let ids: std::collections::BTreeSet<_> = keys.into_iter().map(|key| key.unwrap().id()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(config_map(&scene, "raced").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x13_without_a_right_to_the_key_a_teardown_ends_all_the_same_and_says_so() {
    let mut scene = Scene::start("unsigned", CONFIG).await;
    let environment = scene.up("feature/a").await;
    scene.world.server = None;
    let server = scene.world.another_server("keyless", &["--key-namespace=kube-system"]).await;
    scene.world.server = Some(server);
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    let receipt = receipt(&scene, &environment).await;
    assert_eq!(receipt.signed_by, None);
    let because = receipt.unsigned_because.unwrap();
    assert!(because.contains("Secret kube-system/"), "{because}");
    let stored = config_map(&scene, &receipt_name(&environment)).await;
    assert!(!stored.contains_key("receipt.sig"));
    assert_eq!(scene.world.metric("graftling_receipts_unsigned_total").await, 1.0);
    assert_eq!(scene.world.metric("graftling_receipts_signed_total").await, 0.0);
}
