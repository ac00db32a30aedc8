//! What is around the server goes away for a while and comes back: nothing is deleted, nothing is hammered, and everything goes on soon.
//!
//! What each way of failing of a Git host is taken for is in `tests/it/githost`; what the brake holds after a restored copy, in `gitea`.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::{Duration, Instant};

use testbed::fault_proxy::Exchange;

use crate::world::World;

mod api_server;
mod disk;
mod end;
mod figures;
mod git_hosts;
mod one_of_many;

/// Everything is done again this soon after a return, on a machine with much other work to do. The goal is ten seconds on a quiet one.
const RECOVERY: Duration = Duration::from_secs(90);

/// How long an outage lasts here: several rounds of repetition, and more than a deletion takes that is seen twice.
const OUTAGE: Duration = Duration::from_secs(8);

/// The time that passes is what is tested.
async fn last() {
    tokio::time::sleep(OUTAGE).await;
}

/// Says how long it took from a return until now, and fails if that was too long.
fn recovered(what: &str, back: Instant) {
    println!("{what}: everything goes on {:.1} s after the return", back.elapsed().as_secs_f64());
    assert!(back.elapsed() < RECOVERY, "{what}: {:?}", back.elapsed());
}

/// Requests by their verb and resource, for the message of a bound that was exceeded.
fn kinds(exchanges: &[Exchange]) -> std::collections::BTreeMap<String, usize> {
    let mut kinds = std::collections::BTreeMap::new();
    for exchange in exchanges {
        let request = &exchange.request;
        *kinds
            .entry(format!("{} {}/{}", request.verb, request.resource, request.subresource))
            .or_default() += 1;
    }
    kinds
}

/// Tells the server of a branch by a webhook, which it must take at once.
async fn told(world: &World, repository: &str, branch: &str, before: &str, after: &str) -> Duration {
    let begun = Instant::now();
    let answer = world.hint("git", repository, &format!("refs/heads/{branch}"), before, after).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    begun.elapsed()
}

/// In place of a revision, where there is none.
const NONE: &str = "0000000000000000000000000000000000000000";
