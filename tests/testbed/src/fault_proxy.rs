//! A proxy between a client and a server that lets things go wrong: in front of an API server, or of a Git host.
//!
//! [`Rule`]s say when, [`Fault`]s say what. HTTP/1.1 on both sides, with TLS on both sides in front of an API server. Answers pass as they
//! come, so watches and logs work; upgrades of a connection (exec, attach, port-forward) are refused with 501.

mod fault;
mod gate;
mod journal;
mod request;
mod rule;
mod script;
mod serve;
mod stale;
mod stream;
mod upstream;
mod wire;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Uri;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::ControlPlane;
pub use fault::Fault;
pub use gate::Gate;
pub use journal::Exchange;
pub use request::Request;
pub use rule::{Rule, Selector};
pub use script::Injections;
use serve::{Shared, serve};
use upstream::Upstream;
pub use wire::Handshake;

/// So many orders to end watches may be under way at once.
const ENDS: usize = 64;

/// A running proxy. It stops when it is dropped, and its connections with it.
pub struct FaultProxy {
    url: String,
    authority: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FaultProxy").field("url", &self.url).finish_non_exhaustive()
    }
}

impl FaultProxy {
    /// Starts in front of the API server of a control plane, under a certificate of its own for `127.0.0.1`. Tokens and impersonation
    /// pass; client certificates cannot.
    ///
    /// # Errors
    ///
    /// No port is free, or no certificate can be made.
    pub async fn before_api_server(plane: &ControlPlane) -> io::Result<Self> {
        let uri: Uri = plane.url().parse().map_err(io::Error::other)?;
        let upstream = Upstream::at(&uri, Some(&plane.certificate_authority()))?;
        let (authority, config) = crate::https::identity().map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start(upstream, "", authority, Some((acceptor, plane.client().await))).await
    }

    /// Starts in front of any server over plain HTTP.
    ///
    /// # Errors
    ///
    /// The URL is not `http://…`, or no port is free.
    pub async fn before_http(upstream: &str) -> io::Result<Self> {
        let uri: Uri = upstream.parse().map_err(io::Error::other)?;
        let path = uri.path().trim_end_matches('/').to_owned();
        Self::start(Upstream::at(&uri, None)?, &path, String::new(), None).await
    }

    async fn start(upstream: Upstream, path: &str, authority: String, cluster: Option<(TlsAcceptor, kube::Client)>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let scheme = if cluster.is_some() { "https" } else { "http" };
        let (acceptor, admin) = cluster.unzip();
        let shared = Arc::new(Shared {
            upstream,
            script: script::Script::default(),
            ends: broadcast::Sender::new(ENDS),
            resets: broadcast::Sender::new(ENDS),
            handshakes: wire::Handshakes::default(),
            journal: journal::Journal::default(),
            acceptor,
            admin,
        });
        Ok(Self {
            url: format!("{scheme}://{address}{path}"),
            authority,
            address,
            server: tokio::spawn(serve(listener, shared.clone())),
            shared,
        })
    }

    /// Where clients find the server now: the URL of the proxy, with the path of the server's own URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address that it listens at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate authority that clients have to trust, as PEM. Empty over plain HTTP.
    pub fn certificate_authority(&self) -> &str {
        &self.authority
    }

    /// Puts a rule into force after those that are. Every rule counts what it means; the first that acts decides. Answers with a count
    /// of how often it has acted.
    pub fn add(&self, rule: Rule, fault: Fault) -> Injections {
        self.shared.script.add(rule, fault)
    }

    /// Takes all rules out of force. What is delayed or held already stays so.
    pub fn clear(&self) {
        self.shared.script.clear();
    }

    /// From now on the handshake of every new connection fails, until [`pass_handshakes`](Self::pass_handshakes). Answers with a count
    /// of those that did.
    pub fn fail_handshakes(&self, way: Handshake) -> Injections {
        self.shared.handshakes.fail(way)
    }

    /// From now on handshakes succeed again. Those that stall go on stalling.
    pub fn pass_handshakes(&self) {
        self.shared.handshakes.succeed();
    }

    /// Resets the connections that are open now, whatever is under way on them.
    pub fn reset_connections(&self) {
        // An error says that there are none.
        let _ = self.shared.resets.send(());
    }

    /// Ends the watches that are open now and that the selector means, as a server ends a watch whose time is over.
    pub fn end_watches(&self, selector: &Selector) {
        // An error says that there are none.
        let _ = self.shared.ends.send(selector.clone());
    }

    /// Everything that passed, or was to pass, in the order in which it came.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges_since(0)
    }

    /// What came from a number on.
    pub fn exchanges_since(&self, number: usize) -> Vec<Exchange> {
        self.shared.journal.since(number)
    }

    /// How many requests have come; the number that the next one will have.
    pub fn count(&self) -> usize {
        self.shared.journal.count()
    }

    /// How many requests are under way now, besides watches.
    pub fn in_flight(&self) -> usize {
        self.shared.journal.in_flight()
    }

    /// How many requests were under way at once at most, besides watches.
    pub fn peak_in_flight(&self) -> usize {
        self.shared.journal.peak()
    }

    /// Measures the peak anew from now on.
    pub fn reset_peak(&self) {
        self.shared.journal.reset_peak();
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}
