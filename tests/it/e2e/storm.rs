//! Random operations: a short storm, and the proof that one that goes wrong is noticed and shrunk. Longer ones: `cargo run -p testbed --bin storm`.
#![allow(clippy::unwrap_used, reason = "a storm that cannot be set up is the test's failure")]

use std::time::Duration;

use testbed::ControlPlane;
use testbed::storm::generate::{Weather, storm};
use testbed::storm::machine::{Machine, Outcome, Setting};
use testbed::storm::{Operation, parse, print, shrink};

fn setting() -> Setting {
    Setting {
        program: env!("CARGO_BIN_EXE_graftling").into(),
        patience: Duration::from_secs(120),
        idle: Duration::from_secs(120),
        silence: Duration::from_secs(2),
        owns_plane: false,
        tells: false,
    }
}

async fn carry_out(setting: Setting, operations: &[Operation]) -> Outcome {
    let machine = Machine::set_up(ControlPlane::shared().await, setting).await.unwrap();
    machine.run(operations, || false).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_storm_of_random_operations_everything_is_as_it_must_be() {
    let weather = Weather {
        group: (12, 18),
        away: 1500,
        ..Weather::default()
    };
    let seed = 89;
    let operations = storm(seed, 45, weather);
    let outcome = carry_out(setting(), &operations).await;
    println!("seed {seed}: {:?}", outcome.tally);
    if let Some(failure) = outcome.failure {
        panic!(
            "seed {seed}: {}\nthe operations:\n{}\nthe server's log ends with:\n{}",
            failure.complaints.join("\n"),
            print(&failure.operations),
            failure.log.join("\n")
        );
    }
    assert!(
        outcome.tally.operations == 45 && outcome.tally.without_effect < 30,
        "{:?}",
        outcome.tally
    );
    assert!(!outcome.tally.faults.is_empty(), "nothing failed, so nothing was survived");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sabotage_that_the_model_does_not_know_of_is_noticed_and_shrinks_to_what_is_needed() {
    let needed = "push feature/a new delivered\nquiet\nsabotage feature/a\nremove feature/a settings\nquiet\n";
    let operations = parse(&needed.replace("settings\n", "settings\ntag wip\n")).unwrap();
    let impatient = Setting {
        idle: Duration::from_secs(20),
        silence: Duration::from_millis(300),
        ..setting()
    };
    let mut complaints = Vec::new();
    // Five tries lead there; that nothing else can be left out, the tests of `shrink` show.
    let shrunk = shrink::operations(operations, 5, async |list: &[Operation]| {
        match carry_out(impatient.clone(), list).await.failure {
            Some(failure) => {
                complaints = failure.complaints;
                true
            }
            None => false,
        }
    })
    .await;
    assert_eq!(print(&shrunk.items), needed);
    assert!(
        complaints.contains(&"feature/a: ConfigMap settings is missing".to_owned()),
        "{complaints:?}"
    );
}
