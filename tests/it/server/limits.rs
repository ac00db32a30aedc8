//! Sizes, paces and numbers beyond the limits.

use std::net::SocketAddr;
use std::time::Duration;

use graftling::server::listener::Limits;
use graftling::server::webhook::BodyLimits;
use tokio::io::AsyncWriteExt as _;

use super::client::{Connection, Request, Response, push_of_length};
use super::{Settings, Webhook, accepted_connections, open_connections, soon, until};

const KIB: usize = 1024;

/// A short limit: reached in every test that waits for it, and never by an honest request beside it.
const SHORT: Duration = Duration::from_millis(200);

fn body_limits(body: BodyLimits) -> Settings {
    Settings {
        body,
        ..Settings::default()
    }
}

fn listener_limits(listener: Limits) -> Settings {
    Settings {
        listener,
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_accepted_and_one_byte_more_is_413() {
    let webhook = Webhook::start(body_limits(BodyLimits {
        bytes: 300 * KIB,
        ..BodyLimits::default()
    }))
    .await;
    let mut connection = Connection::open(webhook.address).await;
    assert_eq!(connection.exchange(&push_of_length("a", 300 * KIB)).await.status, 202);
    let refused = connection.exchange(&push_of_length("b", 300 * KIB + 1)).await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (413, r#"{"error":"the body is too large"}"#)
    );
    assert_eq!(connection.exchange(&Request::push("c")).await.status, 202, "the connection goes on");
    assert_eq!(webhook.counted("github", "too_large"), 1);
}

#[tokio::test]
async fn f70_threat_t07_a_claimed_length_over_the_limit_is_413_before_the_body_is_sent() {
    let webhook = Webhook::start(Settings::default()).await;
    for length in ["5242881", "1073741824", "9223372036854775807"] {
        let mut connection = Connection::open(webhook.address).await;
        let head = Request::push("main").head_with(&format!("content-length: {length}"));
        connection.write(head.as_bytes()).await;
        assert_eq!(connection.read().await.unwrap().status, 413, "{length}");
    }
}

#[tokio::test]
async fn f70_a_sender_that_writes_all_before_it_reads_still_sees_413() {
    let webhook = Webhook::start(Settings::default()).await;
    let mut connection = Connection::open(webhook.address).await;
    // As large as GitHub's largest delivery, and more than the sockets' buffers hold.
    let refused = connection.exchange(&push_of_length("main", 25_000_000)).await;
    assert_eq!(refused.status, 413);
}

#[tokio::test]
async fn f70_threat_t07_a_chunked_body_without_end_is_413_and_soon_nobody_reads_it() {
    let webhook = Webhook::start(body_limits(BodyLimits {
        bytes: 64 * KIB,
        discarded_bytes: 256 * KIB,
        ..BodyLimits::default()
    }))
    .await;
    let Connection(stream) = Connection::open(webhook.address).await;
    let (read, mut write) = stream.into_split();
    let head = Request::push("main").head_with("transfer-encoding: chunked");
    let written = soon("the end of reading", async {
        write.write_all(head.as_bytes()).await.unwrap();
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
        let mut written = 0;
        while write.write_all(&chunk).await.is_ok() {
            written += chunk.len();
            assert!(written < 64 * KIB * KIB, "the server reads on and on");
        }
        written
    })
    .await;
    // The limit, what is thrown away, and what the two sockets hold.
    assert!(written < 32 * KIB * KIB, "{written} bytes were taken");
    drop(read);
    assert_eq!(webhook.counted("github", "too_large"), 1);
    until("the end of the connection", || open_connections(&webhook.metrics) == 0).await;
}

#[tokio::test]
async fn a_chunked_body_within_the_limit_is_accepted() {
    let webhook = Webhook::start(Settings::default()).await;
    let request = Request::push("main");
    let mut connection = Connection::open(webhook.address).await;
    connection.write(request.head_with("transfer-encoding: chunked").as_bytes()).await;
    for part in request.body().chunks(7) {
        connection.write(format!("{:x}\r\n", part.len()).as_bytes()).await;
        connection.write(part).await;
        connection.write(b"\r\n").await;
    }
    connection.write(b"0\r\n\r\n").await;
    assert_eq!(connection.read().await.unwrap().status, 202);
}

#[tokio::test]
async fn f70_a_body_that_stalls_is_408() {
    let webhook = Webhook::start(body_limits(BodyLimits {
        timeout: SHORT,
        ..BodyLimits::default()
    }))
    .await;
    let request = Request::push("main");
    let mut connection = Connection::open(webhook.address).await;
    connection.write(&request.bytes()[..request.head().len() + 10]).await;
    let response = connection.read().await.unwrap();
    assert_eq!(
        (response.status, response.body.as_str()),
        (408, r#"{"error":"the body took too long"}"#)
    );
    assert_eq!(webhook.counted("github", "timed_out"), 1);
    connection.ended().await;
}

#[tokio::test]
async fn f70_a_body_that_trickles_is_408_however_steady_it_is() {
    let webhook = Webhook::start(body_limits(BodyLimits {
        timeout: SHORT,
        ..BodyLimits::default()
    }))
    .await;
    let request = push_of_length("main", 64 * KIB);
    let Connection(stream) = Connection::open(webhook.address).await;
    let (read, mut write) = stream.into_split();
    let trickle = tokio::spawn(async move {
        let bytes = request.bytes();
        for byte in bytes.chunks(1) {
            if write.write_all(byte).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    until("408", || webhook.counted("github", "timed_out") == 1).await;
    soon("the end of reading", trickle).await.unwrap();
    drop(read);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_counted_and_leaves_no_hint() {
    let webhook = Webhook::start(Settings::default()).await;
    let bytes = Request::push("main").bytes();
    let mut connection = Connection::open(webhook.address).await;
    connection.write(&bytes[..bytes.len() - 1]).await;
    drop(connection);
    until("the count", || webhook.counted("github", "broken_off") == 1).await;
    assert_eq!(webhook.inbox.depth(), 0);
}

#[tokio::test]
async fn f70_a_slow_head_ends_the_connection() {
    let webhook = Webhook::start(listener_limits(Limits {
        header_timeout: SHORT,
        ..Limits::default()
    }))
    .await;
    let mut silent = Connection::open(webhook.address).await;
    let mut half = Connection::open(webhook.address).await;
    half.write(b"POST /hooks/team/forge HTTP/1.1\r\nhost: loc").await;
    let mut half_version = Connection::open(webhook.address).await;
    half_version.write(b"P").await;
    let mut idle = Connection::open(webhook.address).await;
    assert_eq!(idle.exchange(&Request::push("main")).await.status, 202);
    for connection in [&mut silent, &mut half, &mut half_version, &mut idle] {
        connection.ended().await;
    }
    until("the end of the connections", || open_connections(&webhook.metrics) == 0).await;
}

#[tokio::test]
async fn f70_a_huge_head_is_refused() {
    let webhook = Webhook::start(Settings::default()).await;
    let mut connection = Connection::open(webhook.address).await;
    let request = Request::push("main").with("x-padding", &"x".repeat(128 * KIB));
    connection.write(request.head().as_bytes()).await;
    assert_eq!(connection.read().await.unwrap().status, 431);
}

/// Sends `request` until it is refused.
async fn refusal(request: &Request, address: SocketAddr) -> Response {
    loop {
        let response = request.send(address).await;
        if response.status == 503 {
            return response;
        }
        assert_eq!(response.status, 202);
    }
}

#[tokio::test]
async fn f70_slow_large_bodies_do_not_keep_ordinary_deliveries_out() {
    let webhook = Webhook::start(body_limits(BodyLimits {
        shared_bytes: 1024 * KIB,
        ..BodyLimits::default()
    }))
    .await;
    let large = push_of_length("large", 1000 * KIB);
    let smaller = push_of_length("smaller", 256 * KIB);
    let bytes = large.bytes();
    // Another body is refused once the first one has been read so far. Until then it may take what the first one needs.
    let (mut slow, busy) = soon("the memory to be in use", async {
        loop {
            let mut slow = Connection::open(webhook.address).await;
            slow.write(&bytes[..bytes.len() - 1]).await;
            tokio::select! {
                refused = slow.read() => assert_eq!(refused.unwrap().status, 503),
                busy = refusal(&smaller, webhook.address) => break (slow, busy),
            }
        }
    })
    .await;
    assert_eq!(busy.header("retry-after"), Some("10"));
    assert_eq!(busy.body, r#"{"error":"busy, try again later"}"#);
    assert_eq!(Request::push("small").send(webhook.address).await.status, 202);
    slow.write(&bytes[bytes.len() - 1..]).await;
    assert_eq!(slow.read().await.unwrap().status, 202);
    assert_eq!(large.send(webhook.address).await.status, 202, "the memory was not given back");
}

#[tokio::test]
async fn f70_connections_over_the_limit_wait_until_another_one_ends() {
    let webhook = Webhook::start(listener_limits(Limits {
        connections: 2,
        ..Limits::default()
    }))
    .await;
    let mut first = Connection::open(webhook.address).await;
    let mut second = Connection::open(webhook.address).await;
    assert_eq!(first.exchange(&Request::push("first")).await.status, 202);
    assert_eq!(second.exchange(&Request::push("second")).await.status, 202);

    let mut third = Connection::open(webhook.address).await;
    third.write(&Request::push("third").bytes()).await;
    // Everything that would let the third one in has had its turn when both others were served again.
    for _ in 0..20 {
        assert_eq!(first.exchange(&Request::push("first")).await.status, 202);
        assert_eq!(second.exchange(&Request::push("second")).await.status, 202);
    }
    assert_eq!(accepted_connections(&webhook.metrics), 2);
    assert_eq!(open_connections(&webhook.metrics), 2);

    drop(first);
    assert_eq!(third.read().await.unwrap().status, 202);
    assert_eq!(accepted_connections(&webhook.metrics), 3);
}

#[tokio::test]
async fn f70_silent_connections_up_to_the_limit_delay_a_delivery_only_until_their_time_is_over() {
    let webhook = Webhook::start(listener_limits(Limits {
        connections: 4,
        header_timeout: SHORT,
        ..Limits::default()
    }))
    .await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(Connection::open(webhook.address).await);
    }
    assert_eq!(Request::push("main").send(webhook.address).await.status, 202);
}
