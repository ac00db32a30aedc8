//! Answers that get lost, come late, or break off in the middle.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Duration;

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use testbed::fault_proxy::{Fault, Gate, Injections, Rule, Selector};

use crate::e2e::scene::{CONFIG, Scene, WEB};
use crate::world::Options;

/// A pass is given up after a minute, whatever it waits for; a request long before.
const PASS: Duration = Duration::from_secs(55);

#[tokio::test(flavor = "multi_thread")]
async fn f15_what_was_created_although_nobody_was_told_is_found_to_be_ours_and_made_once() {
    let scene = Scene::through_proxy("lost", WEB, Options::default()).await;
    let proxy = scene.world.proxy();
    let first = |resource: &str| Rule::on(Selector::writes().verb("apply").resource(resource)).nth(1);
    let resources = ["namespaces", "resourcequotas", "rolebindings", "secrets", "serviceaccounts"];
    let mut lost = Vec::new();
    for resource in resources {
        lost.push(proxy.add(first(resource), Fault::DropAfter));
    }
    for resource in ["environments", "configmaps", "deployments"] {
        lost.push(proxy.add(first(resource), Fault::AnswerAfter { status: 504 }));
    }
    let position = scene.position();
    let environment = scene.up("feature/a").await;
    assert!(lost.iter().all(|rule| rule.count() == 1), "every answer got lost: {lost:?}");
    let name = environment.name_any();
    for entry in environment.status.unwrap().inventory.entries() {
        let live = scene.read(&entry.api_version, &entry.kind, &name, &entry.name).await;
        let uid = live.unwrap()["metadata"]["uid"].as_str().map(str::to_owned);
        assert_eq!(entry.uid, uid, "{} {}", entry.kind, entry.name);
    }
    let deleted: Vec<_> = scene.writes(position).into_iter().filter(|event| event.verb == "delete").collect();
    assert!(deleted.is_empty(), "{deleted:?}");
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    let lost = proxy.add(Rule::on(Selector::writes().verb("delete")).times(4), Fault::DropAfter);
    scene.world.wait_gone("feature/a").await;
    assert_eq!(lost.count(), 4);
    assert!(!scene.world.namespace_exists(&name).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_what_somebody_else_put_in_the_place_of_a_lost_creation_is_not_adopted() {
    let scene = Scene::through_proxy("lost-taken", CONFIG, Options::default()).await;
    let proxy = scene.world.proxy();
    let gate = Gate::new();
    let creation = Selector::writes().verb("apply").resource("configmaps").name("settings");
    proxy.add(Rule::on(creation).nth(1), Fault::HoldAfter(gate.clone()));
    let revision = scene.push("feature/a");
    gate.reached().await;
    let name = scene.world.environment("feature/a").await.unwrap().name_any();
    scene.remove("v1", "ConfigMap", &name, "settings").await;
    let foreign = json!({ "data": { "mine": "yes" } });
    let foreign = scene.world.create("v1", "ConfigMap", Some(&name), "settings", foreign).await;
    gate.abandon();
    scene.told("feature/a", Phase::Failed, &["ConfigMap settings"]).await;
    let now = scene.read("v1", "ConfigMap", &name, "settings").await.unwrap();
    assert_eq!(now["metadata"]["uid"], foreign["metadata"]["uid"]);
    assert_eq!(now["metadata"]["resourceVersion"], foreign["metadata"]["resourceVersion"], "{now}");
    scene.remove("v1", "ConfigMap", &name, "settings").await;
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_a_write_that_comes_late_does_not_land_on_what_has_taken_the_objects_place() {
    let scene = Scene::through_proxy("late", CONFIG, Options::default()).await;
    let name = scene.up("feature/a").await.name_any();
    let gate = Gate::new();
    let update = Selector::writes().verb("apply").resource("configmaps").name("settings");
    scene.world.proxy().add(Rule::on(update).nth(1), Fault::HoldBefore(gate.clone()));
    scene.template(&CONFIG.replace("hello", "good evening"));
    scene.push("feature/a");
    gate.reached().await;
    scene.remove("v1", "ConfigMap", &name, "settings").await;
    let foreign = json!({ "data": { "mine": "yes" } });
    let foreign = scene.world.create("v1", "ConfigMap", Some(&name), "settings", foreign).await;
    assert_eq!(gate.standing(), 1, "the write is still to come");
    gate.release();
    scene.told("feature/a", Phase::Failed, &["ConfigMap settings"]).await;
    let now = scene.read("v1", "ConfigMap", &name, "settings").await.unwrap();
    assert_eq!(now["metadata"]["resourceVersion"], foreign["metadata"]["resourceVersion"], "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_answers_that_break_off_and_connections_that_close_are_asked_again() {
    let scene = Scene::through_proxy("cut", WEB, Options::default()).await;
    let proxy = scene.world.proxy();
    // A look over a namespace takes some sixty reads, and counts only if all of them succeed: without a limit it could go on for long.
    let (writes, reads) = (Selector::writes().except(&["leases"]), Selector::reads());
    let cut = [
        proxy.add(Rule::on(writes.clone()).chance(161, 20).times(10), Fault::CutBody { after: 60 }),
        proxy.add(Rule::on(reads.clone()).chance(162, 2).times(4), Fault::CutBody { after: 60 }),
    ];
    let closed = [
        proxy.add(Rule::on(writes).chance(163, 10).times(6), Fault::DropBefore),
        proxy.add(Rule::on(reads).chance(164, 2).times(4), Fault::DropBefore),
    ];
    let environment = scene.up("feature/a").await;
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    let [cut, closed] = [cut, closed].map(|rules| rules.iter().map(Injections::count).sum::<u64>());
    println!("{cut} answers cut, {closed} connections closed");
    assert!(cut >= 5 && closed >= 2, "{cut} and {closed}");
    assert!(!scene.world.namespace_exists(&environment.name_any()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_an_answer_that_does_not_come_ends_by_a_limit_and_holds_no_other_environment_up() {
    let scene = Scene::through_proxy("stall", CONFIG, Options::default()).await;
    let proxy = scene.world.proxy();
    let apply = Selector::writes().verb("apply").resource("configmaps").name("settings");
    let pause = Duration::from_secs(600);
    let stalled = proxy.add(Rule::on(apply).nth(1), Fault::StallBody { after: 20, pause });
    let branches = ["feature/a", "feature/b"];
    let revisions = branches.map(|branch| scene.push(branch));
    let mut writes = Vec::new();
    for (branch, revision) in branches.iter().zip(&revisions) {
        let name = scene.world.wait_for(branch, Phase::Ready, revision).await.name_any();
        let mut of_branch = proxy.exchanges();
        of_branch.retain(|exchange| exchange.request.namespace == name && exchange.request.verb == "apply");
        of_branch.retain(|exchange| exchange.request.name == "settings");
        writes.push(of_branch);
    }
    assert_eq!(stalled.count(), 1);
    writes.sort_by_key(Vec::len);
    let (other, held) = (&writes[0], &writes[1]);
    assert_eq!((other.len(), held.len()), (1, 2), "only what was stalled is asked again");
    assert!(other[0].started < held[1].started, "the other did not wait");
    let gap = held[1].started - held[0].started;
    println!("asked again after {:.1} s", gap.as_secs_f64());
    assert!(gap < PASS, "not the request was given up, but the whole pass: {gap:?}");
}
