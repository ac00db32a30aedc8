//! Deliveries reach a real HTTP server as GitHub would send them.

use testbed::webhook::github::GithubRepository;
use testbed::webhook::{Sender, post, signature};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers one request with 202 and gives back what it received: head and body.
async fn receiver() -> (String, JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks/team/host", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        loop {
            stream.read_buf(&mut received).await.unwrap();
            if let Some((head, body)) = complete(&received) {
                let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 6\r\nconnection: close\r\n\r\nqueued";
                stream.write_all(answer).await.unwrap();
                return (head, body);
            }
        }
    });
    (url, task)
}

fn complete(received: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    let length: usize = header(&head, "content-length")?.parse().ok()?;
    let body = received[end + 4..].to_vec();
    (body.len() == length).then_some((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn a_delivery_is_signed_over_the_exact_bytes_that_arrive() {
    let (url, task) = receiver().await;
    let sender = Sender::github(url, "a secret").unwrap();
    let event = GithubRepository::new(7, "shop", "web").push_create("feature/a", "1111111111111111111111111111111111111111");
    let response = sender.send("push", &event).await.unwrap();
    assert_eq!((response.status.as_u16(), response.body.as_str()), (202, "queued"));
    let (head, body) = task.await.unwrap();
    assert_eq!(header(&head, "x-hub-signature-256"), Some(signature(b"a secret", &body).as_str()));
    assert_eq!(header(&head, "x-github-event"), Some("push"));
    assert_eq!(header(&head, "x-github-delivery").map(str::len), Some(36));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), event);
}

#[tokio::test]
async fn a_delivery_that_no_host_would_send_goes_out_as_it_is() {
    let (url, task) = receiver().await;
    post(
        &url,
        &[("x-github-event", "push"), ("x-hub-signature-256", "sha256=nonsense")],
        "{not json",
    )
    .await
    .unwrap();
    let (head, body) = task.await.unwrap();
    assert_eq!(header(&head, "x-hub-signature-256"), Some("sha256=nonsense"));
    assert_eq!(body, b"{not json");
}
