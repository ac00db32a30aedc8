//! The least of HTTP/1.1 that stand-ins need: one request a connection, with answers that can break off or never come.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request.
pub(crate) struct Request {
    pub(crate) method: String,
    /// The parts of the path, decoded.
    pub(crate) segments: Vec<String>,
    pub(crate) target: String,
    query: String,
    /// The token, or what follows it after `Basic`.
    pub(crate) token: Option<String>,
    pub(crate) if_none_match: Option<String>,
    /// The body, `null` if there is none.
    pub(crate) body: Value,
}

/// An answer.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) ending: Ending,
}

#[derive(PartialEq)]
pub(crate) enum Ending {
    Whole,
    /// Half of the promised body, then the connection closes.
    Cut,
    /// Nothing is ever sent.
    Hang,
}

/// Answers until the task is aborted; connections end with it.
pub(crate) async fn serve(listener: TcpListener, answer: impl Fn(&Request) -> Response + Send + Sync + 'static) {
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
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 || bytes.len() > 64 * 1024 {
            return Ok(());
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Ok(());
        }
    }
    let response = answer(&Request::parse(&head, &body));
    if response.ending == Ending::Hang {
        std::future::pending::<()>().await;
    }
    stream.write_all(&response.bytes()).await?;
    stream.shutdown().await
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Escapes what has a meaning in a URL.
pub(crate) fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

/// What stands for a text that was escaped for a URL.
pub fn unescape(text: &str) -> String {
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
    fn parse(head: &str, body: &[u8]) -> Self {
        let mut line = head.split(' ');
        let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or("/"));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let bearer = header(head, "authorization").map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
        Self {
            method: method.to_owned(),
            segments: path.trim_start_matches('/').split('/').map(unescape).collect(),
            target: target.to_owned(),
            query: query.to_owned(),
            token: bearer.map(str::to_owned),
            if_none_match: header(head, "if-none-match").map(str::to_owned),
            body: serde_json::from_slice(body).unwrap_or_default(),
        }
    }

    /// The last value of a parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.rfind(|(key, _)| *key == name)?.1;
        Some(unescape(&value.replace('+', " ")))
    }

    pub(crate) fn number(&self, name: &str, default: usize) -> usize {
        self.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// The query as it was sent, with its question mark; empty if there is none.
    pub(crate) fn raw_query(&self) -> String {
        if self.query.is_empty() {
            return String::new();
        }
        format!("?{}", self.query)
    }

    /// The query with another value of one parameter.
    pub(crate) fn query_with(&self, name: &str, value: &str) -> String {
        let others = self
            .query
            .split('&')
            .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(name));
        let mut query: Vec<_> = others.map(str::to_owned).collect();
        query.push(format!("{name}={}", escape(value)));
        query.join("&")
    }

    /// A text in the body; empty if there is none.
    pub(crate) fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_default().to_owned()
    }
}

impl Response {
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string().into_bytes())
    }

    pub(crate) fn message(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "message": message }))
    }

    pub(crate) fn html(status: u16) -> Self {
        Self::new(status, "text/html", b"<!DOCTYPE html><title>Sign in</title>".to_vec())
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn new(status: u16, kind: &str, body: Vec<u8>) -> Self {
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
