//! Connections that are reset, before, during and after what they are for.

use testbed::fault_proxy::{Fault, Handshake, Rule, Selector};
use testbed::wait;

use super::LIMIT;
use super::scene::Scene;

/// Whether the cause of it all was a reset, which is more than an end. Some errors hide their cause from all but `Debug`.
fn is_reset(error: &reqwest::Error) -> bool {
    format!("{error:?}").contains("ConnectionReset")
}

#[tokio::test]
async fn a_request_is_reset_before_or_after_it_is_carried_out() {
    let scene = Scene::start("resets").await;
    let creation = |name: &str| Rule::on(Selector::writes().verb("create").name(name));
    scene.proxy.add(creation("before"), Fault::ResetBefore);
    scene.proxy.add(creation("after"), Fault::ResetAfter);
    for name in ["before", "after"] {
        let error = scene.create(name).await.unwrap_err();
        assert!(is_reset(&error), "{error:?}");
    }
    assert_eq!(scene.names().await, ["after"]);
    assert_eq!(scene.create("later").await.unwrap().status, 201, "the next connection works");
}

#[tokio::test]
async fn open_connections_are_reset_and_new_ones_fail_in_their_handshake_until_they_may_pass() {
    let scene = Scene::start("handshakes").await;
    let mut watch = scene.watch("").await;
    let failed = scene.proxy.fail_handshakes(Handshake::Reset);
    scene.proxy.reset_connections();
    watch.end().await.unwrap_err();
    let error = scene.create("a").await.unwrap_err();
    assert!(error.is_connect() && is_reset(&error), "{error:?}");
    assert!(failed.count() >= 1);
    let stalled = scene.proxy.fail_handshakes(Handshake::Stall);
    let patience = async { wait::until("a handshake that stalls", LIMIT, || async { stalled.count() == 1 }).await };
    tokio::select!(answer = scene.create("a") => panic!("{answer:?}"), () = patience => {});
    scene.proxy.pass_handshakes();
    assert_eq!(scene.create("a").await.unwrap().status, 201);
}
