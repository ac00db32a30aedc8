//! The connections of clients below everything else: resets, and handshakes that come to nothing.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::script::Injections;

/// How the handshake of a new connection fails: TLS where the proxy speaks it, else the first bytes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// The client's first bytes are read, and the connection is reset.
    Reset,
    /// The client's first bytes are read, and nothing ever comes back.
    Stall,
}

/// What becomes of the handshakes of new connections.
#[derive(Debug, Default)]
pub(super) struct Handshakes(Mutex<Option<(Handshake, Injections)>>);

impl Handshakes {
    /// From now on they fail. Answers with a count of those that did.
    pub(super) fn fail(&self, way: Handshake) -> Injections {
        let failed = Injections::default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((way, failed.clone()));
        failed
    }

    /// From now on they succeed. Those that stall go on stalling.
    pub(super) fn succeed(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Gives the connection back unless its handshake is to fail.
    pub(super) async fn pass(&self, mut stream: TcpStream) -> io::Result<TcpStream> {
        let failing = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((way, failed)) = failing else { return Ok(stream) };
        stream.read_u8().await?;
        failed.add_one();
        if way == Handshake::Stall {
            // Until the client gives up.
            while stream.read(&mut [0; 1024]).await? > 0 {}
        }
        stream.set_zero_linger()?;
        Err(reset())
    }
}

/// Says of one connection that it is reset now.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(Arc<AtomicBool>);

impl Cut {
    /// Resets it. Answers with what to say of it.
    pub(super) fn now(&self) -> io::Error {
        self.0.store(true, Ordering::SeqCst);
        reset()
    }

    fn is_made(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A connection that can be reset: whatever is above it gets not one byte through any more, no farewell of TLS either.
pub(super) struct Wire {
    stream: TcpStream,
    cut: Cut,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, cut: Cut) -> Self {
        Self { stream, cut }
    }

    fn whole(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        match self.cut.is_made() {
            true => Err(reset()),
            false => Ok(Pin::new(&mut self.stream)),
        }
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.cut.is_made() {
            // A connection that is closed already needs no reset.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.whole()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.whole()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole()?.poll_shutdown(context)
    }
}
