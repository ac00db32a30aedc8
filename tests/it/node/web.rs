//! The shipped bundle `web` serves its page, under the strictest guardrails.

use kube::ResourceExt;
use serde_json::json;
use testbed::Repository;
use testbed::node::image;

use crate::world::{Options, World, root, without_main};

#[tokio::test(flavor = "multi_thread")]
async fn the_web_bundle_serves_the_page_of_each_push_under_restricted_pod_security() {
    let options = Options {
        bundles: root().join("templates"),
        ..Options::default()
    };
    let Some(world) = World::on_node("web", options).await else {
        return;
    };
    let repository = Repository::create().unwrap();
    let (image, tag) = image::WEB.split_once(':').unwrap();
    let project = json!({
        "bundle": { "name": "web" },
        "values": { "image": { "repository": image, "tag": tag }, "args": [] },
        "guardrails": { "podSecurity": "restricted" },
    });
    world.project("shop", &repository, without_main(project)).await;

    for content in ["one", "two"] {
        let revision = repository.commit("feature/basket", &[("index.html", content)]).unwrap();
        let environment = world.wait_ready("feature/basket", &revision).await;
        let pod = world.ready_pod(&environment.name_any(), "app.kubernetes.io/name=web").await;
        let page = world.page(&pod, 8080).await;
        assert_eq!(page.trim(), format!("<!doctype html><title>feature/basket at {revision}</title>"));
    }
}
