//! A server on loopback that answers each request as a function says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a request is answered with.
pub(in crate::controller::errands) enum Reply {
    /// These bytes, and the end of the connection.
    Bytes(String),
    /// A body that does not end.
    Endless,
    /// Nothing.
    Hang,
}

/// A running server; it ends with the test's runtime.
pub(in crate::controller::errands) struct Server {
    pub(in crate::controller::errands) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server whose function sees each whole request.
    pub(in crate::controller::errands) async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut stream = stream;
                    let request = read(&mut stream).await;
                    seen.lock().unwrap().push(request.clone());
                    let reply = answer(&request);
                    write(stream, reply).await;
                });
            }
        });
        Self { address, requests }
    }

    /// What came so far.
    pub(in crate::controller::errands) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// An answer with a status, further header lines and a body.
pub(in crate::controller::errands) fn http(status: u16, headers: &str, body: &str) -> Reply {
    Reply::Bytes(format!(
        "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    ))
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")?
                    .trim()
                    .parse::<usize>()
                    .ok()
            });
            if body.len() >= length.unwrap_or_default() {
                return text;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
            _ => return text,
        }
    }
}

async fn write(mut stream: TcpStream, reply: Reply) {
    match reply {
        Reply::Bytes(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Reply::Endless => {
            let mut bytes = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
            while stream.write_all(&bytes).await.is_ok() {
                bytes = vec![b'x'; 64 * 1024];
            }
        }
        Reply::Hang => std::future::pending().await,
    }
}
