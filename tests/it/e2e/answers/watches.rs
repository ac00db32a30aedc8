//! Watches that end, that have to begin anew, and that leave something out.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::{Duration, Instant};

use graftling::api::environment::Phase;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;
use testbed::fault_proxy::{Fault, FaultProxy, Gate, Injections, Rule, Selector};
use testbed::wait;

use crate::e2e::scene::{CONFIG, Scene, WEB};
use crate::world::{LONG, Options};

fn watches(resource: &str) -> Selector {
    Selector::any().verb("watch").resource(resource)
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_watches_that_are_closed_every_second_miss_nothing_and_cost_a_request_a_second() {
    let scene = Scene::through_proxy("closed", WEB, Options::default()).await;
    let proxy = scene.world.proxy();
    proxy.add(
        Rule::on(Selector::any().verb("watch")),
        Fault::CutWatchAfter(Duration::from_secs(1)),
    );
    proxy.end_watches(&Selector::any());
    let (since, began) = (proxy.count(), Instant::now());
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    for (version, kind, object) in [("v1", "ConfigMap", "settings"), ("apps/v1", "Deployment", "web")] {
        let uid = scene.uid(version, kind, &name, object).await;
        scene.remove(version, kind, &name, object).await;
        scene.anew(version, kind, &name, object, &uid).await;
    }
    scene.up("feature/a").await;
    let requests = proxy.exchanges_since(since);
    let seconds = began.elapsed().as_secs();
    let mut kinds: Vec<_> = requests
        .iter()
        .filter(|exchange| exchange.request.is_watch())
        .map(|exchange| &exchange.request.path)
        .collect();
    let opened = kinds.len() as u64;
    kinds.sort_unstable();
    kinds.dedup();
    let kinds = kinds.len() as u64;
    println!("{opened} watches of {kinds} kinds in {seconds} s");
    assert!(opened <= kinds * (seconds + 3), "{opened} watches of {kinds} kinds in {seconds} s");
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
}

/// Makes the watches of a resource blind: they end, and the next ones are refused as too old once the gate opens.
fn blind(proxy: &FaultProxy, resource: &str) -> Gate {
    let gate = Gate::new();
    proxy.clear();
    proxy.add(Rule::on(watches(resource)).nth(1), Fault::HoldBefore(gate.clone()));
    proxy.add(Rule::on(watches(resource)).nth(2), Fault::expired());
    proxy.end_watches(&watches(resource));
    gate
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_what_ended_while_a_watch_was_blind_is_seen_when_it_has_to_list_again() {
    let scene = Scene::through_proxy("gone", CONFIG, Options::default()).await;
    let proxy = scene.world.proxy();
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let gate = blind(proxy, "configmaps");
    gate.reached().await;
    let uid = scene.uid("v1", "ConfigMap", &name, "settings").await;
    scene.remove("v1", "ConfigMap", &name, "settings").await;
    gate.abandon();
    scene.anew("v1", "ConfigMap", &name, "settings", &uid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_an_environment_that_ended_while_its_watch_was_blind_is_noticed_and_its_branch_can_come_back() {
    // Sweeps are far apart, so that only what the watch tells can bring the environment back.
    let options = Options {
        sweep_interval: "10m",
        ..Options::default()
    };
    let scene = Scene::through_proxy("blind", CONFIG, options).await;
    let proxy = scene.world.proxy();
    // A delivery is of no use before its endpoint is there.
    scene.world.first_look().await;
    scene.push("feature/a");
    scene.hint("feature/a").await;
    let revision = scene.repository.head("feature/a").unwrap().unwrap();
    let before = scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    let name = before.name_any();
    let finalizer = Gate::new();
    let last = Selector::writes()
        .verb("patch")
        .resource("environments")
        .name(&name)
        .subresource("");
    proxy.add(Rule::on(last), Fault::HoldBefore(finalizer.clone()));
    scene.world.environments().delete(&name, &DeleteParams::default()).await.unwrap();
    finalizer.reached().await;
    let gate = blind(proxy, "environments");
    gate.reached().await;
    finalizer.release();
    scene.world.wait_gone("feature/a").await;
    gate.abandon();
    let after = scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    assert_ne!(after.uid(), before.uid());
}

/// Does something that is made up for, until its event was lost. What happens just while its kind is listed has no event that could be.
async fn until_lost(lost: &Injections, step: impl AsyncFn()) {
    for _ in 0..5 {
        step().await;
        if lost.count() >= 1 {
            return;
        }
    }
    panic!("no event was there to be lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn f19_an_event_that_never_comes_is_made_up_for_within_the_resync_interval() {
    let options = Options {
        arguments: vec!["--resync=5s".to_owned()],
        ..Options::default()
    };
    let scene = Scene::through_proxy("swallowed", WEB, options).await;
    let proxy = scene.world.proxy();
    let namespace = scene.world.namespace.name().to_owned();
    let swallow = |resource: &str, event: &str| {
        proxy.clear();
        let selector = Selector::any().resource(resource).namespace(&namespace).event(event);
        proxy.add(Rule::on(selector).nth(1), Fault::SwallowEvent)
    };
    let added = swallow("environments", "ADDED");
    let environment = scene.up("feature/a").await;
    assert_eq!(added.count(), 1);
    let modified = swallow("environments", "MODIFIED");
    scene.up("feature/a").await;
    assert_eq!(modified.count(), 1);

    let name = environment.name_any();
    let inside = |resource: &str, event: &str| {
        proxy.clear();
        let selector = Selector::any().resource(resource).namespace(&name).event(event);
        proxy.add(Rule::on(selector), Fault::SwallowEvent)
    };
    for (resource, version, kind, object) in [
        ("configmaps", "v1", "ConfigMap", "settings"),
        ("deployments", "apps/v1", "Deployment", "web"),
    ] {
        let deleted = inside(resource, "DELETED");
        until_lost(&deleted, async || {
            let uid = scene.uid(version, kind, &name, object).await;
            scene.remove(version, kind, &name, object).await;
            scene.anew(version, kind, &name, object, &uid).await;
        })
        .await;
    }
    until_lost(&inside("configmaps", "MODIFIED"), async || {
        scene
            .edit("v1", "ConfigMap", &name, "settings", json!({ "data": { "greeting": "by hand" } }))
            .await;
        wait::until("the greeting of the bundle", LONG, || async {
            let settings = scene.read("v1", "ConfigMap", &name, "settings").await?;
            (settings["data"]["greeting"] == "hello").then_some(())
        })
        .await;
    })
    .await;
    let ready = inside("deployments", "MODIFIED");
    scene.up("feature/a").await;
    assert!(ready.count() >= 1);

    let gone = swallow("environments", "DELETED");
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    wait::until("a swallowed end", LONG, || async { gone.count() == 1 }).await;
    let back = scene.up("feature/a").await;
    assert_ne!(back.uid(), environment.uid());
}
