//! The fence around writes: none leaves this process once the Lease may be another's.
//!
//! A process that was stopped for a while wakes up in the middle of a pass and knows nothing of its successor. So each
//! request looks at the clock right before it goes out; whoever planned it cannot know how long ago that was.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, Request, Response, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::client::Body;
use tower::BoxError;

/// Until when this process may write. Clones see the same. Where nobody takes part in an election, everything may be written.
#[derive(Debug, Clone, Default)]
pub struct WriteFence(Arc<Mutex<Lead>>);

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The Lease is another's, or nobody's.
    #[error("nothing is written: this process does not hold the Lease")]
    Follows,
    /// Another may have taken the Lease over since.
    #[error("nothing is written: the Lease was renewed {} s ago, and another may lead by now", .age.as_secs())]
    RanOut {
        /// How long ago the last renewal was.
        age: Duration,
    },
}

/// What is known of who leads.
#[derive(Debug, Clone, Default, PartialEq)]
enum Lead {
    /// There is no election, and so no rival.
    #[default]
    Alone,
    /// Another leads, or nobody does yet.
    Others,
    /// This process does, since a renewal.
    Ours(Renewal),
}

/// A renewal of our Lease that the API server has confirmed.
#[derive(Debug, Clone, PartialEq)]
struct Renewal {
    /// When it was sent, by our clock: others reckon from this time as well.
    sent: Timestamp,
    /// When its answer was read.
    read: Moment,
    /// How long it is good for.
    lasts: Duration,
}

/// One moment by two clocks. The monotonic one goes on while the process is stopped but not while the machine is; that of
/// the wall goes on then but may be set back. What counts is the one by which more time has passed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moment {
    wall: Timestamp,
    monotonic: Instant,
}

/// So long before its end a Lease counts as run out: a write needs time on its way, and the clocks of replicas differ.
const MARGIN: Duration = Duration::from_secs(3);

impl WriteFence {
    /// Lets nothing through until an answer says that the Lease is ours.
    pub(super) fn close(&self) {
        self.set(Lead::Others);
    }

    /// Lets a request through if it changes nothing, or if we lead for certain.
    pub(super) fn admit<B>(&self, request: Request<B>) -> Result<Request<B>, Refused> {
        if !changes(&request) {
            return Ok(request);
        }
        let lead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lead.allows(Moment::now()).map(|()| request)
    }

    /// Reads from an answer about the Lease whether it is held by `identity`, and since when.
    pub(super) async fn read<B>(self, answer: Response<B>, identity: Arc<str>) -> Result<Response<Body>, BoxError>
    where
        B: BodyExt,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.map_err(Into::into)?.to_bytes();
        if parts.status.is_success()
            && let Ok(lease) = serde_json::from_slice::<Lease>(&bytes)
        {
            let told = Lead::told_by(&lease.spec.unwrap_or_default(), &identity, Moment::now());
            self.0.lock().unwrap_or_else(PoisonError::into_inner).learn(told);
        }
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }

    fn set(&self, lead: Lead) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lead;
    }
}

impl Lead {
    /// What a Lease says, read at `read`. Only the API server knows: a renewal may have been sent for what was another's already.
    fn told_by(lease: &LeaseSpec, identity: &str, read: Moment) -> Self {
        if lease.holder_identity.as_deref() != Some(identity) {
            return Self::Others;
        }
        let lasts = lease.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        match (&lease.renew_time, lasts) {
            (Some(renewed), Some(seconds)) => Self::Ours(Renewal {
                sent: renewed.0,
                read,
                lasts: Duration::from_secs(seconds).saturating_sub(MARGIN),
            }),
            _ => Self::Others,
        }
    }

    /// Who looks at the Lease again renews nothing: what was known of a renewal stays, however the clock on the wall has moved since.
    fn learn(&mut self, told: Self) {
        match (&*self, &told) {
            (Self::Ours(known), Self::Ours(told)) if known.sent == told.sent => {}
            _ => *self = told,
        }
    }

    /// Whether something may be written at `now`.
    fn allows(&self, now: Moment) -> Result<(), Refused> {
        match self {
            Self::Alone => Ok(()),
            Self::Others => Err(Refused::Follows),
            Self::Ours(renewal) => {
                let age = renewal.age(now);
                if age < renewal.lasts {
                    Ok(())
                } else {
                    Err(Refused::RanOut { age })
                }
            }
        }
    }
}

impl Renewal {
    fn age(&self, now: Moment) -> Duration {
        let since_sent = |until: Timestamp| Duration::try_from(until.duration_since(self.sent)).unwrap_or_default();
        let by_monotonic = since_sent(self.read.wall) + now.monotonic.saturating_duration_since(self.read.monotonic);
        by_monotonic.max(since_sent(now.wall))
    }
}

impl Moment {
    fn now() -> Self {
        Self {
            wall: Timestamp::now(),
            monotonic: Instant::now(),
        }
    }
}

/// Whether a request may change something. A command in a container begins with a GET that asks for another protocol.
fn changes<B>(request: &Request<B>) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD) || request.headers().contains_key(header::UPGRADE)
}

#[cfg(test)]
mod tests;
