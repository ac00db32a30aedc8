//! A repository over HTTP on loopback, for clients that take no other URL: only what fetching needs.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::Error;

/// The only service there is.
const SERVICE: &str = "git-upload-pack";

/// The first packet of the list of references, and the mark that ends its part.
const ANNOUNCEMENT: &[u8] = b"001e# service=git-upload-pack\n0000";

/// A running server of one repository. It stops when it is dropped.
#[derive(Debug)]
pub(super) struct GitHost {
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The references.
    References,
    /// Commits and files.
    Pack,
}

impl GitHost {
    /// Serves the bare repository in this folder on a free port.
    pub(super) async fn start(repository: PathBuf) -> Result<GitHost, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(Error::io("listen on", "127.0.0.1"))?;
        let address = listener.local_addr().map_err(Error::io("listen on", "127.0.0.1"))?;
        let server = tokio::spawn(serve(listener, repository));
        Ok(GitHost { address, server })
    }

    /// Where the repository is.
    pub(super) fn url(&self) -> String {
        format!("http://{}/repository.git", self.address)
    }
}

impl Drop for GitHost {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves until the task is aborted; connections end with it.
async fn serve(listener: TcpListener, repository: PathBuf) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, repository.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, repository: PathBuf) {
    // Without it small answers wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| answer(request, repository.clone()));
    // A client that goes away is no concern of a host.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(request: Request<Incoming>, repository: PathBuf) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let Some(asked) = asked(request.method(), request.uri().path(), request.uri().query()) else {
        return Ok(status(StatusCode::NOT_FOUND));
    };
    let protocol = request.headers().get("git-protocol").and_then(|value| value.to_str().ok());
    let protocol = protocol.unwrap_or_default().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let run = move || upload_pack(&repository, asked, &protocol, &body);
    Ok(match tokio::task::spawn_blocking(run).await {
        Ok(Ok(bytes)) => found(asked, bytes),
        _ => status(StatusCode::INTERNAL_SERVER_ERROR),
    })
}

/// Which of the two requests of a fetch it is, if it is one.
fn asked(method: &Method, path: &str, query: Option<&str>) -> Option<Asked> {
    let (_, what) = path.split_once(".git/")?;
    match (method, what, query) {
        (&Method::GET, "info/refs", Some("service=git-upload-pack")) => Some(Asked::References),
        (&Method::POST, SERVICE, _) => Some(Asked::Pack),
        _ => None,
    }
}

/// What git has to say. Blocks.
fn upload_pack(repository: &Path, asked: Asked, protocol: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut command = Command::new("git");
    command.args(["upload-pack", "--stateless-rpc"]);
    if asked == Asked::References {
        command.arg("--advertise-refs");
    }
    command.arg(repository).env("GIT_PROTOCOL", protocol);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(body)?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(std::io::Error::other(output.status.to_string()))
    }
}

fn found(asked: Asked, bytes: Vec<u8>) -> Response<Full<Bytes>> {
    let (kind, bytes) = match asked {
        Asked::References => ("advertisement", [ANNOUNCEMENT, &bytes].concat()),
        Asked::Pack => ("result", bytes),
    };
    let mut response = Response::new(Full::from(bytes));
    if let Ok(kind) = format!("application/x-{SERVICE}-{kind}").parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a repository that cannot be made is the test's failure")]
mod tests {
    use super::*;
    use crate::Repository;

    #[test]
    fn only_the_two_requests_of_a_fetch_are_answered() {
        let references = Some("service=git-upload-pack");
        assert_eq!(asked(&Method::GET, "/a.git/info/refs", references), Some(Asked::References));
        assert_eq!(asked(&Method::POST, "/a.git/git-upload-pack", None), Some(Asked::Pack));
        assert_eq!(asked(&Method::GET, "/a.git/info/refs", Some("service=git-receive-pack")), None);
        assert_eq!(asked(&Method::GET, "/a.git/info/refs", None), None);
        assert_eq!(asked(&Method::POST, "/a.git/git-receive-pack", None), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn git_itself_can_clone_from_it() {
        let repository = Repository::create().unwrap();
        let revision = repository.commit("feature/a", &[("a", "1")]).unwrap();
        let host = GitHost::start(repository.path()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut clone = Command::new("git");
        clone.args(["clone", "--quiet", "--depth", "1", "--branch", "feature/a", &host.url()]);
        clone.arg(folder.path().join("clone")).env("NO_PROXY", "127.0.0.1");
        assert!(clone.status().unwrap().success());
        let mut head = Command::new("git");
        head.arg("-C").arg(folder.path().join("clone")).args(["rev-parse", "HEAD"]);
        assert_eq!(String::from_utf8(head.output().unwrap().stdout).unwrap().trim(), revision);
    }
}
