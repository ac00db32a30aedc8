//! The accept loop: how connections begin, how long they may last, and how they end.
//!
//! `warp::serve` has no time limit for half-sent headers and its graceful shutdown waits for ever on a half-sent request, so the
//! loop is our own.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use http::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use warp::hyper::body::Incoming;
use warp::hyper::service::{Service, service_fn};
use warp::reply::Response;

use super::{Routes, reply};
use crate::metrics::{ConnectionMetrics, OpenConnection};

/// The bounds of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many connections are open at one time; at least 1.
    pub connections: usize,
    /// How long the head of a request may take, counted from the moment in which the connection could carry one. It therefore also
    /// ends a connection that is idle between two requests or never sends a byte.
    pub header_timeout: Duration,
    /// How long a connection may last, busy or not: also one whose peer never reads its answers.
    pub connection_age: Duration,
    /// How long a request that has begun may go on when its connection is to end, because of its age or of the shutdown.
    pub drain_timeout: Duration,
    /// How many bytes the head of a request may have, roughly: it is noticed after the read that went beyond. At least 8192.
    pub header_bytes: usize,
}

/// Serves `routes` on `socket` until `shutdown`, then ends every connection and returns.
///
/// # Guarantees
/// - Over [`Limits::connections`], new connections wait in the kernel's queue, unaccepted, until one of the open ones ends. Waiting is
///   bounded because each of those is bounded; closing instead would turn a burst of honest deliveries into lost ones.
/// - After `shutdown` it accepts nothing, closes idle connections at once and returns within [`Limits::drain_timeout`].
/// - A panic in a handler becomes a 500 with a fixed text, is counted, and touches no other request.
/// - Dropping the future ends every connection.
///
/// # Caveats
/// HTTP/1.1 only: an HTTP/2 connection would multiply every bound by its streams, and a proxy in front speaks HTTP/1.1 to us anyway.
/// TLS ends at that proxy.
pub async fn serve(socket: TcpListener, routes: Routes, limits: Limits, metrics: ConnectionMetrics, shutdown: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_ended) = connections.join_next() => {}
            (stream, slot) = accept(&socket, &slots) => {
                let open = Open { _slot: slot, _counted: metrics.opened() };
                connections.spawn(connection(stream, open, routes.clone(), limits, metrics.clone(), shutdown.clone()));
            }
        }
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

/// What a connection holds as long as it is open.
struct Open {
    _slot: OwnedSemaphorePermit,
    _counted: OpenConnection,
}

/// The next connection, once there is a place for it.
async fn accept(socket: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else {
            // Only a closed semaphore refuses, and nobody closes this one.
            return std::future::pending().await;
        };
        match socket.accept().await {
            Ok((stream, _peer)) => return (stream, slot),
            Err(error) => wait_after(&error).await,
        }
    }
}

/// A peer that went away before it was accepted is no reason to wait; a process without free file descriptors is.
async fn wait_after(error: &io::Error) {
    let peer = matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
    if !peer {
        tracing::warn!(error = %error, "could not accept a connection");
        sleep(Duration::from_millis(100)).await;
    }
}

/// One connection from its first byte to its end.
async fn connection(
    stream: TcpStream,
    open: Open,
    routes: Routes,
    limits: Limits,
    metrics: ConnectionMetrics,
    shutdown: CancellationToken,
) {
    // Answers are one small write each: nothing is gained by waiting for more. A refusal costs only latency.
    let _delayed = stream.set_nodelay(true);
    // A TLS acceptor would stand here, under a handshake timeout of its own, before the first byte of HTTP.
    let builder = builder(limits);
    let service = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(move |request| guarded(service.clone(), request, metrics.clone()));
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => Some(ended),
        () = shutdown.cancelled() => None,
        () = sleep(limits.connection_age) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            serving.as_mut().graceful_shutdown();
            timeout(limits.drain_timeout, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // What a peer does to its own connection is no concern of ours.
        tracing::debug!(error, "connection broke off");
    }
    drop(open);
}

fn builder(limits: Limits) -> auto::Builder<TokioExecutor> {
    // Choosing the version by the first bytes would happen before any timer runs.
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        // hyper refuses to buffer less than this.
        .max_buf_size(limits.header_bytes.max(8192));
    builder
}

/// Calls the routes, and answers for them when they panic.
///
/// What the request held is dropped by the unwinding; what it shares with others (the inbox, endpoints, counters) is never left half
/// changed by them.
fn guarded<S>(
    service: S,
    request: Request<Incoming>,
    metrics: ConnectionMetrics,
) -> impl Future<Output = Result<Response, Infallible>> + Send
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Send + Sync,
{
    AssertUnwindSafe(async move { service.call(request).await })
        .catch_unwind()
        .map(move |answered| {
            answered.unwrap_or_else(|_panic| {
                metrics.panicked();
                tracing::error!("a request handler panicked");
                Ok(reply::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error"))
            })
        })
}

impl Default for Limits {
    /// 512 connections, 10 s for a head of at most 32 KiB, 5 min of age, 10 s to drain.
    fn default() -> Self {
        Self {
            connections: 512,
            header_timeout: Duration::from_secs(10),
            connection_age: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(10),
            header_bytes: 32 * 1024,
        }
    }
}
