//! The post-receive hook: what a real push makes it send, and that it never gets in the way.

use std::fs;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use graftling::domain::event::{Delivery, Happening};
use graftling::domain::git::Provider;
use graftling::githost::payload::{delivery_id, parse};
use graftling::githost::plain::hook::{HookError, HookSettings, Sent, install, run, send};
use graftling::githost::signature::{SignatureError, verify};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::http_backend::{read_request, respond};
use super::scratch::Scratch;

/// The headers and the body of one delivery.
type Received = (HeaderMap, Vec<u8>);

/// An endpoint that keeps what it is sent. It gives its statuses in turn, the last one for ever; 0 means no answer.
struct Receiver {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
    server: JoinHandle<()>,
}

impl Receiver {
    async fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("the socket has an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = received.clone();
        let server = tokio::spawn(async move {
            let mut hanging = Vec::new();
            for number in 0.. {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let Some((head, body)) = read_request(&mut stream).await else {
                    continue;
                };
                kept.lock().unwrap_or_else(PoisonError::into_inner).push((headers(&head), body));
                match statuses[number.min(statuses.len() - 1)] {
                    0 => hanging.push(stream),
                    status => stream
                        .write_all(&respond(&format!("{status} Status"), "", b""))
                        .await
                        .expect("the hook listens"),
                }
            }
        });
        let url = format!("http://{address}/hooks/team/git");
        Self { url, received, server }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn headers(head: &str) -> HeaderMap {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines
        .map(|(name, value)| {
            let name: HeaderName = name.parse().expect("a header's name");
            (name, value.parse().expect("a header's value"))
        })
        .collect()
}

fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

/// A stand-in for the graftling program that keeps its arguments and its standard input beside itself.
fn recorder(directory: &Path) -> PathBuf {
    let program = directory.join("it's graftling");
    let script = "#!/bin/sh\nfor word in \"$@\"; do printf '%s\\n' \"$word\"; done > \"$0.arguments\"\ncat > \"$0.input\"\nexit 3\n";
    fs::write(&program, script).expect("the program can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode can be set");
    program
}

fn settings(url: &str, directory: &Path) -> HookSettings {
    let secret_file = directory.join("secret");
    fs::write(&secret_file, "s3cret\n").expect("the secret can be written");
    HookSettings {
        url: url.to_owned(),
        repository: "team/shop.git".parse().expect("the name is valid"),
        secret_file,
    }
}

fn line(full_ref: &str) -> String {
    format!("{} {} {full_ref}\n", "1".repeat(40), "2".repeat(40))
}

#[tokio::test]
async fn a_push_of_several_refs_becomes_one_signed_delivery_that_reads_back_as_hints() {
    let scratch = Scratch::new();
    let program = recorder(scratch.root());
    let receiver = Receiver::start(&[202]).await;
    let name = "team/shop.git".parse().expect("the name is valid");
    let installed = install(scratch.directory(), &receiver.url, &name, &secret("s3cret\n"), &program).expect("the hook is installed");

    let source = Scratch::new();
    source.set(
        &source.commit("one"),
        &["refs/heads/main", "refs/heads/é/x", "refs/heads/gone", "refs/tags/v1"],
    );
    let target = scratch.directory().to_str().expect("the path is text");
    source.git(&["push", "--quiet", target, "refs/heads/gone"], "");
    source.git(
        &[
            "push",
            "--quiet",
            target,
            ":refs/heads/gone",
            "refs/heads/main",
            "refs/heads/é/x",
            "v1",
        ],
        "",
    );

    let beside = |suffix: &str| fs::read(scratch.root().join(format!("it's graftling.{suffix}"))).expect("the hook ran");
    let arguments = String::from_utf8(beside("arguments")).expect("the arguments are text");
    let expected = [
        "hook",
        "send",
        "--url",
        &receiver.url,
        "--repository",
        "team/shop.git",
        "--secret-file",
    ];
    let words: Vec<_> = arguments.lines().collect();
    assert_eq!(words[..7], expected);
    assert_eq!(Path::new(words[7]), installed.secret_file);
    assert!(!arguments.contains("s3cret"));

    let settings = HookSettings {
        url: receiver.url.clone(),
        repository: name,
        secret_file: installed.secret_file,
    };
    let sent = send(&beside("input")[..], &settings).await.expect("the endpoint is well");
    assert_eq!(
        sent,
        Sent {
            branches: 3,
            left_to_sweep: 0
        }
    );
    let received = receiver.received();
    let [(headers, body)] = &received[..] else {
        panic!("{} deliveries", received.len())
    };
    assert_eq!(verify(Provider::Git, &secret("s3cret"), headers, body, Timestamp::now()), Ok(()));
    assert_eq!(
        verify(Provider::Git, &secret("other"), headers, body, Timestamp::now()),
        Err(SignatureError::Wrong)
    );
    assert_eq!(delivery_id(Provider::Git, headers).as_str().len(), 32);
    let Delivery::Hints(mut hints) = parse(Provider::Git, headers, body).expect("the format is ours") else {
        panic!("no hints")
    };
    hints.sort_by(|left, right| left.branch.cmp(&right.branch));
    let seen: Vec<_> = hints.iter().map(|hint| (hint.branch.as_str(), hint.happening)).collect();
    assert_eq!(
        seen,
        [
            ("gone", Happening::BranchDeleted),
            ("main", Happening::BranchPushed),
            ("é/x", Happening::BranchPushed)
        ]
    );
}

#[test]
fn the_hook_is_executable_and_its_secret_is_for_the_owner_only_also_when_installed_again() {
    let scratch = Scratch::new();
    let name = "shop.git".parse().expect("the name is valid");
    for text in ["first", "second"] {
        let installed = install(
            scratch.directory(),
            "http://127.0.0.1:1",
            &name,
            &secret(text),
            Path::new("/bin/graftling"),
        );
        let installed = installed.expect("the hook is installed");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&installed.hook), mode(&installed.secret_file)), (0o755, 0o600));
        assert_eq!(fs::read_to_string(&installed.secret_file).expect("it is text"), text);
        fs::set_permissions(&installed.secret_file, fs::Permissions::from_mode(0o644)).expect("its mode can be set");
    }
}

