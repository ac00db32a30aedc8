//! A sample of the crash sweep (`cargo run -p testbed --bin sweep`), with the same judge: whichever request the server dies at, and whatever
//! it is told that is no longer true, everything ends as without faults.
#![allow(clippy::unwrap_used, reason = "a sweep that cannot be run is the test's failure")]

use std::time::Duration;

use futures::future::join_all;
use testbed::ControlPlane;
use testbed::crash_sweep::{self, Bench, Cell, Scenario, Verdict, plan};
use tokio::sync::OnceCell;

/// The whole sweep waits for thirty.
const QUIET: Duration = Duration::from_secs(5);

/// Chooses the cells: always the same, so that a failure is a change's, unless `GRAFTLING_SWEEP_SEED` says otherwise.
fn seed() -> u64 {
    let given = std::env::var("GRAFTLING_SWEEP_SEED").ok();
    given.map_or(1, |text| text.parse().unwrap())
}

/// A control plane of their own: a receipt tells of every kind that it looked through, and other tests define kinds meanwhile.
async fn plane() -> &'static ControlPlane {
    static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    PLANE.get_or_init(|| async { ControlPlane::start().await.unwrap() }).await
}

/// Runs so many cells of a scenario whose faults are of these classes.
async fn sample(scenario: Scenario, classes: &[&str], count: usize) {
    let bench = Bench::prepare(plane().await, env!("CARGO_BIN_EXE_graftling").into(), QUIET, None)
        .await
        .unwrap();
    let baseline = crash_sweep::baseline(&bench, scenario).await.unwrap();
    let halfway = plan::halfway(&baseline).unwrap();
    let past = classes.iter().any(|class| class.contains("past"));
    let reads = if past {
        crash_sweep::reads(&bench, scenario, halfway).await.unwrap()
    } else {
        Vec::new()
    };
    let mut cells = plan::cells(scenario, &baseline, halfway, &reads);
    cells.retain(|cell| classes.iter().any(|class| cell.injection.class() == *class));
    let chosen = plan::sample(&cells, count, seed());
    assert_eq!(chosen.len(), count, "of {} cells", cells.len());
    let outcomes = join_all(chosen.iter().map(|cell: &Cell| crash_sweep::run(&bench, cell, &baseline))).await;
    for outcome in outcomes {
        println!(
            "GRAFTLING_SWEEP_SEED={}: {}: {:?} after {:.0} s",
            seed(),
            outcome.cell,
            outcome.verdict,
            outcome.seconds
        );
        if let Verdict::Failed { because } = outcome.verdict {
            panic!("{}:\n{}", outcome.cell, because.join("\n"));
        }
    }
}

const KILLED: [&str; 2] = ["killed before the write", "killed after the write"];

const KILLED_TWICE: [&str; 2] = [
    "killed, and again at the first write of the recovery",
    "killed, and again at the same write of the recovery",
];

#[tokio::test(flavor = "multi_thread")]
async fn f01_f02_a_creation_ends_the_same_whichever_write_the_server_dies_at() {
    sample(Scenario::Create, &KILLED, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_an_update_ends_the_same_whichever_write_the_server_dies_at() {
    sample(Scenario::Update, &KILLED, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f04_a_teardown_ends_the_same_whichever_write_the_server_dies_at_and_leaves_nothing() {
    sample(Scenario::Teardown, &KILLED, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f05_a_rollback_ends_the_same_when_the_server_dies_again_in_its_recovery() {
    sample(Scenario::Rollback, &KILLED_TWICE, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f19_f20_an_update_ends_the_same_with_an_answer_from_the_past_or_without_an_event() {
    sample(Scenario::Update, &["an answer from the past", "an event that never arrives"], 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s4_every_scenario_ends_the_same_while_one_request_in_ten_fails() {
    const FLAKY: [&str; 1] = ["one request in ten fails"];
    join_all(Scenario::ALL.map(|scenario| sample(scenario, &FLAKY, 1))).await;
}
