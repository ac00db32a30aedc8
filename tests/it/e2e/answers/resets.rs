//! Connections to the API server that are reset: while TLS is agreed on, afterwards, and in the middle of a request.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::{Duration, Instant};

use graftling::api::environment::Phase;
use kube::ResourceExt;
use testbed::fault_proxy::{Fault, Handshake, Injections, Rule, Selector};
use testbed::wait;

use crate::e2e::scene::Scene;
use crate::world::{LONG, Options};

/// Two ConfigMaps that every push changes.
const REVISIONS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: first}
data: {revision: {{quote revision}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: second}
data: {revision: {{quote revision}}}
"#;

/// So many tries a second there are at most while none succeeds: of a dozen watches and two environments. A tight loop has thousands.
const TRIES_A_SECOND: f64 = 100.0;
/// And of one environment with two objects, a second or more between its passes. Without that there are dozens.
const WRITES_A_SECOND: f64 = 6.0;

/// A handshake is given up after five seconds; so long and a bit more everything that can stall does.
const STALLED: Duration = Duration::from_secs(8);

fn is_calm(what: &str, tries: &Injections, since: Instant, most: f64) {
    let rate = tries.count() as f64 / since.elapsed().as_secs_f64();
    println!("{what}: {rate:.1} a second");
    assert!(rate < most, "{what}: {rate:.1} a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_an_environment_whose_connections_are_reset_is_tried_again_in_peace_and_holds_no_other_up() {
    let scene = Scene::through_proxy("reset", REVISIONS, Options::default()).await;
    let proxy = scene.world.proxy();
    let [before, _] = [scene.up("feature/a").await, scene.up("feature/b").await];
    let writes = Selector::writes().namespace(&before.name_any()).verb("apply");
    let since = Instant::now();
    let lost = proxy.add(Rule::on(writes.clone()).nth(1), Fault::ResetAfter);
    let reset = proxy.add(Rule::on(writes), Fault::ResetBefore);
    let revision = scene.push("feature/a");
    wait::until("three resets", LONG, || async { lost.count() + reset.count() >= 3 }).await;
    scene.up("feature/b").await;
    scene.up("feature/c").await;
    let now = scene.world.environment("feature/a").await.unwrap().status.unwrap();
    assert_ne!(
        now.revision.unwrap().applied.as_deref(),
        Some(revision.as_str()),
        "none of its writes was answered"
    );
    is_calm("resets", &reset, since, WRITES_A_SECOND);
    proxy.clear();
    let after = scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    assert_eq!(after.uid(), before.uid());
    assert_eq!(lost.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_handshakes_that_are_reset_or_never_end_are_given_up_and_all_goes_on_once_they_succeed() {
    let scene = Scene::through_proxy("handshake", REVISIONS, Options::default()).await;
    let proxy = scene.world.proxy();
    let stays = scene.up("feature/stays").await;
    scene.up("feature/goes").await;
    let alive = scene.world.alive().await;

    let since = Instant::now();
    let reset = proxy.fail_handshakes(Handshake::Reset);
    proxy.reset_connections();
    let revision = scene.push("feature/stays");
    let new = scene.push("feature/new");
    scene.repository.delete_branches(&["feature/goes"]).unwrap();
    wait::until("many resets", LONG, || async { reset.count() >= 20 }).await;
    is_calm("handshakes reset", &reset, since, TRIES_A_SECOND);

    let since = Instant::now();
    let stalled = proxy.fail_handshakes(Handshake::Stall);
    // The time in which everything stalls is what is tested.
    tokio::time::sleep(STALLED).await;
    is_calm("handshakes stalled", &stalled, since, TRIES_A_SECOND);
    assert!(stalled.count() >= 1);
    assert_eq!(scene.world.alive().await, alive);

    let back = Instant::now();
    proxy.pass_handshakes();
    let after = scene.world.wait_for("feature/stays", Phase::Ready, &revision).await;
    assert_eq!(after.uid(), stays.uid());
    scene.world.wait_for("feature/new", Phase::Ready, &new).await;
    scene.world.wait_gone("feature/goes").await;
    println!("all goes on {:.1} s after the last stall", back.elapsed().as_secs_f64());
    assert!(scene.world.server().running.exited().is_none());
}
