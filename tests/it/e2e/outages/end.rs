//! The end of the process, asked for and not, with work under way.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use testbed::Repository;
use testbed::fault_proxy::{Exchange, Fault, Gate, Rule, Selector};

use super::NONE;
use crate::world::{LONG, Options, World, repository_name, without_main};

/// The objects in a namespace that were written, with success.
fn written(exchanges: &[Exchange], namespace: &str) -> BTreeSet<String> {
    let is_done = |exchange: &&Exchange| exchange.upstream.is_some_and(|status| status < 300);
    let inside = |exchange: &&Exchange| exchange.request.is_write() && exchange.request.namespace == namespace;
    let name = |exchange: &Exchange| format!("{} {}", exchange.request.resource, exchange.request.name);
    let objects = exchanges.iter().filter(inside).filter(is_done).map(name);
    objects.filter(|object| !object.starts_with("events ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_a_server_that_is_told_to_stop_in_the_middle_of_an_apply_begins_nothing_new_and_leaves_the_rest_to_the_next() {
    let mut world = World::behind_proxy("term", Options::default()).await;
    let repository = Repository::create().unwrap();
    world.project("shop", &repository, without_main(json!({}))).await;
    let settled = repository.commit("settled", &[("a", "1")]).unwrap();
    let settled = world.wait_ready("settled", &settled).await.name_any();
    let gate = Gate::new();
    let deployments = Selector::writes().resource("deployments");
    world.proxy().add(Rule::on(deployments), Fault::HoldBefore(gate.clone()));
    let first = repository.commit("under-way", &[("a", "1")]).unwrap();
    gate.reached().await;

    let server = world.server.take().unwrap();
    let settings: Api<ConfigMap> = Api::namespaced(world.client.clone(), &settled);
    let meanwhile = async {
        let stopping = |line: &str| line.contains("stopping");
        server
            .running
            .wait_for_line("the word that it stops", LONG, stopping)
            .await
            .unwrap();
        let late = repository.commit("late", &[("a", "1")]).unwrap();
        // A watch shows this at once, and a queue that goes on would put it back.
        settings.delete("settings", &DeleteParams::default()).await.unwrap();
        // Several sweeps would fit in here.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(server.running.exited().is_none(), "it finishes what is under way");
        gate.release();
        late
    };
    let (ended, late) = tokio::join!(server.running.terminate(LONG), meanwhile);
    assert!(ended.unwrap().success());
    assert!(world.environment("late").await.is_none(), "nothing new is begun");
    assert!(settings.get_opt("settings").await.unwrap().is_none(), "nor is anything mended");
    let namespace = world.environment("under-way").await.unwrap().name_any();
    let done = written(&world.proxy().exchanges(), &namespace);
    assert!(done.contains("deployments web"), "what was under way was finished: {done:?}");

    world.proxy().clear();
    let before = world.proxy().count();
    world.start_server().await;
    world.wait_ready("under-way", &first).await;
    world.wait_ready("late", &late).await;
    let again = written(&world.proxy().exchanges_since(before), &namespace);
    let twice: Vec<_> = again.intersection(&done).collect();
    assert!(twice.is_empty(), "the next one writes what remains: {twice:?}");
}

/// So many events wait when the server is killed.
const QUEUED: usize = 1000;

/// Of them in one delivery.
const PER_DELIVERY: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn f10_a_server_that_is_killed_under_a_thousand_queued_events_loses_none_of_what_they_told() {
    let options = Options {
        sweep_interval: "2s",
        ..Options::default()
    };
    let mut world = World::behind_proxy("queued", options).await;
    let repository = Repository::create().unwrap();
    let name = repository_name(&repository);
    world.project("shop", &repository, without_main(json!({}))).await;
    let first = [
        ("stays", &[("a", "1")] as &[_]),
        ("goes", &[("a", "1")]),
        ("goes-too", &[("a", "1")]),
    ];
    let pushed = repository.push_many(&first).unwrap();
    let stays = world.wait_ready("stays", &pushed[0]).await;
    world.wait_ready("goes", &pushed[1]).await;
    world.wait_ready("goes-too", &pushed[2]).await;

    // Nothing of an Environment is written any more, so whoever looks at the Project stands there, and all others behind.
    let gate = Gate::new();
    let environments = Selector::writes().resource("environments");
    world.proxy().add(Rule::on(environments), Fault::HoldBefore(gate.clone()));
    let branches: Vec<String> = (0..10).map(|number| format!("new/{number}")).collect();
    let pushes: Vec<(&str, &[(&str, &str)])> = branches.iter().map(|branch| (branch.as_str(), &[("a", "1")] as &[_])).collect();
    let revisions = repository.push_many(&pushes).unwrap();
    repository.delete_branches(&["goes", "goes-too"]).unwrap();
    gate.reached().await;
    let mut hints: Vec<(String, &str, &str)> = vec![
        ("goes".to_owned(), pushed[1].as_str(), NONE),
        ("goes-too".to_owned(), pushed[2].as_str(), NONE),
    ];
    hints.extend(
        branches
            .iter()
            .zip(&revisions)
            .map(|(branch, revision)| (branch.clone(), NONE, revision.as_str())),
    );
    hints.extend((hints.len()..QUEUED).map(|number| (format!("never/{number}"), NONE, pushed[0].as_str())));
    for many in hints.chunks(PER_DELIVERY) {
        let update = |(branch, before, after): &(String, &str, &str)| json!({ "ref": format!("refs/heads/{branch}"), "before": before, "after": after });
        let updates: Vec<_> = many.iter().map(update).collect();
        let body = json!({ "version": 1, "repository": name, "updates": updates });
        let answer = world.signed_hint("git", serde_json::to_vec(&body).unwrap()).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    let waiting = world.metric("graftling_inbox_depth").await;
    println!("{waiting} hints waited in the inbox");
    assert!(waiting > 500.0, "they must be waiting: {waiting}");
    world.server.take().unwrap().running.kill_hard().await.unwrap();
    gate.abandon();
    world.proxy().clear();

    world.start_server().await;
    for (branch, revision) in branches.iter().zip(&revisions) {
        world.wait_ready(branch, revision).await;
    }
    world.wait_gone("goes").await;
    world.wait_gone("goes-too").await;
    let alive = world.alive().await;
    assert_eq!(alive.len(), 1 + branches.len(), "{alive:?}");
    assert_eq!(alive["shop/stays"], stays.uid().unwrap());
}
