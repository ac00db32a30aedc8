//! A web server with TLS on loopback, under a certificate authority of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What is answered to a path.
#[derive(Debug, Clone)]
pub enum Answer {
    /// 200 with these bytes.
    File(Vec<u8>),
    /// 302 to another place.
    Redirect(String),
    /// Another status without a body.
    Status(u16),
    /// 200 without a length, and bytes without end.
    Endless,
}

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct HttpsServer {
    address: SocketAddr,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    folder: TempDir,
    server: JoinHandle<()>,
}

impl HttpsServer {
    /// Starts on a free loopback port for `localhost` and `127.0.0.1`, with nothing to give.
    ///
    /// # Errors
    /// No port is free, or the certificate cannot be written.
    pub async fn start() -> io::Result<Self> {
        let (authority, config) = identity().map_err(io::Error::other)?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), authority)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let answers = Arc::<Mutex<BTreeMap<String, Answer>>>::default();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = tokio::spawn(serve(listener, acceptor, answers.clone()));
        Ok(Self {
            address,
            answers,
            folder,
            server,
        })
    }

    /// `localhost:PORT`.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// The URL of a path that begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.host())
    }

    /// The PEM file of the certificate authority.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Answers this to a path from now on.
    pub fn set(&self, path: &str, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(path.to_owned(), answer);
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An authority as PEM, and a server's configuration with a certificate that it has signed.
pub(crate) fn identity() -> Result<(String, rustls::ServerConfig), Box<dyn std::error::Error + Send + Sync>> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let signed = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"].map(str::to_owned).to_vec();
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((signed, config))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, answers: Arc<Mutex<BTreeMap<String, Answer>>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, answers) = (acceptor.clone(), answers.clone());
        connections.spawn(async move {
            // A client that does not trust us goes away, and so may any other.
            let _ = exchange(stream, &acceptor, &answers).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn exchange(stream: TcpStream, acceptor: &TlsAcceptor, answers: &Mutex<BTreeMap<String, Answer>>) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > 64 * 1024 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    let answer = answers.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
    let line = |status: u16, more: &str| format!("HTTP/1.1 {status} Status\r\nConnection: close\r\n{more}\r\n");
    match answer.unwrap_or(Answer::Status(404)) {
        Answer::File(bytes) => {
            let length = format!("Content-Length: {}\r\n", bytes.len());
            stream.write_all(line(200, &length).as_bytes()).await?;
            stream.write_all(&bytes).await?;
        }
        Answer::Redirect(place) => {
            let more = format!("Location: {place}\r\nContent-Length: 0\r\n");
            stream.write_all(line(302, &more).as_bytes()).await?;
        }
        Answer::Status(status) => stream.write_all(line(status, "Content-Length: 0\r\n").as_bytes()).await?,
        Answer::Endless => {
            stream.write_all(line(200, "").as_bytes()).await?;
            loop {
                stream.write_all(&[0; 64 * 1024]).await?;
            }
        }
    }
    stream.shutdown().await
}
