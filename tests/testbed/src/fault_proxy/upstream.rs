//! The way to the server behind the proxy: one connection for each connection of a client.

use std::io;
use std::sync::Arc;

use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

/// Where requests go.
#[derive(Clone)]
pub(super) struct Upstream {
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

/// A client's own connection to the server, made when it is needed.
pub(super) struct Link {
    upstream: Upstream,
    sender: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Upstream {
    /// The server at a URL; for `https`, whoever has a certificate of `authority`.
    pub(super) fn at(url: &Uri, authority: Option<&str>) -> io::Result<Self> {
        let host = url.host().ok_or_else(|| io::Error::other(format!("no host in {url}")))?.to_owned();
        let secure = url.scheme_str() == Some("https");
        let tls = match authority {
            Some(authority) if secure => Some(connector(authority).map_err(io::Error::other)?),
            None if !secure => None,
            _ => return Err(io::Error::other(format!("{url} and a certificate authority do not go together"))),
        };
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { host, port, tls })
    }

    /// A link that is not connected yet.
    pub(super) fn link(&self) -> Link {
        Link {
            upstream: self.clone(),
            sender: Mutex::default(),
        }
    }

    /// `HOST:PORT`.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(connector) => {
                let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
                handshake(connector.connect(name, stream).await?).await
            }
            None => handshake(stream).await,
        }
    }
}

impl Link {
    /// Sends a request over the connection that there is, or over a new one.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> io::Result<Response<Incoming>> {
        let mut kept = self.sender.lock().await;
        if let Some(mut sender) = kept.take()
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => {
                    *kept = Some(sender);
                    return Ok(response);
                }
                // The server has closed the connection meanwhile. What was not sent may be sent anew.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(io::Error::other(error.into_error())),
                },
            }
        }
        let mut sender = self.upstream.connect().await?;
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        *kept = Some(sender);
        Ok(response)
    }
}

async fn handshake<S>(stream: S) -> io::Result<SendRequest<Full<Bytes>>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // It ends with the sender and the last body; how, the requests tell.
    tokio::spawn(connection);
    Ok(sender)
}

fn connector(authority: &str) -> Result<TlsConnector, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Takes off what is about one connection alone.
pub(super) fn without_hops(headers: &mut HeaderMap) {
    let hops = [
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    for name in hops {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}
