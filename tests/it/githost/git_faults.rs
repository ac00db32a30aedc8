//! Failures of plain Git, none of which is ever a listing; and names that try to be more than names.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use graftling::githost::plain::PlainGit;
use graftling::githost::{Class, Error, GitHost};

use super::http_backend::{Fault, HttpBackend};
use super::scratch::Scratch;
use super::{Case, branch};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn f64_no_failure_of_a_git_server_is_an_answer() {
    let scratch = Scratch::new();
    scratch.set(&scratch.commit("one"), &["refs/heads/main", "refs/heads/x"]);
    let server = HttpBackend::start(scratch.root()).await;
    let host = PlainGit::connect(&server.url(), None).expect("the URL is valid");
    let name = "shop.git".parse().expect("the name is valid");
    for (fault, expected) in [
        (Fault::Status(401), Class::NeedsAttention),
        (Fault::Status(403), Class::NeedsAttention),
        (Fault::Status(404), Class::NeedsAttention),
        (Fault::Status(418), Class::Transient),
        (Fault::Status(429), Class::RateLimited(None)),
        (Fault::Status(500), Class::Transient),
        (Fault::Status(503), Class::Transient),
        (Fault::Html, Class::Transient),
        (Fault::Truncated(4), Class::Transient),
        (Fault::Truncated(10), Class::Transient),
        (Fault::Truncated(70), Class::Transient),
    ] {
        server.set_fault(Some(fault));
        for error in [
            host.listing(&name).await.map(drop).expect_err("the server fails"),
            host.lookup(&name, &branch("gone")).await.map(drop).expect_err("the server fails"),
        ] {
            assert_eq!(error.class(), expected, "{fault:?}: {error:?}");
            assert!(
                matches!(error, Error::Unreachable { .. }) || fault != Fault::Truncated(4),
                "{error:?}"
            );
        }
    }
    server.set_fault(None);
    assert_eq!(host.listing(&name).await.expect("the server is well again").branches.len(), 2);
    drop(server);
    let error = host.listing(&name).await.expect_err("nobody listens");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn f64_a_git_server_that_never_answers_is_given_up_in_time() {
    let scratch = Scratch::new();
    let server = HttpBackend::start(scratch.root()).await;
    server.set_fault(Some(Fault::Hang));
    let host = PlainGit::connect(&server.url(), None)
        .expect("the URL is valid")
        .with_timeout(SHORT);
    let error = host
        .listing(&"shop.git".parse().expect("the name is valid"))
        .await
        .expect_err("nothing comes");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

/// Git blocks while it opens a FIFO that nobody writes to, as it would on a dead network file system.
#[tokio::test]
async fn f64_a_directory_that_never_answers_is_given_up_in_time_and_leaves_no_process() {
    let scratch = Scratch::new();
    let head = scratch.directory().join("HEAD");
    std::fs::remove_file(&head).expect("the file can be removed");
    assert!(Command::new("mkfifo").arg(&head).status().expect("mkfifo is installed").success());
    let root = scratch.root().to_str().expect("the path is text");
    let host = PlainGit::connect(root, None).expect("the path is valid").with_timeout(SHORT);
    let error = host
        .listing(&"shop.git".parse().expect("the name is valid"))
        .await
        .expect_err("nothing comes");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_running_on(scratch.directory()) {
        assert!(Instant::now() < deadline, "git upload-pack is still running");
        tokio::task::yield_now().await;
    }
}

/// Whether a process has `path` among its arguments (Linux).
fn is_running_on(path: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").expect("there is a /proc");
    let place = path.as_os_str().as_encoded_bytes();
    processes.flatten().any(|process| {
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|argument| argument == place)
    })
}

#[tokio::test]
async fn f64_a_detached_head_proves_nothing_about_branches() {
    let case = Case::directory();
    let commit = case.scratch.commit("one");
    case.scratch.set(&commit, &["refs/heads/main"]);
    case.scratch.git(&["update-ref", "--no-deref", "HEAD", &commit], "");
    let error = case.host.listing(&case.name).await.expect_err("HEAD names no branch");
    assert!(error.to_string().contains("HEAD detached"), "{error}");
}

#[tokio::test]
async fn f64_a_directory_that_is_no_repository_is_an_error() {
    let case = Case::directory();
    std::fs::create_dir(case.scratch.root().join("other")).expect("the directory can be made");
    for name in ["other", "missing", "shop.git/objects"] {
        let error = case.host.listing(&name.parse().expect("the name is valid")).await.expect_err(name);
        assert!(matches!(error, Error::RepositoryNotFound { .. }), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn a_repository_of_sha_256_lists_its_branches() {
    let scratch = Scratch::new();
    std::fs::remove_dir_all(scratch.directory()).expect("the directory can be removed");
    let status = Command::new("git")
        .args(["init", "--quiet", "--bare", "--initial-branch=main", "--object-format=sha256"])
        .arg(scratch.directory())
        .status();
    assert!(status.expect("git is installed").success());
    let commit = scratch.commit("one");
    assert_eq!(commit.len(), 64);
    scratch.set(&commit, &["refs/heads/main"]);
    let server = HttpBackend::start(scratch.root()).await;
    let root = scratch.root().to_str().expect("the path is text");
    for url in [root, &server.url()] {
        let host = PlainGit::connect(url, None).expect("the URL is valid");
        let lookup = host
            .lookup(&"shop.git".parse().expect("the name is valid"), &branch("main"))
            .await
            .expect(url);
        assert_eq!(lookup.head, Some(commit.parse().expect("a commit")));
    }
}

/// Names that a shell, an option parser or a path resolver would make something else of.
#[tokio::test]
async fn threat_t32_a_repositorys_name_is_never_a_command_an_option_or_a_way_out() {
    let case = Case::directory();
    let touched = case.scratch.root().join("touched");
    let shown = touched.display();
    let secret = case
        .scratch
        .root()
        .parent()
        .expect("the directory has a parent")
        .join("elsewhere.git");
    for name in [
        format!("a/--upload-pack=touch${{IFS}}{shown}"),
        format!("$(touch${{IFS}}{shown})"),
        format!("x;touch${{IFS}}{shown}"),
        format!("ext::touch%20{shown}"),
        secret.display().to_string(),
        "a/-c".to_owned(),
        "%2e%2e/%2e%2e/etc".to_owned(),
        "~root/x".to_owned(),
    ] {
        let name = name.parse().expect("the name is valid");
        let error = case.host.listing(&name).await.expect_err("there is no such repository");
        assert!(matches!(error, Error::RepositoryNotFound { .. }), "{name}: {error:?}");
        assert!(!touched.exists(), "{name} ran a command");
    }
}

/// A repository whose own configuration names programs to run: listing its refs runs none of them.
#[tokio::test]
async fn threat_t32_the_configuration_and_hooks_of_a_hostile_repository_are_not_run() {
    let case = Case::directory();
    case.scratch.set(&case.scratch.commit("one"), &["refs/heads/main"]);
    let touched = case.scratch.root().join("touched");
    let command = format!("touch {}", touched.display());
    for key in [
        "uploadpack.packObjectsHook",
        "core.fsmonitor",
        "core.sshCommand",
        "core.alternateRefsCommand",
        "core.pager",
    ] {
        case.scratch.git(&["config", key, &command], "");
    }
    for hook in ["pre-upload", "post-upload-pack", "post-checkout", "reference-transaction"] {
        write_hook(&case.scratch.directory().join("hooks").join(hook), &command);
    }
    assert_eq!(case.host.listing(&case.name).await.expect("it is a repository").branches.len(), 1);
    assert!(!touched.exists());
}

fn write_hook(path: &Path, command: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{command}\n")).expect("the hook can be written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its mode can be set");
}