#[test]
fn a_hook_of_somebody_else_is_left_alone_and_the_line_to_add_is_told() {
    let scratch = Scratch::new();
    let foreign = scratch.directory().join("hooks/post-receive");
    fs::create_dir_all(scratch.directory().join("hooks")).expect("the directory can be made");
    fs::write(&foreign, "#!/bin/sh\nmail -s pushed team\n").expect("the hook can be written");
    let name = "shop.git".parse().expect("the name is valid");
    let error = install(
        scratch.directory(),
        "http://127.0.0.1:1",
        &name,
        &secret("s3cret"),
        Path::new("/bin/graftling"),
    );
    let error = error.expect_err("the hook is somebody else's");
    assert!(matches!(error, HookError::ReplaceHook { .. }), "{error:?}");
    assert!(
        error.to_string().contains("'/bin/graftling' hook send --url 'http://127.0.0.1:1'"),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    assert!(fs::read_to_string(&foreign).expect("it is text").contains("mail -s pushed"));
}

#[test]
fn a_repository_with_a_work_tree_gets_the_hook_and_shared_hooks_and_other_directories_do_not() {
    let scratch = Scratch::new();
    let name = "shop".parse().expect("the name is valid");
    let try_install = |path: &Path| install(path, "http://127.0.0.1:1", &name, &secret("s3cret"), Path::new("/bin/graftling"));
    let tree = scratch.root().join("tree");
    let status = Command::new("git").args(["init", "--quiet"]).arg(&tree).status();
    assert!(status.expect("git is installed").success());
    let installed = try_install(&tree).expect("the hook is installed");
    assert!(installed.hook.ends_with("tree/.git/hooks/post-receive"), "{installed:?}");

    let subdirectory = tree.join("src");
    fs::create_dir(&subdirectory).expect("the directory can be made");
    assert!(matches!(try_install(&subdirectory), Err(HookError::FindRepository { .. })));

    let shared = scratch.root().join("shared");
    scratch.git(&["config", "core.hooksPath", shared.to_str().expect("the path is text")], "");
    assert!(matches!(try_install(scratch.directory()), Err(HookError::ShareHooks { .. })));
    assert!(!shared.exists());
}

#[tokio::test]
async fn a_push_without_branches_sends_nothing_and_a_large_one_leaves_the_rest_to_the_sweep() {
    let scratch = Scratch::new();
    let receiver = Receiver::start(&[202]).await;
    let settings = settings(&receiver.url, scratch.root());
    let sent = send(line("refs/tags/v1").as_bytes(), &settings)
        .await
        .expect("there is nothing to send");
    assert_eq!((sent, receiver.received().len()), (Sent::default(), 0));
    let many: String = (0..1200).map(|number| line(&format!("refs/heads/b{number}"))).collect();
    let sent = send(many.as_bytes(), &settings).await.expect("the endpoint is well");
    assert_eq!(
        sent,
        Sent {
            branches: 1000,
            left_to_sweep: 200
        }
    );
    let (headers, body) = receiver.received().pop().expect("one delivery");
    assert!(matches!(parse(Provider::Git, &headers, &body), Ok(Delivery::Hints(hints)) if hints.len() == 1000));
}

#[tokio::test]
async fn a_server_error_is_tried_once_more_and_a_refusal_is_not() {
    let scratch = Scratch::new();
    for (statuses, expected, count) in [
        (&[503, 202][..], None, 2),
        (&[503][..], Some(503), 2),
        (&[401][..], Some(401), 1),
        (&[302][..], Some(302), 1),
    ] {
        let receiver = Receiver::start(statuses).await;
        let result = send(line("refs/heads/x").as_bytes(), &settings(&receiver.url, scratch.root())).await;
        let status = match result {
            Ok(_) => None,
            Err(HookError::AcceptHint { status }) => Some(status),
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!((status, receiver.received().len()), (expected, count), "{statuses:?}");
    }
}

#[tokio::test]
async fn whatever_goes_wrong_is_one_warning_without_the_secret_within_the_time_of_a_push() {
    let scratch = Scratch::new();
    let silent = Receiver::start(&[0]).await;
    let refusing = Receiver::start(&[401]).await;
    for (url, hint) in [
        (silent.url.as_str(), "did not answer"),
        (refusing.url.as_str(), "the hook's secret is not the GitHost's"),
        ("http://127.0.0.1:1/hooks", "did not answer"),
        ("no url", "is its URL right?"),
    ] {
        let mut warnings = Vec::new();
        let started = Instant::now();
        run(
            BufReader::new(line("refs/heads/x").as_bytes()),
            &settings(url, scratch.root()),
            &mut warnings,
        )
        .await;
        assert!(started.elapsed() < Duration::from_secs(7), "{url} took {:?}", started.elapsed());
        let text = String::from_utf8(warnings).expect("the warning is text");
        assert!(text.starts_with("graftling: warning: ") && text.contains(hint), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
    let mut settings = settings(&refusing.url, scratch.root());
    assert!(matches!(
        send(&b"one two\n"[..], &settings).await,
        Err(HookError::ReadUpdates { line: 1, .. })
    ));
    settings.secret_file = scratch.root().join("missing");
    let error = send(line("refs/heads/x").as_bytes(), &settings)
        .await
        .expect_err("there is no secret");
    assert!(matches!(error, HookError::ReadSecret { .. }), "{error:?}");
}
