//! Lists from the past after a restart.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::environment::Phase;
use kube::ResourceExt;
use testbed::fault_proxy::{Fault, Gate, Rule, Selector};
use testbed::wait;

use crate::e2e::scene::{CONFIG, Scene};
use crate::world::{LONG, Options};

#[tokio::test(flavor = "multi_thread")]
async fn f20_a_list_from_the_past_after_a_restart_removes_nothing_that_is_there_now() {
    let mut scene = Scene::through_proxy("stale", CONFIG, Options::default()).await;
    let first = scene.up("feature/a").await;
    let version = scene.world.environment("feature/a").await.unwrap().resource_version().unwrap();
    // Since then the branch went and came back, and another came.
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    let second = scene.up("feature/a").await;
    let other = scene.up("feature/b").await;
    assert_ne!(first.uid(), second.uid());
    let alive = scene.world.alive().await;
    let namespaces = [
        scene.world.namespace_uid(&second.name_any()).await,
        scene.world.namespace_uid(&other.name_any()).await,
    ];
    scene.world.server.take().unwrap().running.kill_hard().await.unwrap();

    let blind = Gate::new();
    let environments = || Selector::any().group("graftling.dev").resource("environments");
    scene
        .world
        .proxy()
        .add(Rule::on(environments().verb("list")).nth(1), Fault::Stale { version });
    scene
        .world
        .proxy()
        .add(Rule::on(environments().verb("watch")).times(1), Fault::HoldBefore(blind.clone()));
    let position = scene.position();
    scene.world.start_server().await;
    blind.reached().await;
    let reports = || async {
        let status = scene.world.projects().get("shop").await.unwrap().status.unwrap_or_default();
        status.message
    };
    wait::until("two sweeps over what was", LONG, || async {
        let lists = scene.world.metric("graftling_sweeps_total{result=\"complete\"}").await;
        if lists >= 3.0 {
            Ok(())
        } else {
            Err(format!("{lists} sweeps, {:?}", reports().await))
        }
    })
    .await;
    assert_eq!(scene.world.alive().await, alive);
    // Even a real end is only decided by what is there now.
    scene.repository.delete_branches(&["feature/b"]).unwrap();
    blind.release();
    scene.world.wait_gone("feature/b").await;
    let deleted: Vec<_> = scene
        .writes(position)
        .into_iter()
        .filter(|event| event.verb == "delete" && event.code < 300)
        .collect();
    let of_others = deleted
        .iter()
        .filter(|event| !event.name.contains("feature-b") && !event.namespace.contains("feature-b"));
    assert_eq!(of_others.count(), 0, "{deleted:?}");
    assert_eq!(scene.world.namespace_uid(&second.name_any()).await, namespaces[0]);
    let revision = scene.push("feature/a");
    let now = scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    assert_eq!(now.uid(), second.uid());
}
