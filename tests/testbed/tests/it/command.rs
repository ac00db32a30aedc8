//! Programs under test are watched and ended as asked.

use std::time::Duration;

use testbed::command::Error;
use testbed::{Invocation, Running};

const LIMIT: Duration = Duration::from_secs(20);

/// Prints its pid and each signal it may ignore, until it is killed.
const STUBBORN: &str = "trap 'echo ignored' TERM; echo \"pid $$\"; while :; do sleep 0.05; done";

fn shell(script: &str) -> Running {
    Invocation::new("sh").arguments(["-c", script]).start().unwrap()
}

#[tokio::test]
async fn lines_of_both_streams_arrive_and_the_pid_is_that_of_the_program() {
    let running = shell("echo out; echo err >&2; echo \"port 1234 pid $$ of $NOTHING\"; exec sleep 60");
    let line = running.wait_for_line("port", LIMIT, |line| line.starts_with("port")).await.unwrap();
    assert_eq!(line, format!("port 1234 pid {} of ", running.pid()));
    assert_eq!(running.lines()[..2], ["out", "err"]);
    assert!(std::fs::read_to_string(running.log_file()).unwrap().starts_with("out\nerr\n"));
}

#[tokio::test]
async fn an_early_end_is_noticed_at_once_and_told_with_the_output() {
    let running = shell("echo 'no such flag'; exit 3");
    let error = running
        .wait_for_line("the port", LIMIT, |line| line.starts_with("port"))
        .await
        .expect_err("it ended");
    assert!(
        matches!(&error, Error::Ended { status, .. } if status.code() == Some(3)),
        "{error:?}"
    );
    assert!(error.to_string().contains("no such flag"), "{error}");
}

#[tokio::test]
async fn a_polite_program_ends_by_sigterm() {
    let running = shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    running.wait_for_line("ready", LIMIT, |line| line == "ready").await.unwrap();
    assert_eq!(running.terminate(LIMIT).await.unwrap().code(), Some(0));
    running.wait_for_line("bye", LIMIT, |line| line == "bye").await.unwrap();
}

#[tokio::test]
async fn a_stubborn_program_outlives_sigterm_but_not_sigkill() {
    let running = shell(STUBBORN);
    running.wait_for_line("pid", LIMIT, |line| line.starts_with("pid")).await.unwrap();
    let error = running.terminate(Duration::from_millis(200)).await.expect_err("it ignores SIGTERM");
    assert!(matches!(error, Error::TimedOut { .. }));
    running
        .wait_for_line("word about the signal", LIMIT, |line| line == "ignored")
        .await
        .unwrap();
    assert_eq!(running.kill_hard().await.unwrap().code(), Some(128 + 9));
}

#[tokio::test]
async fn a_dropped_program_is_gone_even_if_it_is_stubborn() {
    let running = shell(STUBBORN);
    running.wait_for_line("pid", LIMIT, |line| line.starts_with("pid")).await.unwrap();
    let pid = running.pid().to_string();
    drop(running);
    let alive = std::process::Command::new("sh")
        .args(["-c", "kill -0 \"$1\"", "sh", &pid])
        .output()
        .unwrap();
    assert!(!alive.status.success());
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let running = Invocation::new("/no/such/program").start().unwrap();
    let error = running
        .wait_for_line("anything", LIMIT, |line| line == "never")
        .await
        .expect_err("nothing runs");
    assert!(error.to_string().contains("/no/such/program"), "{error}");
}
