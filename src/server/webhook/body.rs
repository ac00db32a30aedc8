//! Reading a request's body without trusting its length, its pace or its sender.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::timeout;
use warp::Buf;

/// The bounds of what webhook deliveries may occupy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// The largest body in bytes.
    pub bytes: usize,
    /// How long a whole body may take.
    pub timeout: Duration,
    /// How many bytes all bodies together may occupy at one time, beyond the first [`BodyLimits::FREE_BYTES`] of each.
    ///
    /// The memory for bodies is therefore at most this plus [`BodyLimits::FREE_BYTES`] for each connection the listener admits.
    pub shared_bytes: usize,
    /// How many bytes of a refused body are still read and thrown away, so that a sender who writes everything before it reads sees
    /// the answer instead of a broken connection.
    pub discarded_bytes: usize,
}

/// The memory for bodies, shared by all requests.
#[derive(Debug)]
pub(super) struct BodyBudget {
    limits: BodyLimits,
    /// One permit stands for [`UNIT`] bytes.
    shared: Arc<Semaphore>,
}

/// A complete body, with the memory it was granted.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Vec<u8>,
    granted: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadError {
    /// It is larger than the limit, or claims to be.
    TooLarge,
    /// It did not arrive in time.
    TimedOut,
    /// The connection ended before it, or its framing is wrong.
    BrokenOff,
    /// All memory for bodies is in use.
    Busy,
}

/// A body as it arrives.
pub(super) struct Arriving<S> {
    stream: Pin<Box<S>>,
    ended: bool,
}

const UNIT: usize = 1024;

// === impl BodyBudget ===

impl BodyBudget {
    pub(super) fn new(limits: BodyLimits) -> Self {
        let permits = (limits.shared_bytes / UNIT).min(Semaphore::MAX_PERMITS);
        Self {
            limits,
            shared: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    /// A `declared` length over the limit is refused before a byte is read; one that lies is found out by counting.
    pub(super) async fn read<S, B>(&self, arriving: &mut Arriving<S>, declared: Option<u64>) -> Result<Body, ReadError>
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        if declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > self.limits.bytes)) {
            return Err(ReadError::TooLarge);
        }
        timeout(self.limits.timeout, self.collect(arriving))
            .await
            .unwrap_or(Err(ReadError::TimedOut))
    }

    async fn collect<S, B>(&self, arriving: &mut Arriving<S>) -> Result<Body, ReadError>
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        let mut body = Body {
            bytes: Vec::new(),
            granted: None,
        };
        while let Some(chunk) = arriving.next().await {
            let mut chunk = chunk.map_err(|_cause| ReadError::BrokenOff)?;
            self.make_room(&mut body, chunk.remaining())?;
            while chunk.has_remaining() {
                let part = chunk.chunk();
                body.bytes.extend_from_slice(part);
                let length = part.len();
                chunk.advance(length);
            }
        }
        Ok(body)
    }

    /// Lets `body` grow by `more` bytes. What is granted covers the whole allocation, not only the bytes in it.
    fn make_room(&self, body: &mut Body, more: usize) -> Result<(), ReadError> {
        let length = body.bytes.len() + more;
        if length > self.limits.bytes {
            return Err(ReadError::TooLarge);
        }
        if length <= body.bytes.capacity() {
            return Ok(());
        }
        // Doubling keeps the number of copies small; a body within the free part gets it at once.
        let capacity = length
            .max(body.bytes.capacity() * 2)
            .max(BodyLimits::FREE_BYTES)
            .min(self.limits.bytes);
        self.grant(body, capacity.saturating_sub(BodyLimits::FREE_BYTES))?;
        body.bytes.reserve_exact(capacity - body.bytes.len());
        Ok(())
    }

    /// Raises what `body` holds of the shared memory to `bytes`.
    fn grant(&self, body: &mut Body, bytes: usize) -> Result<(), ReadError> {
        let held = body.granted.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = bytes.div_ceil(UNIT).saturating_sub(held);
        let wanted = u32::try_from(wanted).map_err(|_| ReadError::TooLarge)?;
        if wanted == 0 {
            return Ok(());
        }
        let permit = match Arc::clone(&self.shared).try_acquire_many_owned(wanted) {
            Ok(permit) => permit,
            // Waiting would let slow senders hold up everybody until their own time is over.
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return Err(ReadError::Busy),
        };
        match &mut body.granted {
            Some(granted) => granted.merge(permit),
            None => body.granted = Some(permit),
        }
        Ok(())
    }
}

// === impl Arriving ===

impl<S, B> Arriving<S>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream: Box::pin(stream),
            ended: false,
        }
    }

    /// Whether there is nothing more to read.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Reads on and keeps nothing, within the bounds of `limits`.
    pub(super) async fn discard(mut self, limits: BodyLimits) {
        let discard = async {
            let mut seen = 0;
            while seen < limits.discarded_bytes {
                let Some(Ok(chunk)) = self.next().await else { break };
                seen += chunk.remaining();
            }
        };
        // Running out of time ends the connection, as running out of bytes does.
        let _in_time = timeout(limits.timeout, discard).await;
    }

    async fn next(&mut self) -> Option<S::Item> {
        let chunk = self.stream.next().await;
        self.ended |= !matches!(chunk, Some(Ok(_)));
        chunk
    }
}

// === impl Body ===

impl Body {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

// === impl BodyLimits ===

impl BodyLimits {
    /// The part of each body that needs no share: most deliveries fit, so that large bodies cannot crowd them out.
    pub const FREE_BYTES: usize = 64 * 1024;
}

impl Default for BodyLimits {
    /// 5 MiB in 10 s, 32 MiB shared, and up to 32 MiB thrown away: GitHub sends at most 25 MB.
    fn default() -> Self {
        Self {
            bytes: 5 * 1024 * 1024,
            timeout: Duration::from_secs(10),
            shared_bytes: 32 * 1024 * 1024,
            discarded_bytes: 32 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests;
