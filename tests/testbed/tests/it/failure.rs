//! A control plane that cannot start says why, and leaves nothing behind. The programs here only pretend.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use testbed::{Invocation, Running};

const LIMIT: Duration = Duration::from_secs(30);

/// Programs that tell a version; asked for anything else they run `script`.
fn assets(folder: &Path, script: &str) {
    let servers = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    for (name, version) in servers
        .map(|name| (name, "1.36.3"))
        .into_iter()
        .chain([("etcd", "3.6.8"), ("kwok", "0.8.0")])
    {
        let path = folder.join(name);
        let content = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && echo {version} && exit\ncd {}\n{script}\n",
            folder.display()
        );
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(folder.join("kwok-stages.yaml"), "").unwrap();
}

async fn start_with(folder: &Path) -> Running {
    let start = Invocation::new(env!("CARGO_BIN_EXE_control-plane"))
        .environment("KUBEBUILDER_ASSETS", folder)
        .environment("TMPDIR", folder)
        .start()
        .unwrap();
    let status = start.wait(LIMIT).await.unwrap();
    assert_eq!(status.code(), Some(1));
    start
        .wait_for_line("the error", LIMIT, |line| line.starts_with("error: "))
        .await
        .unwrap();
    start
}

#[tokio::test]
async fn the_error_names_the_program_and_ends_with_its_log() {
    let folder = tempfile::tempdir().unwrap();
    assets(folder.path(), "echo 'disk on fire' >&2; exit 3");
    let start = start_with(folder.path()).await;
    let printed = start.lines().join("\n");
    assert!(
        printed.contains("etcd ended (exit status: 3)") && printed.contains("disk on fire"),
        "{printed}"
    );
    let left = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().is_dir())
        .count();
    assert_eq!(left, 0, "its temporary folder is gone");
}

#[tokio::test]
async fn a_port_taken_meanwhile_is_replaced_by_another_a_bounded_number_of_times() {
    let folder = tempfile::tempdir().unwrap();
    assets(
        folder.path(),
        "echo \"$3\" >>attempts; echo 'bind: address already in use' >&2; exit 1",
    );
    let start = start_with(folder.path()).await;
    let attempts = fs::read_to_string(folder.path().join("attempts")).unwrap();
    let mut attempts: Vec<&str> = attempts.lines().collect();
    assert_eq!(attempts.len(), 5, "{:?}", start.lines());
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.starts_with("--listen-client-urls=http://127.0.0.1:"))
    );
    attempts.sort_unstable();
    attempts.dedup();
    // The kernel may offer the same free port again by chance, as nobody really took it here; not five times.
    assert!(attempts.len() > 1, "{attempts:?}");
}
