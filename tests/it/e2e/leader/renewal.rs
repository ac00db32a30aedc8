//! A Lease that cannot be renewed.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Duration;

use serde_json::json;
use testbed::fault_proxy::{Exchange, Fault, Rule, Selector};
use testbed::wait;

use super::Stage;
use crate::world::LONG;

/// A successor may take the Lease so long after its last renewal.
const LEASE: Duration = Duration::from_secs(15);

fn renews(exchange: &Exchange) -> bool {
    exchange.request.resource == "leases" && exchange.request.is_write() && exchange.upstream == Some(200)
}

async fn nothing_is_written_after_the_deadline(status: u16) {
    let stage = Stage::set(&format!("renewal-{status}")).await;
    let only = stage.leader("only", None).await;
    stage.project(json!({})).await;
    let first = stage.push("a", "1");
    stage.world.wait_ready("a", &first).await;
    only.proxy
        .add(Rule::on(Selector::writes().resource("leases")), Fault::answer(status));

    // There is something to write all the time.
    let mut number = 1;
    let code = wait::until(format!("the end of a leader whose renewals are answered {status}"), LONG, || {
        number += 1;
        stage.push("a", &number.to_string());
        let exited = only.server.running.exited();
        async move { exited }
    })
    .await;
    assert!(!code.success(), "{code}");
    let said = only.server.running.lines().iter().any(|line| line.contains("the lead was lost"));
    assert!(said, "it says why");
    let exchanges = only.proxy.exchanges();
    let renewed = exchanges.iter().rfind(|exchange| renews(exchange)).unwrap().started;
    let writes: Vec<_> = only.writes_since(0);
    let late = writes.iter().filter(|write| write.started.duration_since(renewed) >= LEASE);
    assert_eq!(late.count(), 0, "no write after the deadline");
    let meanwhile = writes.iter().filter(|write| write.started > renewed).count();
    assert!(meanwhile > 0, "until then it went on");
}

#[tokio::test(flavor = "multi_thread")]
async fn f09_a_leader_whose_renewals_fail_ends_and_writes_nothing_after_the_deadline() {
    futures::join!(
        nothing_is_written_after_the_deadline(500),
        nothing_is_written_after_the_deadline(409)
    );
}
