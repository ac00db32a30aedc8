//! How connections and the listener itself end.

use std::time::{Duration, Instant};

use graftling::metrics::{Listener, Metrics};
use graftling::server::listener::Limits;
use tokio_util::sync::CancellationToken;
use warp::{Filter as _, Reply as _};

use super::client::{Connection, Request};
use super::{Settings, Webhook, listen, open_connections, soon, until, value};

/// Long enough that a test which waits for it by mistake is seen, short enough to wait for it on purpose.
const DRAIN: Duration = Duration::from_millis(300);

/// Only `drain_timeout` is short enough to be noticed.
fn draining(drain_timeout: Duration) -> Settings {
    Settings {
        listener: Limits {
            drain_timeout,
            header_timeout: Duration::from_secs(600),
            ..Limits::default()
        },
        ..Settings::default()
    }
}

#[tokio::test]
async fn shutdown_ends_an_idle_connection_at_once() {
    let webhook = Webhook::start(draining(Duration::from_secs(600))).await;
    let mut idle = Connection::open(webhook.address).await;
    assert_eq!(idle.exchange(&Request::push("main")).await.status, 202);
    webhook.shutdown.cancel();
    soon("the end of serving", webhook.serving).await.unwrap();
    idle.ended().await;
}

#[tokio::test]
async fn shutdown_does_not_wait_longer_than_its_limit_for_half_sent_requests() {
    let webhook = Webhook::start(draining(DRAIN)).await;
    let bytes = Request::push("main").bytes();
    let head = Request::push("main").head().len();
    let mut connections = Vec::new();
    for sent in [0, 20, head, head + 10] {
        let mut connection = Connection::open(webhook.address).await;
        connection.write(&bytes[..sent]).await;
        connections.push(connection);
    }
    until("all connections", || open_connections(&webhook.metrics) == 4).await;
    let began = Instant::now();
    webhook.shutdown.cancel();
    soon("the end of serving", webhook.serving).await.unwrap();
    // Far below every other limit, which begin at ten seconds.
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    assert_eq!(open_connections(&webhook.metrics), 0);
}

#[tokio::test]
async fn shutdown_lets_a_request_that_has_begun_come_to_its_end() {
    let webhook = Webhook::start(draining(Duration::from_secs(600))).await;
    let request = Request::push("main");
    let bytes = request.bytes();
    let mut connection = Connection::open(webhook.address).await;
    connection.write(&bytes[..request.head().len() + 10]).await;
    let mut idle = Connection::open(webhook.address).await;
    assert_eq!(idle.exchange(&Request::push("other")).await.status, 202);
    webhook.shutdown.cancel();
    // From here on the shutdown has reached the connections.
    idle.ended().await;
    connection.write(&bytes[request.head().len() + 10..]).await;
    assert_eq!(connection.read().await.unwrap().status, 202);
    connection.ended().await;
    soon("the end of serving", webhook.serving).await.unwrap();
}

#[tokio::test]
async fn after_shutdown_nobody_can_connect() {
    let webhook = Webhook::start(Settings::default()).await;
    webhook.shutdown.cancel();
    soon("the end of serving", webhook.serving).await.unwrap();
    assert!(tokio::net::TcpStream::connect(webhook.address).await.is_err());
}

#[tokio::test]
async fn a_connection_ends_when_it_is_too_old_although_it_is_busy() {
    let webhook = Webhook::start(Settings {
        listener: Limits {
            connection_age: Duration::from_millis(200),
            ..Limits::default()
        },
        ..Settings::default()
    })
    .await;
    let mut connection = Connection::open(webhook.address).await;
    let bytes = Request::push("main").bytes();
    soon("the end of the connection", async {
        loop {
            use tokio::io::AsyncWriteExt as _;
            if connection.0.write_all(&bytes).await.is_err() || connection.read().await.is_none() {
                break;
            }
        }
    })
    .await;
    until("the end of the connection", || open_connections(&webhook.metrics) == 0).await;
}

#[tokio::test]
async fn dropping_the_server_ends_its_connections() {
    let webhook = Webhook::start(Settings::default()).await;
    let mut connection = Connection::open(webhook.address).await;
    assert_eq!(connection.exchange(&Request::push("main")).await.status, 202);
    webhook.serving.abort();
    connection.ended().await;
}

#[tokio::test]
async fn threat_t08_a_panic_in_a_handler_is_500_and_touches_nobody_else() {
    let metrics = Metrics::new();
    let boom = warp::path!("boom").map(|| -> warp::reply::Response { panic!("this panic is part of a test") });
    let fine = warp::any().map(|| "fine".into_response());
    let routes = boom.or(fine).unify().boxed();
    let shutdown = CancellationToken::new();
    let (address, serving) = listen(routes, Listener::Webhook, Limits::default(), &metrics, &shutdown).await;

    let mut bystander = Connection::open(address).await;
    assert_eq!(bystander.exchange(&Request::get("/fine")).await.status, 200);
    let mut connection = Connection::open(address).await;
    for _ in 0..3 {
        let response = connection.exchange(&Request::get("/boom")).await;
        assert_eq!((response.status, response.body.as_str()), (500, r#"{"error":"internal error"}"#));
    }
    assert_eq!(connection.exchange(&Request::get("/fine")).await.body, "fine");
    assert_eq!(bystander.exchange(&Request::get("/fine")).await.body, "fine");
    assert_eq!(value(&metrics, r#"http_panics_total{listener="webhook"}"#), 3);
    shutdown.cancel();
    soon("the end of serving", serving).await.unwrap();
}
