//! Another program inside limits: what it cannot do, and what is said when it tries.
#![allow(clippy::unwrap_used, reason = "a program that cannot run is the test's failure")]

use std::time::Duration;

use graftling::render::sandbox::{Error, Limits, Output, Program, Sandbox};

fn shell(script: &str) -> Program {
    Program {
        path: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        working_directory: "/".into(),
        environment: vec![("GREETING".into(), "hello".into())],
        stdin: b"from outside".to_vec(),
    }
}

/// Bash opens sockets by itself, and many a shell does not.
fn bash(script: &str) -> Program {
    Program {
        path: "/bin/bash".into(),
        ..shell(script)
    }
}

async fn run(program: Program, limits: Limits) -> Result<Output, Error> {
    Sandbox::new(env!("CARGO_BIN_EXE_graftling").into()).run(program, limits).await
}

async fn output(script: &str) -> Output {
    run(shell(script), Limits::default()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn a_program_reads_its_input_its_files_and_its_environment_and_says_its_code() {
    let output = output("read -r line; read -r name rest < /proc/self/stat; echo \"$line $GREETING\"; echo trouble >&2; exit 3").await;
    assert_eq!(
        (output.code, text(&output.stdout), text(&output.stderr)),
        (3, "from outside hello\n".into(), "trouble\n".into())
    );
}

#[tokio::test]
async fn threat_t29_a_program_inherits_nothing() {
    let output = output("set; echo; for file in /proc/$$/fd/*; do [ -e \"$file\" ] && echo \"${file##*/}\"; done; while read -r line; do echo \"$line\"; done < /proc/self/status").await;
    let text = text(&output.stdout);
    let descriptors: Vec<&str> = text.lines().filter(|line| line.parse::<u8>().is_ok()).collect();
    assert_eq!(descriptors, ["0", "1", "2"]);
    assert!(!text.contains("CARGO") && !text.contains("HOME="), "{text}");
    let tight = |line: &str| line.split_whitespace().eq(["NoNewPrivs:", "1"]) || line.split_whitespace().eq(["Seccomp:", "2"]);
    assert_eq!(text.lines().filter(|line| tight(line)).count(), 2, "{text}");
}

#[tokio::test]
async fn threat_t28_a_busy_program_ends_by_its_processor_time() {
    let limits = Limits {
        cpu: Duration::from_secs(1),
        ..Limits::default()
    };
    let error = run(shell("while :; do :; done"), limits).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "/bin/sh was ended: it used more than 1 seconds of processor time"
    );
}

#[tokio::test]
async fn threat_t28_an_idle_program_ends_by_the_clock_with_everything_that_it_has_started() {
    let limits = Limits {
        wall: Duration::from_secs(1),
        may_fork: true,
        ..Limits::default()
    };
    let error = run(shell("sleep 1000 & sleep 1000"), limits).await.unwrap_err();
    assert_eq!(error.to_string(), "/bin/sh was ended: it used more than 1 seconds");
}

#[tokio::test]
async fn threat_t28_memory_is_limited() {
    let limits = Limits {
        memory: 64 << 20,
        ..Limits::default()
    };
    let ended = run(shell("x=0123456789abcdef; while :; do x=$x$x; done"), limits).await;
    match ended {
        Ok(output) => assert_ne!(output.code, 0),
        Err(error) => assert!(matches!(error, Error::End { .. }), "{error}"),
    }
}

#[tokio::test]
async fn threat_t28_output_and_files_are_limited() {
    let limits = Limits {
        output: 1000,
        file_size: 1000,
        ..Limits::default()
    };
    let error = run(shell("while :; do echo more; done"), limits).await.unwrap_err();
    assert_eq!(error.to_string(), "/bin/sh was ended: it used more than 1000 bytes of output");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    let script = format!("while :; do echo more; done > {}", file.display());
    let error = run(shell(&script), limits).await.unwrap_err();
    assert_eq!(error.to_string(), "/bin/sh was ended: it used more than 1000 bytes for a file");
    assert_eq!(std::fs::metadata(file).unwrap().len(), 1000);
}

#[tokio::test]
async fn threat_t28_a_fork_bomb_is_no_process() {
    let output = output("bomb() { bomb | bomb & }; bomb; echo survived").await;
    assert!(!text(&output.stderr).is_empty());
    assert_ne!(output.code, 0);
}

#[tokio::test]
async fn threat_t29_there_is_no_network() {
    for target in ["/dev/tcp/127.0.0.1/1", "/dev/tcp/::1/1", "/dev/udp/127.0.0.1/53"] {
        let output = run(bash(&format!("echo x > {target}")), Limits::default()).await.unwrap();
        let said = text(&output.stderr);
        assert!(said.contains("Operation not permitted"), "{target}: {said}");
        assert_ne!(output.code, 0);
    }
}

#[tokio::test]
async fn threat_t29_no_other_process_is_signalled() {
    let output = output(&format!("kill -0 {}", std::process::id())).await;
    assert!(text(&output.stderr).contains("not permitted"), "{output:?}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told() {
    let program = Program {
        path: "/nowhere/helm".into(),
        ..shell("")
    };
    let error = run(program, Limits::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start /nowhere/helm in the sandbox");
    assert!(matches!(error, Error::Start { source, .. } if source.to_string().contains("No such file")));
}
