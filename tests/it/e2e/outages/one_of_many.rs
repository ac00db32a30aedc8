//! One environment that always fails, and the many beside it.

use std::time::{Duration, Instant};

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use testbed::fault_proxy::{Fault, Gate, Rule, Selector};
use testbed::{Repository, wait};

use crate::world::{LONG, Options, World, without_main};

/// So many are made before anything fails, to see how long that takes.
const BEFORE: usize = 75;
/// So many are made while one request of the one that fails hangs: what takes a second, within the 20 s that a request hangs at most.
const MEANWHILE: usize = 2;
/// So many are made beside the one that fails,
const MADE: usize = 85;
/// and so many are torn down: few enough at once that the brake lets them go.
const TORN_DOWN: usize = 15;

async fn push_all(world: &World, repository: &Repository, branches: &[String]) -> Duration {
    let pushes: Vec<(&str, &[(&str, &str)])> = branches.iter().map(|branch| (branch.as_str(), &[("a", "1")] as &[_])).collect();
    let begun = Instant::now();
    let revisions = repository.push_many(&pushes).unwrap();
    for (branch, revision) in branches.iter().zip(&revisions) {
        world.wait_ready(branch, revision).await;
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x10_one_environment_that_always_fails_delays_none_of_a_hundred_others() {
    // Few places, so that one that kept its place would be felt.
    let options = Options {
        arguments: vec!["--concurrency=2".to_owned()],
        ..Options::default()
    };
    let world = World::behind_proxy("failing", options).await;
    let repository = Repository::create().unwrap();
    world.project("shop", &repository, without_main(json!({}))).await;
    let fine = repository.commit("failing", &[("a", "1")]).unwrap();
    let failing = world.wait_ready("failing", &fine).await;
    let name = failing.name_any();
    let before: Vec<String> = (0..BEFORE).map(|number| format!("before/{number}")).collect();
    let normal = push_all(&world, &repository, &before).await;

    // From now on no write in its namespace is answered well, one way or the other: the first not at all, and some not for long.
    let proxy = world.proxy();
    let gate = Gate::new();
    proxy.add(
        Rule::on(Selector::writes().namespace(&name)).times(1),
        Fault::HoldBefore(gate.clone()),
    );
    let slow = Rule::on(Selector::writes().namespace(&name)).from(1).chance(7, 30);
    proxy.add(slow, Fault::Delay(Duration::from_secs(3)));
    let failed = proxy.add(Rule::on(Selector::writes().namespace(&name)), Fault::answer(500));
    let never = repository.commit("failing", &[("a", "2")]).unwrap();
    gate.reached().await;
    let meanwhile: Vec<String> = (0..MEANWHILE).map(|number| format!("meanwhile/{number}")).collect();
    push_all(&world, &repository, &meanwhile).await;
    assert_eq!(gate.standing(), 1, "others were made only when the one had given up");
    gate.release();
    wait::until("a first failure", LONG, || async { failed.count() >= 3 }).await;

    let leaving: Vec<&str> = before.iter().take(TORN_DOWN).map(String::as_str).collect();
    let begun = Instant::now();
    repository.delete_branches(&leaving).unwrap();
    let made: Vec<String> = (0..MADE).map(|number| format!("beside/{number}")).collect();
    let beside = push_all(&world, &repository, &made).await;
    for branch in leaving {
        world.wait_gone(branch).await;
    }
    println!(
        "{MADE} environments: {:.1} s before, {:.1} s beside one that failed {} times and {TORN_DOWN} that were torn down",
        normal.as_secs_f64(),
        beside.as_secs_f64(),
        failed.count(),
    );
    // It has gone on failing, says so, and was neither given up nor removed.
    let status = world.environment("failing").await.unwrap();
    assert_eq!(status.uid(), failing.uid());
    assert_ne!(status.status.unwrap().phase, Some(Phase::Ready));
    // A place for two: a tight loop of failures would have thousands.
    let rate = failed.count() as f64 / begun.elapsed().as_secs_f64();
    assert!(rate < 20.0, "{rate:.1} failed writes a second");
    proxy.clear();
    world.wait_ready("failing", &never).await;
}
