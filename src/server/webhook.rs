//! `POST /hooks/<namespace>/<githost>`: limit, verify the raw bytes, parse, leave the hints in the inbox, answer.
//!
//! Nothing on this path waits for Kubernetes or for a Git host, and nothing of the body is believed before its signature is.

mod answer;
mod body;
mod journal;

use std::sync::Arc;

use futures::Stream;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method};
use jiff::Timestamp;
use warp::reply::Response;
use warp::{Buf, Filter as _};

use self::answer::{Accepted, Refusal};
use self::body::{Arriving, BodyBudget};
use self::journal::Journal;
use super::Routes;
use crate::controller::inbox::{Inbox, Offer, PendingComment};
use crate::domain::event::{BranchHint, Delivery, DeliveryId, Hint};
use crate::domain::name::{GitHostKey, Namespace, ObjectName};
use crate::githost::endpoint::{Endpoint, Endpoints};
use crate::githost::{payload, signature};
use crate::metrics::Metrics;

pub use self::body::BodyLimits;

/// The routes of the webhook listener.
///
/// # Guarantees
/// - 202 or 200 is answered only to a body whose signature is right, and 202 `accepted` only when all its hints are in the inbox.
/// - The sender sees a status and fixed words; why exactly stands in the log and in `metrics`.
/// - Every request is counted once and makes at most one log line.
pub fn routes(endpoints: Endpoints, inbox: Inbox, limits: BodyLimits, metrics: Metrics) -> Routes {
    let receiver = Arc::new(Receiver {
        endpoints,
        inbox,
        limits,
        budget: BodyBudget::new(limits),
        journal: Journal::new(),
        metrics: metrics.clone(),
    });
    let hook = warp::path("hooks")
        .and(warp::path::param::<Namespace>())
        .and(warp::path::param::<ObjectName>())
        .and(warp::path::end())
        .map(|namespace, name| GitHostKey { namespace, name });
    hook.and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .and(warp::any().map(move || Arc::clone(&receiver)))
        .then(receive)
        .or(warp::any().map(move || elsewhere(&metrics)))
        .unify()
        .boxed()
}

/// What every request shares.
struct Receiver {
    endpoints: Endpoints,
    inbox: Inbox,
    limits: BodyLimits,
    budget: BodyBudget,
    journal: Journal,
    metrics: Metrics,
}

async fn receive<S, B>(key: GitHostKey, method: Method, headers: HeaderMap, body: S, receiver: Arc<Receiver>) -> Response
where
    S: Stream<Item = Result<B, warp::Error>> + Send + 'static,
    B: Buf + Send + 'static,
{
    let mut arriving = Arriving::new(body);
    let response = receiver.answer(&key, &method, &headers, &mut arriving).await;
    if !arriving.ended() {
        tokio::spawn(arriving.discard(receiver.limits));
    }
    response
}

/// The answer outside of `/hooks/…`: the same as for an endpoint that does not exist.
fn elsewhere(metrics: &Metrics) -> Response {
    metrics.delivery(None, Refusal::UnknownEndpoint.result());
    Refusal::UnknownEndpoint.response()
}

// === impl Receiver ===

impl Receiver {
    /// Decides on a request, counts it, logs it and words the answer.
    async fn answer<S, B>(&self, key: &GitHostKey, method: &Method, headers: &HeaderMap, body: &mut Arriving<S>) -> Response
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        let endpoint = self.endpoints.get(key);
        let provider = endpoint.as_ref().map(|endpoint| endpoint.provider);
        let delivery = provider.map_or_else(DeliveryId::default, |provider| payload::delivery_id(provider, headers));
        let decided = match endpoint {
            _ if method != Method::POST => Err(Refusal::MethodNotAllowed),
            None => Err(Refusal::UnknownEndpoint),
            Some(endpoint) => self.deliver(key, &endpoint, headers, &delivery, body).await,
        };
        match decided {
            Ok(accepted) => {
                self.metrics.delivery(provider, accepted.result());
                self.journal.accepted(key, &delivery, &accepted);
                accepted.response()
            }
            Err(refusal) => {
                self.metrics.delivery(provider, refusal.result());
                self.journal.refused(key, &delivery, &refusal);
                refusal.response()
            }
        }
    }

    async fn deliver<S, B>(
        &self,
        key: &GitHostKey,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        delivery: &DeliveryId,
        body: &mut Arriving<S>,
    ) -> Result<Accepted, Refusal>
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        check_media(headers)?;
        let body = self.budget.read(body, declared_length(headers)).await.map_err(Refusal::Read)?;
        let verified = signature::verify(endpoint.provider, &endpoint.secret, headers, body.as_bytes(), Timestamp::now());
        verified.map_err(Refusal::Signature)?;
        match payload::parse(endpoint.provider, headers, body.as_bytes()).map_err(Refusal::Payload)? {
            Delivery::Hints(hints) => self.offer(key, hints, delivery),
            Delivery::Comment(hint) => self.offer_comment(PendingComment { host: key.clone(), hint }),
            Delivery::Ping => Ok(Accepted::Pong),
            Delivery::Ignored(reason) => Ok(Accepted::Ignored(reason)),
        }
    }

    /// Offers every hint, also after one was refused: what does find a place is looked at all the sooner, and a repetition of the
    /// delivery coalesces with it.
    fn offer(&self, key: &GitHostKey, hints: Vec<BranchHint>, delivery: &DeliveryId) -> Result<Accepted, Refusal> {
        let branches = hints.len();
        let mut refused = false;
        for hint in hints {
            let offer = self.inbox.offer(Hint {
                host: key.clone(),
                repository: hint.repository,
                branch: hint.branch,
                happening: hint.happening,
                delivery: delivery.clone(),
            });
            refused |= matches!(offer, Offer::Full | Offer::Closed);
        }
        if refused {
            Err(Refusal::InboxFull)
        } else {
            Ok(Accepted::Hints { branches })
        }
    }

    fn offer_comment(&self, comment: PendingComment) -> Result<Accepted, Refusal> {
        match self.inbox.offer_comment(comment) {
            Offer::Queued | Offer::Coalesced => Ok(Accepted::Hints { branches: 1 }),
            Offer::Full | Offer::Closed => Err(Refusal::InboxFull),
        }
    }
}

/// Refuses what would have to be unpacked or unescaped before it can be parsed.
fn check_media(headers: &HeaderMap) -> Result<(), Refusal> {
    let encoded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(Refusal::Encoded);
    }
    let form = text(headers, &CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    if form { Err(Refusal::Form) } else { Ok(()) }
}

/// The length that the sender claims, if it claims one that can be read.
fn declared_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &CONTENT_LENGTH)?.parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
