//! `graftling hook` with a real repository and a real push.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use warp::http::Method;

use super::cluster::{Cluster, closed_address};
use super::{Run, command, finish};

/// A bare repository `shop.git`, a clone with one commit, and a file with the webhook's secret.
struct Repositories {
    root: TempDir,
}

impl Repositories {
    fn new() -> Self {
        let repositories = Self {
            root: TempDir::new().unwrap(),
        };
        fs::write(repositories.secret_file(), "s3cret-of-the-webhook\n").unwrap();
        repositories.git(&["init", "--quiet", "--bare", "--initial-branch=main", "shop.git"]);
        repositories.git(&["clone", "--quiet", "shop.git", "clone"]);
        repositories.git(&["-C", "clone", "commit", "--quiet", "--allow-empty", "--message=one"]);
        repositories
    }

    fn bare(&self) -> PathBuf {
        self.root.path().join("shop.git")
    }

    fn secret_file(&self) -> PathBuf {
        self.root.path().join("secret")
    }

    fn git(&self, arguments: &[&str]) -> Output {
        let identity = ["AUTHOR", "COMMITTER"].map(|role| [format!("GIT_{role}_NAME"), format!("GIT_{role}_EMAIL")]);
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.root.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs(identity.as_flattened().iter().map(|variable| (variable, "mia@example.com")))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    fn install(&self, url: &str, more: &[&str]) -> Run {
        finish(
            command(&["hook", "install"])
                .arg(self.bare())
                .args(["--url", url, "--secret-file"])
                .arg(self.secret_file())
                .args(more)
                // Git itself is asked where the hooks are.
                .env("PATH", std::env::var_os("PATH").unwrap()),
        )
    }

    fn push(&self, branch: &str) -> Output {
        self.git(&["-C", "clone", "push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")])
    }
}

fn send(url: &str, repository: &str, secret_file: &Path) -> Run {
    let arguments = ["hook", "send", "--url", url, "--repository", repository, "--secret-file"];
    let (input, mut lines) = std::io::pipe().unwrap();
    let (before, after) = ("1".repeat(40), "2".repeat(40));
    std::io::Write::write_all(&mut lines, format!("{before} {after} refs/heads/main\n").as_bytes()).unwrap();
    drop(lines);
    finish(command(&arguments).arg(secret_file).stdin(input))
}

#[test]
fn a_push_to_a_repository_with_the_hook_reaches_the_endpoint() {
    let repositories = Repositories::new();
    let server = Cluster::answering(|_| (202, String::new()));
    let installed = repositories.install(&format!("{}/hooks/team/git", server.url()), &[]);
    assert_eq!((installed.code, installed.errors.as_str()), (Some(0), ""));
    assert!(
        installed.output.starts_with("installed ") && installed.output.ends_with("for repository shop.git\n"),
        "{}",
        installed.output
    );

    repositories.push("feature/a");
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].method, Method::POST);
    assert!(requests[0].target.starts_with("/hooks/team/git"), "{requests:?}");
    assert!(
        requests[0].body.contains("shop.git") && requests[0].body.contains("refs/heads/feature/a"),
        "{requests:?}"
    );
}

#[test]
fn the_repository_can_be_named_as_the_project_names_it() {
    let repositories = Repositories::new();
    let server = Cluster::answering(|_| (202, String::new()));
    let installed = repositories.install(&server.url(), &["--repository", "team/shop.git"]);
    assert!(installed.output.ends_with("for repository team/shop.git\n"), "{installed:?}");
    repositories.push("main");
    assert!(server.requests()[0].body.contains("team/shop.git"));
}

#[test]
fn a_push_succeeds_with_a_warning_while_the_endpoint_is_away() {
    let repositories = Repositories::new();
    assert_eq!(repositories.install(&format!("http://{}", closed_address()), &[]).code, Some(0));
    let pushed = repositories.push("main");
    let told = String::from_utf8(pushed.stderr).unwrap();
    assert!(told.contains("graftling: warning: "), "{told}");
}

#[test]
fn sending_ends_with_code_0_whatever_goes_wrong() {
    let repositories = Repositories::new();
    let refusing = Cluster::answering(|_| (401, String::new()));
    let secret_file = repositories.secret_file();
    for (url, repository, file) in [
        (refusing.url(), "shop.git", secret_file.clone()),
        (format!("http://{}", closed_address()), "shop.git", secret_file.clone()),
        ("no url".to_owned(), "shop.git", secret_file.clone()),
        (refusing.url(), "shop.git", repositories.root.path().join("missing")),
        (refusing.url(), "-not a name-", secret_file.clone()),
    ] {
        let run = send(&url, repository, &file);
        assert_eq!(
            (run.code, run.output.as_str()),
            (Some(0), ""),
            "{url} {repository} {}",
            file.display()
        );
        assert!(!run.errors.is_empty(), "{url} {repository} {}", file.display());
        assert!(!run.errors.contains("s3cret-of-the-webhook"), "{}", run.errors);
    }
}

#[test]
fn an_installation_that_cannot_be_done_says_why() {
    let repositories = Repositories::new();
    fs::write(repositories.secret_file(), " \n").unwrap();
    let run = repositories.install("http://127.0.0.1:1", &[]);
    assert_eq!((run.code, run.errors.as_str()), (Some(1), "error: the webhook secret is empty\n"));
    fs::remove_file(repositories.secret_file()).unwrap();
    let run = repositories.install("http://127.0.0.1:1", &[]);
    assert!(
        run.errors.starts_with("error: could not read the webhook secret from ") && run.errors.contains("\ncaused by: "),
        "{}",
        run.errors
    );
}
