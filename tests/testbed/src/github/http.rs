//! The least of HTTP/1.1 that a stand-in needs: one GET a connection, with answers that can break off or never come.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Fault;

/// A GET request.
pub(super) struct Request {
    /// The parts of the path, decoded.
    pub(super) segments: Vec<String>,
    query: String,
    /// The bearer token.
    pub(super) token: Option<String>,
}

/// An answer.
pub(super) struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    ending: Ending,
}

#[derive(PartialEq)]
enum Ending {
    Whole,
    /// Half of the promised body, then the connection closes.
    Cut,
    /// Nothing is ever sent.
    Hang,
}

/// Answers until the task is aborted; connections end with it.
pub(super) async fn serve(listener: TcpListener, answer: impl Fn(&Request) -> Response + Send + Sync + 'static) {
    let answer = Arc::new(answer);
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        connections.spawn(async move {
            // A client that goes away in the middle is no concern of the stand-in.
            let _ = exchange(stream, &*answer).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn exchange(mut stream: TcpStream, answer: &(impl Fn(&Request) -> Response + Sync)) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > 64 * 1024 {
            return Ok(());
        }
    }
    let request = Request::parse(&String::from_utf8_lossy(&head));
    let response = answer(&request);
    if response.ending == Ending::Hang {
        std::future::pending::<()>().await;
    }
    stream.write_all(&response.bytes()).await?;
    stream.shutdown().await
}

/// Escapes what has a meaning in a path.
pub(super) fn escape(segment: &str) -> String {
    segment.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(decoded) if byte == b'%' => {
                bytes.push(decoded);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Request {
    fn parse(head: &str) -> Self {
        let target = head.split(' ').nth(1).unwrap_or("/");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let token = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_token = name.eq_ignore_ascii_case("authorization");
            is_token.then(|| value.strip_prefix("Bearer ").unwrap_or(value).to_owned())
        });
        Self {
            segments: path.trim_start_matches('/').split('/').map(unescape).collect(),
            query: query.to_owned(),
            token,
        }
    }

    /// The last value of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.rfind(|(key, _)| *key == name)?.1;
        Some(unescape(&value.replace('+', " ")))
    }

    pub(super) fn number(&self, name: &str, default: usize) -> usize {
        self.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    pub(super) fn raw_query(&self) -> String {
        if self.query.is_empty() {
            return String::new();
        }
        format!("?{}", self.query)
    }
}

impl Response {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        let body = value.to_string().into_bytes();
        Self::new(status, "application/json; charset=utf-8", body).with_header("X-RateLimit-Limit", "5000".to_owned())
    }

    pub(super) fn message(status: u16, message: &str) -> Self {
        Self::json(
            status,
            &json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }),
        )
    }

    pub(super) fn html(status: u16) -> Self {
        Self::new(status, "text/html", b"<!DOCTYPE html><title>Sign in</title>".to_vec())
    }

    pub(super) fn hang() -> Self {
        Self {
            ending: Ending::Hang,
            ..Self::html(200)
        }
    }

    pub(super) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// 200 with any bytes.
    pub(super) fn bytes_of(kind: &str, bytes: Vec<u8>) -> Self {
        Self::new(200, kind, bytes)
    }

    pub(super) fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Applies the faults that change a right answer.
    pub(super) fn with_fault(mut self, fault: Option<Fault>, request: &Request) -> Self {
        match fault {
            Some(Fault::CutPage(page)) if request.number("page", 1) == page => self.ending = Ending::Cut,
            Some(Fault::ForeignLink) => {
                for (_, value) in self.headers.iter_mut().filter(|(name, _)| *name == "Link") {
                    *value = "<http://127.0.0.2:9/api/v3/repositories/1/branches?page=2>; rel=\"next\"".to_owned();
                }
            }
            _ => {}
        }
        self
    }

    fn new(status: u16, kind: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", kind.to_owned())],
            body,
            ending: Ending::Whole,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", self.status);
        let _ = write!(text, "Content-Length: {}\r\n", self.body.len());
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        let sent = match self.ending {
            Ending::Cut => &self.body[..self.body.len() / 2],
            Ending::Whole | Ending::Hang => &self.body[..],
        };
        [text.as_bytes(), sent].concat()
    }
}
