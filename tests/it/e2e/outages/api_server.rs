//! The API server asks for patience, or does not answer at all.

use std::time::{Duration, Instant};

use kube::ResourceExt;
use serde_json::json;
use testbed::Repository;
use testbed::fault_proxy::{Fault, Rule, Selector};

use super::{NONE, OUTAGE, kinds, last, recovered, told};
use crate::world::{LONG, Options, World, repository_name, without_main};

/// Requests that are under way at once.
const IN_FLIGHT: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn f14_an_api_server_that_answers_slowly_is_not_asked_for_more_and_more() {
    let world = World::behind_proxy("slow", Options::default()).await;
    let repository = Repository::create().unwrap();
    for number in 0..12 {
        world.git_host(&format!("git-{number}"), &repository).await;
    }
    world
        .wait_for_host("git-11", "with an endpoint", |status| status.webhook_path.is_some())
        .await;
    world.proxy().reset_peak();
    world.proxy().add(Rule::on(Selector::any()), Fault::Delay(2 * OUTAGE));
    last().await;
    let peak = world.proxy().peak_in_flight();
    println!("slow: {peak} requests in flight at most");
    assert!(peak <= IN_FLIGHT, "{peak}");
}

/// So many requests a second there are at most while every one is refused: a dozen watches, and a few environments with work to do.
const REQUESTS_A_SECOND: f64 = 20.0;

#[tokio::test(flavor = "multi_thread")]
async fn f13_f14_while_the_api_server_throttles_everything_nothing_is_hammered_or_deleted_and_all_goes_on_after_it() {
    let world = World::behind_proxy("throttled", Options::default()).await;
    let repository = Repository::create().unwrap();
    world.project("shop", &repository, without_main(json!({}))).await;
    let pushed = repository
        .push_many(&[("stays", &[("a", "1")]), ("goes-0", &[("a", "1")]), ("goes-1", &[("a", "1")])])
        .unwrap();
    let stays = world.wait_ready("stays", &pushed[0]).await;
    world.wait_ready("goes-0", &pushed[1]).await;
    world.wait_ready("goes-1", &pushed[2]).await;

    for (round, retry_after) in [None, Some(1)].into_iter().enumerate() {
        let alive = world.alive().await;
        let before = world.proxy().count();
        let refused = world.proxy().add(Rule::on(Selector::any()), Fault::too_many(retry_after));
        let moved = repository.commit("stays", &[("a", &format!("round {round}"))]).unwrap();
        let (new, goes) = (format!("new-{round}"), format!("goes-{round}"));
        let created = repository.commit(&new, &[("a", "1")]).unwrap();
        repository.delete_branches(&[&goes]).unwrap();
        last().await;
        assert_eq!(world.alive().await, alive);
        assert!(refused.count() >= 3, "somebody must have asked");
        let during = world.proxy().exchanges_since(before);
        let rate = during.len() as f64 / OUTAGE.as_secs_f64();
        println!("throttled, Retry-After {retry_after:?}: {rate:.1} requests a second");
        assert!(rate <= REQUESTS_A_SECOND, "{rate:.1} a second: {:#?}", kinds(&during));

        world.proxy().clear();
        let back = Instant::now();
        assert_eq!(world.wait_ready("stays", &moved).await.uid(), stays.uid());
        world.wait_ready(&new, &created).await;
        world.wait_gone(&goes).await;
        recovered("throttled", back);
    }
    assert!(world.server().running.exited().is_none(), "the server must have lived through it");
}

#[tokio::test(flavor = "multi_thread")]
async fn f72_a_webhook_while_the_api_server_is_away_is_answered_at_once_and_what_it_told_is_done_at_the_return() {
    // No sweep ever proves that a branch is gone: what was announced must not be forgotten.
    let options = Options {
        sweep_interval: "3s",
        absence_confirmation: "1h",
        ..Options::default()
    };
    let world = World::behind_proxy("hooks", options).await;
    let repository = Repository::create().unwrap();
    let name = repository_name(&repository);
    world.project("shop", &repository, without_main(json!({}))).await;
    let pushed = repository.push_many(&[("stays", &[("a", "1")]), ("goes", &[("a", "1")])]).unwrap();
    let stays = world.wait_ready("stays", &pushed[0]).await;
    world.wait_ready("goes", &pushed[1]).await;

    world.proxy().add(Rule::on(Selector::any()), Fault::DropBefore);
    // The Secret with the webhook's secret is read now and then; that it cannot be read closes no endpoint.
    let unread = |line: &str| line.contains("could not write the status of a GitHost");
    world
        .server()
        .running
        .wait_for_line("a failed look at the GitHost", LONG, unread)
        .await
        .unwrap();
    let moved = repository.commit("stays", &[("a", "2")]).unwrap();
    let new = repository.commit("new", &[("a", "1")]).unwrap();
    repository.delete_branches(&["goes"]).unwrap();
    let answered = [
        told(&world, &name, "stays", &pushed[0], &moved).await,
        told(&world, &name, "new", NONE, &new).await,
        told(&world, &name, "goes", &pushed[1], NONE).await,
    ];
    println!("answered within {answered:?}");
    assert!(answered.iter().all(|time| *time < Duration::from_secs(10)), "{answered:?}");
    for failure in ["could not write the Environment", "could not retire the Environment"] {
        let failed = |line: &str| line.contains(failure);
        world.server().running.wait_for_line(failure, LONG, failed).await.unwrap();
    }
    let before = world.proxy().count();
    last().await;
    let during = world.proxy().exchanges_since(before);
    let rate = during.len() as f64 / OUTAGE.as_secs_f64();
    println!("away: {rate:.1} requests a second");
    assert!(rate <= REQUESTS_A_SECOND, "{rate:.1} a second: {:#?}", kinds(&during));

    world.proxy().clear();
    let back = Instant::now();
    assert_eq!(world.wait_ready("stays", &moved).await.uid(), stays.uid());
    world.wait_ready("new", &new).await;
    world.wait_gone("goes").await;
    recovered("webhooks while the API server was away", back);
}
