//! Leaders that stop in the middle, and what they had sent before.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Instant;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::{Api, ResourceExt};
use serde_json::json;
use testbed::fault_proxy::{Exchange, Fault, Gate, Rule, Selector};
use testbed::wait;

use super::{SUCCESSION, Stage};
use crate::world::{LONG, World};

/// The objects that a late request could change, by identity and version.
async fn state(world: &World, namespace: &str) -> [(Option<String>, Option<String>); 2] {
    let settings: Api<ConfigMap> = Api::namespaced(world.client.clone(), namespace);
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), namespace);
    let (settings, account) = (settings.get("settings").await.unwrap(), accounts.get("web").await.unwrap());
    assert_eq!(account.metadata.deletion_timestamp, None);
    [
        (settings.uid(), settings.resource_version()),
        (account.uid(), account.resource_version()),
    ]
}

fn late(exchanges: Vec<Exchange>) -> Vec<Exchange> {
    exchanges
        .into_iter()
        .filter(|exchange| exchange.injected == Some("HoldBefore"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_f17_a_leader_stopped_in_a_deployment_and_a_teardown_is_succeeded_and_what_it_had_sent_is_refused() {
    let stage = Stage::set("outrun").await;
    let (world, repository) = (&stage.world, &stage.repository);
    let first = stage.leader("first", None).await;
    let second = stage.replica("second", None).await;
    stage.project(json!({})).await;
    let (stays, goes) = (stage.push("stays", "1"), stage.push("goes", "1"));
    let stays = world.wait_ready("stays", &stays).await;
    let goes = world.wait_ready("goes", &goes).await;

    // One is in the middle of an update, the other in the middle of its teardown.
    let (apply, delete) = (Gate::new(), Gate::new());
    let update = Selector::writes()
        .resource("configmaps")
        .namespace(&stays.name_any())
        .name("settings");
    first.proxy.add(Rule::on(update), Fault::HoldBefore(apply.clone()));
    let deletions = Selector::writes().verb("delete").namespace(&goes.name_any());
    first.proxy.add(Rule::on(deletions), Fault::HoldBefore(delete.clone()));
    let newer = stage.push("stays", "2");
    repository.delete_branches(&["goes"]).unwrap();
    apply.reached().await;
    delete.reached().await;
    first.server.running.pause();
    let stopped = Instant::now();

    world.wait_ready("stays", &newer).await;
    world.wait_gone("goes").await;
    assert!(second.has_led() && stopped.elapsed() < SUCCESSION, "{:?}", stopped.elapsed());
    let receipt = world.receipt(&goes).await;
    assert!(receipt.contains("left: []"), "{receipt}");

    // A whole teardown later, and with both there anew, what the first had sent arrives.
    repository.delete_branches(&["stays"]).unwrap();
    world.wait_gone("stays").await;
    let again = [("stays", stage.push("stays", "3")), ("goes", stage.push("goes", "3"))];
    for (branch, revision) in &again {
        world.wait_ready(branch, revision).await;
    }
    let names = [stays.name_any(), goes.name_any()];
    let before = [state(world, &names[0]).await, state(world, &names[1]).await];
    apply.release();
    delete.release();
    let arrived = wait::until("answers to what was late", LONG, || async {
        let late = late(first.proxy.exchanges());
        late.iter().all(|exchange| exchange.upstream.is_some()).then_some(late)
    })
    .await;
    assert!(arrived.len() >= 2, "{arrived:#?}");
    for exchange in &arrived {
        assert!(
            exchange.upstream.is_some_and(|code| matches!(code, 403 | 404 | 409 | 422)),
            "{exchange:#?}"
        );
    }
    assert_eq!([state(world, &names[0]).await, state(world, &names[1]).await], before);
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    for name in &names {
        assert_eq!(namespaces.get(name).await.unwrap().metadata.deletion_timestamp, None);
    }

    // It wakes up long after its time, with something to do.
    let woken = first.proxy.count();
    let newest = stage.push("stays", "4");
    first.server.running.resume();
    first.ends().await;
    let written: Vec<_> = first.writes_since(woken);
    assert!(written.is_empty(), "S6: {written:#?}");
    world.wait_ready("stays", &newest).await;
}
