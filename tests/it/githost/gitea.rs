//! Gitea's interface over a real repository, as far as the contract asks for it. The real Gitea is in `e2e::gitea`; its repositories take refs by
//! pushes alone, and not every ref that the contract sets.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use graftling::domain::git::Provider;
use graftling::githost::gitea::{Gitea, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Case, ID, Scratch};

/// A running stand-in for the repository `acme/shop`. It stops when it is dropped.
pub(super) struct GiteaFront {
    url: String,
    gone: Arc<AtomicBool>,
    server: JoinHandle<()>,
}

/// Status, headers beside the length, body.
struct Reply(u16, String, Vec<u8>);

impl GiteaFront {
    async fn start(directory: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let url = format!("http://{}", listener.local_addr().expect("the socket has an address"));
        let gone = Arc::new(AtomicBool::new(false));
        let (directory, is_gone) = (directory.to_owned(), gone.clone());
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(exchange(stream, directory.clone(), is_gone.clone()));
            }
        });
        Self { url, gone, server }
    }

    /// Deletes the repository.
    pub(super) fn remove(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }
}

impl Drop for GiteaFront {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Case {
    pub(super) async fn gitea() -> Self {
        let scratch = Scratch::new();
        let front = GiteaFront::start(scratch.directory()).await;
        let host = Gitea::connect(&Settings::new(front.url.clone())).expect("the settings are valid");
        let mut case = Self::new("gitea", Provider::Gitea, scratch, Arc::new(host), "acme/shop");
        case.gitea = Some(front);
        case
    }
}

async fn exchange(mut stream: TcpStream, directory: PathBuf, gone: Arc<AtomicBool>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let Reply(status, headers, body) = match path.strip_prefix("/api/v1/repos/acme/shop") {
        Some(rest) if !gone.load(Ordering::SeqCst) => answer(&directory, &testbed::unescape(rest)),
        _ => missing(),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // Whoever asked may have gone.
    let _gone = stream.write_all(&[head.as_bytes(), &body].concat()).await;
}

fn answer(directory: &Path, rest: &str) -> Reply {
    let heads = heads(directory);
    let parts: Vec<&str> = rest.trim_start_matches('/').splitn(2, '/').collect();
    match parts[..] {
        [""] => json_reply(
            200,
            &json!({"id": ID, "full_name": "acme/shop", "default_branch": "main", "empty": heads.is_empty()}),
        ),
        ["git", "refs/heads"] if heads.is_empty() => missing(),
        ["git", "refs/heads"] => {
            let head =
                |(name, sha): &(String, String)| json!({"ref": format!("refs/heads/{name}"), "object": {"type": "commit", "sha": sha}});
            json_reply(200, &heads.iter().map(head).collect())
        }
        ["git", other] => match other.strip_prefix("commits/") {
            Some(sha) if git(directory, &["cat-file", "-e", &format!("{sha}^{{commit}}")]).is_some() => json_reply(200, &json!({})),
            _ => missing(),
        },
        ["branches", name] => match heads.iter().find(|(found, _)| found == name) {
            Some((name, sha)) => json_reply(200, &json!({"name": name, "commit": {"id": sha}, "protected": false})),
            None => missing(),
        },
        ["pulls"] => {
            let Reply(status, headers, body) = json_reply(200, &json!([]));
            Reply(status, format!("{headers}\r\nx-total-count: 0"), body)
        }
        ["archive", file] => {
            let sha = file.trim_end_matches(".tar.gz");
            match git(directory, &["archive", "--format=tar.gz", "--prefix=shop/", sha]) {
                Some(archive) => Reply(200, "content-type: application/gzip".to_owned(), archive),
                // The real one has no 404 for a commit that it does not know.
                None => json_reply(500, &json!({"message": ""})),
            }
        }
        _ => missing(),
    }
}

fn json_reply(status: u16, body: &Value) -> Reply {
    let kind = "content-type: application/json;charset=utf-8".to_owned();
    Reply(status, kind, body.to_string().into_bytes())
}

fn missing() -> Reply {
    json_reply(404, &json!({"message": "The target couldn't be found.", "errors": []}))
}

fn heads(directory: &Path) -> Vec<(String, String)> {
    let listed = git(directory, &["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/"]).unwrap_or_default();
    let head = |line: &str| {
        let (sha, name) = line.split_once(" refs/heads/")?;
        Some((name.to_owned(), sha.to_owned()))
    };
    String::from_utf8_lossy(&listed).lines().filter_map(head).collect()
}

/// What git prints, or nothing if it fails.
fn git(directory: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git").arg("--git-dir").arg(directory).args(arguments).output();
    let output = output.expect("git is installed");
    output.status.success().then_some(output.stdout)
}
