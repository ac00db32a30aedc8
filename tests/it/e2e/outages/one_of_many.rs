//! One environment that always fails, and the many beside it.

use std::time::Instant;

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use testbed::fault_proxy::{Fault, Rule, Selector};
use testbed::{Repository, wait};

use crate::world::{LONG, Options, World, without_main};

const MANY: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn feature_x10_one_environment_that_always_fails_delays_none_of_the_many_others() {
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
    // From now on no write in its namespace is answered well, one way or the other, and some are not answered for long.
    let proxy = world.proxy();
    let slow = Rule::on(Selector::writes().namespace(&name)).from(1).chance(7, 30);
    proxy.add(slow, Fault::Delay(std::time::Duration::from_secs(3)));
    let failed = proxy.add(Rule::on(Selector::writes().namespace(&name)), Fault::answer(500));
    let never = repository.commit("failing", &[("a", "2")]).unwrap();
    wait::until("a first failure", LONG, || async { failed.count() >= 3 }).await;

    let branches: Vec<String> = (0..MANY).map(|number| format!("fine/{number}")).collect();
    let pushes: Vec<(&str, &[(&str, &str)])> = branches.iter().map(|branch| (branch.as_str(), &[("a", "1")] as &[_])).collect();
    let begun = Instant::now();
    let revisions = repository.push_many(&pushes).unwrap();
    for (branch, revision) in branches.iter().zip(&revisions) {
        world.wait_ready(branch, revision).await;
    }
    println!(
        "{MANY} environments beside one that failed {} times: {:.1} s",
        failed.count(),
        begun.elapsed().as_secs_f64()
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
