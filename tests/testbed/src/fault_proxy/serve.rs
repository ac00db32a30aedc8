//! Takes requests, asks the server, and lets go wrong what is to go wrong.

use std::io;
use std::sync::Arc;

use http::{Request, Response, header, request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_rustls::TlsAcceptor;

use super::fault::{Fault, respond, usual_body};
use super::gate::Way;
use super::journal::{Journal, Passing};
use super::request::Request as Asked;
use super::rule::Selector;
use super::script::Script;
use super::stale;
use super::stream::{self, Body, Watch};
use super::upstream::{Link, Upstream, without_hops};
use super::wire::{Cut, Handshakes, Wire};

/// What every connection shares.
pub(super) struct Shared {
    pub(super) upstream: Upstream,
    pub(super) script: Script,
    pub(super) journal: Journal,
    /// Says which watches are to end now.
    pub(super) ends: broadcast::Sender<Selector>,
    /// Says that the connections there are get reset now.
    pub(super) resets: broadcast::Sender<()>,
    pub(super) handshakes: Handshakes,
    /// TLS towards clients.
    pub(super) acceptor: Option<TlsAcceptor>,
    /// For an API server: somebody who may read everything, for answers from the past.
    pub(super) admin: Option<kube::Client>,
}

/// Serves until the task is aborted; connections end with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            // Whoever does not trust us goes away, and so may any other.
            let _ = connection(stream, shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut resets = shared.resets.subscribe();
    let cut = Cut::default();
    let served = async {
        let wire = Wire::new(shared.handshakes.pass(stream).await?, cut.clone());
        match shared.acceptor.clone() {
            Some(acceptor) => requests(acceptor.accept(wire).await?, cut.clone(), shared).await,
            None => requests(wire, cut.clone(), shared).await,
        }
    };
    // The cut is made before what is served goes.
    let reset = async {
        // Whether it was told once or often makes no difference.
        let _ = resets.recv().await;
        cut.now()
    };
    tokio::select! {
        result = served => result,
        error = reset => Err(error),
    }
}

async fn requests<S>(stream: S, cut: Cut, shared: Arc<Shared>) -> io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let link = Arc::new(shared.upstream.link());
    let service = service_fn(move |request| {
        let (shared, link, cut) = (shared.clone(), link.clone(), cut.clone());
        async move { shared.handle(&link, &cut, request).await }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.await.map_err(io::Error::other)
}

/// The connection is closed without an answer.
fn closed() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

impl Shared {
    /// Answers one request. An error closes the connection.
    async fn handle(&self, link: &Link, cut: &Cut, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let asked = match self.admin {
            Some(_) => Asked::to_api_server(&head, &body),
            None => Asked::to_any(&head),
        };
        let passing = self.journal.begin(asked.clone());
        if head.headers.contains_key(header::UPGRADE) {
            let text = "the fault proxy passes no upgrade of a connection on".to_owned();
            return Ok(told(&passing, respond(501, None, text)));
        }
        let decision = self.script.decide(&asked);
        let name = decision.fault.as_ref().map(Fault::name);
        let delayed = (!decision.delay.is_zero()).then_some("Delay");
        passing.note(|exchange| exchange.injected = name.or(delayed));
        if !decision.delay.is_zero() {
            tokio::time::sleep(decision.delay).await;
        }
        let fault = decision.fault;
        if matches!(fault, Some(Fault::ResetBefore)) {
            return Err(cut.now());
        }
        if let Some(answer) = self.before(&head, &asked, fault.as_ref()).await? {
            return Ok(told(&passing, answer));
        }
        let request = self.onward(head, &asked, body, fault.as_ref())?;
        let answer = link.send(request).await.inspect_err(|error| {
            passing.note(|exchange| exchange.error = Some(error.to_string()));
        })?;
        if matches!(fault, Some(Fault::ResetAfter)) {
            passing.note(|exchange| exchange.upstream = Some(answer.status().as_u16()));
            return Err(cut.now());
        }
        self.after(asked, answer, passing, fault.as_ref()).await
    }

    /// What happens before the server is asked: the end of the connection, an answer in its place, or nothing.
    async fn before(&self, head: &request::Parts, asked: &Asked, fault: Option<&Fault>) -> io::Result<Option<Response<Body>>> {
        match fault {
            Some(Fault::DropBefore) => Err(closed()),
            Some(Fault::HoldBefore(gate)) => match gate.pass().await {
                Way::On => Ok(None),
                Way::Nowhere => Err(closed()),
            },
            Some(Fault::Answer { status, retry_after, body }) => {
                let body = body.clone().unwrap_or_else(|| self.usual_body(*status, *retry_after));
                Ok(Some(respond(*status, *retry_after, body)))
            }
            Some(Fault::Stale { version }) if asked.verb == "get" && !asked.name.is_empty() && asked.subresource.is_empty() => {
                let Some(admin) = &self.admin else { return Ok(None) };
                stale::get(admin, head, asked, version).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The request as the server gets it.
    fn onward(&self, mut head: request::Parts, asked: &Asked, body: Bytes, fault: Option<&Fault>) -> io::Result<Request<Full<Bytes>>> {
        without_hops(&mut head.headers);
        if self.admin.is_some() {
            // Events are read line by line, so nothing may be packed.
            head.headers.remove(header::ACCEPT_ENCODING);
            let authority = self.upstream.authority().parse().map_err(io::Error::other)?;
            head.headers.insert(header::HOST, authority);
        }
        if let Some(Fault::Stale { version }) = fault
            && matches!(asked.verb.as_str(), "list" | "watch")
        {
            head.uri = stale::target(asked, version).parse().map_err(io::Error::other)?;
        }
        Ok(Request::from_parts(head, Full::new(body)))
    }

    /// What becomes of the server's answer.
    async fn after(&self, asked: Asked, answer: Response<Incoming>, passing: Passing, fault: Option<&Fault>) -> io::Result<Response<Body>> {
        let status = answer.status().as_u16();
        passing.note(|exchange| exchange.upstream = Some(status));
        match fault {
            Some(Fault::DropAfter) => return Err(closed()),
            Some(Fault::HoldAfter(gate)) if gate.pass().await == Way::Nowhere => return Err(closed()),
            Some(Fault::AnswerAfter { status }) => {
                let answer = respond(*status, None, self.usual_body(*status, None));
                return Ok(told(&passing, answer));
            }
            _ => {}
        }
        passing.note(|exchange| exchange.status = Some(status));
        let (mut head, body) = answer.into_parts();
        without_hops(&mut head.headers);
        let watch = (asked.is_watch() && status == 200).then(|| Watch::new(asked, self.script.clone(), self.ends.subscribe()));
        Ok(Response::from_parts(head, stream::pass(body, passing, fault, watch)))
    }

    fn usual_body(&self, status: u16, retry_after: Option<u64>) -> String {
        usual_body(self.admin.is_some(), status, retry_after)
    }
}

/// Notes what the client is told.
fn told(passing: &Passing, answer: Response<Body>) -> Response<Body> {
    passing.note(|exchange| exchange.status = Some(answer.status().as_u16()));
    answer
}
