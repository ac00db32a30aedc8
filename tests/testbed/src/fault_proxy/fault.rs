//! What goes wrong, and the answers that a server would give then.

use std::time::Duration;

use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::gate::Gate;
use super::stream::Body;

/// What happens to a request or a watch event.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is late. Delays of several rules add up, and another fault may follow.
    Delay(Duration),
    /// The connection is closed and the server is never asked.
    DropBefore,
    /// The connection is reset in place of an answer, and the server is never asked.
    ResetBefore,
    /// The server has answered; the connection is closed and the client is never told.
    DropAfter,
    /// The server has answered; the connection is reset and the client is never told.
    ResetAfter,
    /// The server is never asked; this is answered in its place.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Seconds for `Retry-After`.
        retry_after: Option<u64>,
        /// The body; without one, a `Status` as an API server writes it, or a JSON message from any other server.
        body: Option<String>,
    },
    /// The server has answered; this is answered in its place, as 504 by a server or load balancer that lost patience.
    AnswerAfter {
        /// The HTTP status.
        status: u16,
    },
    /// The connection is closed after so many bytes of the answer's body.
    CutBody {
        /// How many bytes the client gets.
        after: usize,
    },
    /// The answer's body stops after so many bytes and goes on later.
    StallBody {
        /// How many bytes the client gets at first.
        after: usize,
        /// How long nothing comes.
        pause: Duration,
    },
    /// A get or list is answered as it was at an older resource version; a watch begins there. Others pass.
    Stale {
        /// The resource version. The server forgets those that are older than five minutes.
        version: String,
    },
    /// An event of a watch is not passed on. Its rule counts events, and asks for namespace and name of the event's object.
    SwallowEvent,
    /// The answer ends after so long, as a server ends a watch whose time is over.
    CutWatchAfter(Duration),
    /// The request stands at the gate before the server is asked.
    HoldBefore(Gate),
    /// The answer stands at the gate after the server has given it.
    HoldAfter(Gate),
}

impl Fault {
    /// This status in place of an answer, with the body that the server itself would give.
    pub fn answer(status: u16) -> Self {
        Self::Answer {
            status,
            retry_after: None,
            body: None,
        }
    }

    /// 429, with or without a time to wait in seconds.
    pub fn too_many(retry_after: Option<u64>) -> Self {
        Self::Answer {
            status: 429,
            retry_after,
            body: None,
        }
    }

    /// A web page in place of an answer, as from a proxy that wants a login.
    pub fn page(status: u16) -> Self {
        Self::Answer {
            status,
            retry_after: None,
            body: Some("<!DOCTYPE html><title>Sign in</title>".to_owned()),
        }
    }

    /// What an API server answers to a watch from a version that it has forgotten: 200, and the error as an event.
    pub fn expired() -> Self {
        let event = json!({ "type": "ERROR", "object": status_object(410, None) });
        Self::Answer {
            status: 200,
            retry_after: None,
            body: Some(format!("{event}\n")),
        }
    }

    /// Its name in the log of exchanges.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Delay(_) => "Delay",
            Self::DropBefore => "DropBefore",
            Self::DropAfter => "DropAfter",
            Self::ResetBefore => "ResetBefore",
            Self::ResetAfter => "ResetAfter",
            Self::Answer { .. } => "Answer",
            Self::AnswerAfter { .. } => "AnswerAfter",
            Self::CutBody { .. } => "CutBody",
            Self::StallBody { .. } => "StallBody",
            Self::Stale { .. } => "Stale",
            Self::SwallowEvent => "SwallowEvent",
            Self::CutWatchAfter(_) => "CutWatchAfter",
            Self::HoldBefore(_) => "HoldBefore",
            Self::HoldAfter(_) => "HoldAfter",
        }
    }
}

/// The body that a server gives with a status.
pub(super) fn usual_body(kubernetes: bool, status: u16, retry_after: Option<u64>) -> String {
    if kubernetes {
        status_object(status, retry_after).to_string()
    } else {
        json!({ "message": format!("the fault proxy answers {status}") }).to_string()
    }
}

/// An answer of our own.
pub(super) fn respond(status: u16, retry_after: Option<u64>, body: String) -> Response<Body> {
    let kind = if body.starts_with('<') { "text/html" } else { "application/json" };
    let mut response = Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A `Status` as an API server writes it.
pub(super) fn status_object(status: u16, retry_after: Option<u64>) -> Value {
    let reason = match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let mut object = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": format!("the fault proxy answers {status} {reason}"),
        "reason": reason,
        "code": status,
    });
    if let Some(seconds) = retry_after {
        object["details"] = json!({ "retryAfterSeconds": seconds });
    }
    object
}
