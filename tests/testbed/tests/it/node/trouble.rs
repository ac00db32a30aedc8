//! Pods that cannot do what they are asked to, as their status tells it.

use serde_json::json;
use testbed::node::image;
use testbed::wait;

use super::{LIMIT, place};

#[tokio::test]
async fn an_image_that_does_not_exist_fails_at_once_and_is_not_looked_for_in_any_network() {
    let Some(place) = place("missing").await else { return };
    place.run("true", json!({ "image": image::MISSING })).await;
    let message = place.waiting("ErrImagePull").await;
    assert!(message.contains("not found"), "{message}");
    place.waiting("ImagePullBackOff").await;
}

#[tokio::test]
async fn an_image_that_needs_credentials_says_so() {
    let Some(place) = place("private").await else { return };
    place.run("true", json!({ "image": image::PRIVATE })).await;
    let message = place.waiting("ErrImagePull").await;
    assert!(message.contains("401") || message.contains("authorization"), "{message}");
}

#[tokio::test]
async fn a_container_that_crashes_again_and_again_is_backed_off() {
    let Some(place) = place("crash").await else { return };
    let container = json!({ "name": "main", "image": image::BUSYBOX, "command": ["sh", "-c", "echo no database; exit 1"] });
    place.create(json!({ "containers": [container] })).await;
    place.waiting("CrashLoopBackOff").await;
    assert_eq!(place.log().await, "no database\n");
}

#[tokio::test]
async fn a_container_that_needs_more_memory_than_its_limit_is_killed() {
    let Some(place) = place("memory").await else { return };
    let limits = json!({ "resources": { "limits": { "memory": "24Mi" } } });
    place.run("tail -c 200000000 /dev/zero | wc -c; exit 0", json!(limits)).await;
    let killed = |pod: &k8s_openapi::api::core::v1::Pod| super::state(pod).is_some_and(|state| state.terminated.is_some());
    let pod = wait::for_object(&place.pods, "main", "end of the container", LIMIT, killed).await;
    let terminated = super::state(&pod).unwrap().terminated.unwrap();
    assert_eq!(terminated.reason.as_deref(), Some("OOMKilled"), "{terminated:?}");
}
