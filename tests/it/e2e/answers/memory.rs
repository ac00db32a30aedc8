//! What watches cost that have to begin anew again and again.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;

use graftling::api::environment::Phase;
use testbed::contest::processes::parse_memory;
use testbed::fault_proxy::{Fault, Rule, Selector};
use testbed::wait;

use crate::e2e::scene::Scene;
use crate::world::{LONG, Options, World};

const ENVIRONMENTS: usize = 12;

/// How much each environment holds, as text.
const CONTENT: usize = 400 * 1024;

/// Each listing is several megabytes, so that keeping a few of them would be seen.
const LISTINGS: u64 = 15;

/// The most memory that the server has had since it was told to count anew, and what it has now, in KiB.
fn memory(world: &World, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", world.server().running.pid())).unwrap();
    parse_memory(&status, field).unwrap()
}

/// From now on the most memory is counted anew.
fn count_anew(world: &World) {
    fs::write(format!("/proc/{}/clear_refs", world.server().running.pid()), "5").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_watch_that_is_gone_again_and_again_takes_no_more_than_twice_the_memory() {
    let content = "x".repeat(CONTENT);
    let template = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{content: {content}}}\n");
    let scene = Scene::through_proxy("gone-often", &template, Options::default()).await;
    let proxy = scene.world.proxy();
    let branches: Vec<String> = (0..ENVIRONMENTS).map(|number| format!("feature/{number}")).collect();
    let pushes: Vec<(&str, &[(&str, &str)])> = branches.iter().map(|branch| (branch.as_str(), &[] as &[_])).collect();
    let revisions = scene.repository.push_many(&pushes).unwrap();
    for (branch, revision) in branches.iter().zip(&revisions) {
        scene.world.wait_for(branch, Phase::Ready, revision).await;
    }
    let watches = || Selector::any().verb("watch").except(&["leases"]);
    let expired = |resource: &str| {
        let rule = Rule::on(watches().resource(resource));
        proxy.add(rule, Fault::expired())
    };
    let (first, _) = (expired("configmaps"), expired("environments"));
    proxy.end_watches(&watches());
    // What a first listing anew takes is kept by the allocator, and says nothing.
    wait::until("two listings anew", LONG, || async { first.count() >= 2 }).await;
    let before = memory(&scene.world, "VmRSS");
    count_anew(&scene.world);
    wait::until("many listings anew", LONG, || async { first.count() >= 2 + LISTINGS }).await;
    let peak = memory(&scene.world, "VmHWM");
    println!(
        "{} listings of {} KiB: {before} KiB before, {peak} KiB at most",
        first.count(),
        ENVIRONMENTS * CONTENT / 1024
    );
    assert!(peak <= 2 * before, "{before} KiB before, {peak} KiB at most");
    assert!(scene.world.server().running.exited().is_none());
}
