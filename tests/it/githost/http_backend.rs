//! Git's own `git http-backend` behind a loopback port, with faults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::{JoinHandle, JoinSet};

/// What goes wrong with every request, or with the list of refs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Status(u16),
    Html,
    Hang,
    /// The list of refs ends before its last bytes, yet the answer has the length that its header says.
    Truncated(usize),
}

/// A server of the bare repositories below a directory. It stops when it is dropped.
pub(crate) struct HttpBackend {
    address: SocketAddr,
    fault: Arc<Mutex<Option<Fault>>>,
    server: JoinHandle<()>,
}

impl HttpBackend {
    pub(crate) async fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("the socket has an address");
        let fault = Arc::new(Mutex::new(None));
        let server = tokio::spawn(serve(listener, root.to_owned(), fault.clone()));
        Self { address, fault, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

impl Drop for HttpBackend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, root: PathBuf, fault: Arc<Mutex<Option<Fault>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let fault = *fault.lock().unwrap_or_else(PoisonError::into_inner);
        connections.spawn(exchange(stream, root.clone(), fault));
        while connections.try_join_next().is_some() {}
    }
}

async fn exchange(mut stream: TcpStream, root: PathBuf, fault: Option<Fault>) {
    let Some((head, body)) = read_request(&mut stream).await else {
        return;
    };
    let answer = match fault {
        Some(Fault::Status(status)) => respond(&format!("{status} Status"), "WWW-Authenticate: Basic\r\n", b""),
        Some(Fault::Html) => respond("200 OK", "Content-Type: text/html\r\n", b"<title>Sign in</title>"),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Truncated(count)) if head.starts_with("POST") => backend(&head, &body, &root, count).await,
        _ => backend(&head, &body, &root, 0).await,
    };
    // A client that goes away in the middle is no concern of the server.
    let _ = stream.write_all(&answer).await;
}

/// The head and the body of one request; `None` when the client went away.
pub(super) async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(position) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break position + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).expect("the head is text");
    let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

/// Runs the CGI program and leaves out the last bytes of its answer.
async fn backend(head: &str, body: &[u8], root: &Path, left_out: usize) -> Vec<u8> {
    let mut line = head.split(' ');
    let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", method)
        .env("CONTENT_TYPE", header(head, "content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("GIT_PROTOCOL", header(head, "git-protocol").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("git is installed");
    let mut stdin = child.stdin.take().expect("the input is piped");
    stdin.write_all(body).await.expect("the program reads its input");
    drop(stdin);
    let output = child.wait_with_output().await.expect("the program ends").stdout;
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("the program writes headers");
    let headers = String::from_utf8_lossy(&output[..end + 2]).into_owned();
    let status = header(&headers, "status").unwrap_or("200 OK").to_owned();
    let content = &output[end + 4..];
    respond(&status, &headers, &content[..content.len() - left_out])
}

pub(super) fn respond(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}
