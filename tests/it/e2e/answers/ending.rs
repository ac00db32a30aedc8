//! A namespace that is taken for active while it ends.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use testbed::fault_proxy::{Fault, Rule, Selector};
use testbed::wait;

use crate::e2e::scene::{CONFIG, Scene};
use crate::world::{LONG, Options, ready_reason};

const MORE: &str = "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n";

#[tokio::test(flavor = "multi_thread")]
async fn f21_a_namespace_that_ends_although_the_watch_says_otherwise_is_waited_for_and_no_right_is_blamed() {
    let scene = Scene::through_proxy("ending", CONFIG, Options::default()).await;
    let proxy = scene.world.proxy();
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let before = scene.world.namespace_uid(&name).await.unwrap();
    // Somebody's object keeps the namespace from going, and nobody tells the server that it is ending.
    let held = json!({ "metadata": { "finalizers": ["example.com/held"] } });
    scene.world.create("v1", "ConfigMap", Some(&name), "held", held).await;
    let ending = Selector::any().resource("namespaces").namespace(&name).event("MODIFIED");
    let swallowed = proxy.add(Rule::on(ending), Fault::SwallowEvent);
    scene.remove("v1", "Namespace", "", &name).await;
    wait::until("the swallowed event", LONG, || async { swallowed.count() >= 1 }).await;
    let since = proxy.count();
    scene.template(&format!("{CONFIG}{MORE}"));
    let revision = scene.push("feature/a");

    let status = wait::until("the environment to wait for the end", LONG, || async {
        let status = scene.world.environment("feature/a").await.unwrap().status.unwrap_or_default();
        assert_ne!(status.phase, Some(Phase::Failed), "{:?}", status.message);
        let reason = ready_reason(&status.conditions).to_owned();
        if reason == "NamespaceEnding" { Ok(status) } else { Err(reason) }
    })
    .await;
    let message = status.message.unwrap();
    println!("{message}");
    assert!(
        message.contains("being terminated") && !message.contains("cannot create"),
        "{message}"
    );
    let refused = proxy.exchanges_since(since);
    let refused = refused
        .iter()
        .filter(|exchange| exchange.request.namespace == name && exchange.upstream == Some(403));
    assert!(refused.count() >= 1, "the server was refused, as it did not know better");

    let free = json!({ "metadata": { "finalizers": [] } });
    scene.edit("v1", "ConfigMap", &name, "held", free).await;
    let after = scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    assert_eq!(after.uid(), environment.uid());
    assert_ne!(scene.world.namespace_uid(&name).await.unwrap(), before);
    assert!(scene.read("v1", "ConfigMap", &name, "more").await.is_some());
}
