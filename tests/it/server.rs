//! The webhook and admin listeners over real sockets.

#![allow(clippy::unwrap_used, reason = "a failed set-up is the test's failure")]

mod admin;
mod client;
mod delivery;
mod figures;
mod generator;
mod lifecycle;
mod limits;

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use graftling::controller::inbox::Inbox;
use graftling::domain::git::Provider;
use graftling::domain::name::GitHostKey;
use graftling::githost::endpoint::{Endpoint, Endpoints};
use graftling::metrics::{Listener, Metrics};
use graftling::server::listener::{Limits, serve};
use graftling::server::webhook::{BodyLimits, routes};
use graftling::server::{Routes, admin as admin_routes, readiness::Readiness};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The secret of the GitHub endpoint `team/forge`.
const SECRET: &str = "correct-horse-battery-staple";
const HOOK: &str = "/hooks/team/forge";

/// What a test may choose.
struct Settings {
    inbox: usize,
    listener: Limits,
    body: BodyLimits,
}

/// A webhook listener with the endpoint `team/forge`, and everything behind it that a test looks at.
struct Webhook {
    address: SocketAddr,
    endpoints: Endpoints,
    inbox: Inbox,
    metrics: Metrics,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inbox: 100,
            listener: Limits::default(),
            body: BodyLimits::default(),
        }
    }
}

impl Webhook {
    async fn start(settings: Settings) -> Self {
        let metrics = Metrics::new();
        let endpoints = Endpoints::default();
        let inbox = Inbox::new(NonZeroUsize::new(settings.inbox).unwrap(), metrics.clone());
        open(&endpoints, "forge", Provider::Github, SECRET);
        let routes = routes(endpoints.clone(), inbox.clone(), settings.body, metrics.clone());
        let shutdown = CancellationToken::new();
        let (address, serving) = listen(routes, Listener::Webhook, settings.listener, &metrics, &shutdown).await;
        Self {
            address,
            endpoints,
            inbox,
            metrics,
            shutdown,
            serving,
        }
    }

    /// The number of requests that were answered with `result`, as the metrics tell it.
    fn counted(&self, provider: &str, result: &str) -> u64 {
        let series = format!(r#"webhook_deliveries_total{{provider="{provider}",result="{result}"}}"#);
        value(&self.metrics, &series)
    }
}

/// Opens an endpoint in the namespace `team`.
fn open(endpoints: &Endpoints, name: &str, provider: Provider, secret: &str) {
    let endpoint = Endpoint {
        provider,
        secret: secret.to_owned().into(),
    };
    endpoints.set(key(name), endpoint);
}

fn key(name: &str) -> GitHostKey {
    GitHostKey {
        namespace: "team".parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

/// Serves `routes` on a free port.
async fn listen(
    routes: Routes,
    listener: Listener,
    limits: Limits,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) -> (SocketAddr, JoinHandle<()>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let connections = metrics.connections(listener);
    (address, tokio::spawn(serve(socket, routes, limits, connections, shutdown.clone())))
}

/// The value of `graftling_<series>`.
fn value(metrics: &Metrics, series: &str) -> u64 {
    let exposition = metrics.exposition();
    let prefix = format!("graftling_{series} ");
    let line = exposition.lines().find(|line| line.starts_with(&prefix));
    line.unwrap_or_else(|| panic!("there is no series {series}"))[prefix.len()..]
        .parse()
        .unwrap()
}

/// Connections that are open now.
fn open_connections(metrics: &Metrics) -> u64 {
    value(metrics, r#"http_connections{listener="webhook"}"#)
}

/// Connections that were ever accepted.
fn accepted_connections(metrics: &Metrics) -> u64 {
    value(metrics, r#"http_connections_accepted_total{listener="webhook"}"#)
}

/// The result of `future`, which is far from needing this long.
async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let limit = Duration::from_secs(20);
    let Ok(output) = tokio::time::timeout(limit, future).await else {
        panic!("{what}: not after {limit:?}");
    };
    output
}

/// Waits until `condition` holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    soon(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}
