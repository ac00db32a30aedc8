//! An HTTP/1.1 client that can also misbehave.

use std::net::SocketAddr;

use graftling::githost::signature::sign;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{HOOK, SECRET, soon};

/// A request, written out.
#[derive(Clone)]
pub(super) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: String,
    head: String,
}

/// A connection on which requests follow one another.
pub(super) struct Connection(pub(super) TcpStream);

impl Request {
    /// A POST to `team/forge` without event and signature.
    pub(super) fn post(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST",
            path: HOOK.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.into(),
        }
    }

    /// A delivery of GitHub, rightly signed.
    pub(super) fn delivery(event: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::post(body).with("x-github-event", event).signed(SECRET)
    }

    /// A push to `branch` of the repository 7, rightly signed.
    pub(super) fn push(branch: &str) -> Self {
        Self::delivery("push", push_body(branch))
    }

    pub(super) fn get(path: &str) -> Self {
        let mut request = Self::post("").to(path).method("GET");
        request.headers.clear();
        request
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn signed(self, secret: &str) -> Self {
        let signature = sign(&secret.to_owned().into(), &self.body);
        self.with("x-hub-signature-256", &signature)
    }

    pub(super) fn to(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    pub(super) fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// Exchanges the body, after it was signed.
    pub(super) fn tampered(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Everything before the body, with its true length.
    pub(super) fn head(&self) -> String {
        self.head_with(&format!("content-length: {}", self.body.len()))
    }

    /// Everything before the body, with `framing` instead of its length.
    pub(super) fn head_with(&self, framing: &str) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!(
            "{} {} HTTP/1.1\r\nhost: localhost\r\n{headers}{framing}\r\n\r\n",
            self.method, self.path
        )
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        [self.head().as_bytes(), &self.body].concat()
    }

    /// Sends it on a connection of its own.
    pub(super) async fn send(&self, address: SocketAddr) -> Response {
        Connection::open(address).await.exchange(self).await
    }
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Self {
        Self(soon("a connection", TcpStream::connect(address)).await.unwrap())
    }

    pub(super) async fn exchange(&mut self, request: &Request) -> Response {
        self.write(&request.bytes()).await;
        self.read().await.expect("the connection ended without an answer")
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        soon("writing", self.0.write_all(bytes)).await.unwrap();
    }

    /// The next answer, or `None` when the server ends the connection instead.
    pub(super) async fn read(&mut self) -> Option<Response> {
        soon("an answer", self.read_answer()).await
    }

    async fn read_answer(&mut self) -> Option<Response> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let mut response = Response {
            status: 0,
            body: String::new(),
            head: String::from_utf8(head).unwrap(),
        };
        response.status = response.head.split(' ').nth(1)?.parse().ok()?;
        let mut body = vec![0; response.header("content-length")?.parse().ok()?];
        self.0.read_exact(&mut body).await.ok()?;
        response.body = String::from_utf8(body).unwrap();
        Some(response)
    }

    /// Waits until the server ends the connection without another word.
    pub(super) async fn ended(&mut self) {
        let mut rest = Vec::new();
        let _reset_or_end = soon("the end of the connection", self.0.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "an answer came: {}", String::from_utf8_lossy(&rest));
    }
}

/// What GitHub says of a push to `branch` of the repository 7.
pub(super) fn push_body(branch: &str) -> String {
    format!(
        r#"{{"ref":"refs/heads/{branch}","before":"{}","after":"{}","created":false,"deleted":false,"forced":false,"repository":{{"id":7,"full_name":"shop/web"}},"padding":""}}"#,
        "1".repeat(40),
        "2".repeat(40)
    )
}

/// A push whose body is `length` bytes long.
pub(super) fn push_of_length(branch: &str, length: usize) -> Request {
    let body = push_body(branch);
    let padding = format!(r#""padding":"{}""#, "x".repeat(length - body.len()));
    let body = body.replace(r#""padding":"""#, &padding);
    assert_eq!(body.len(), length);
    Request::delivery("push", body)
}
