//! How a delivery is answered: every outcome with its status, its fixed words for the sender, and its place in the metrics.

use http::StatusCode;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use serde_json::json;
use warp::reply::Response;

use super::body::ReadError;
use crate::githost::payload::PayloadError;
use crate::githost::signature::SignatureError;
use crate::metrics::DeliveryResult;
use crate::server::reply;

/// A delivery that was verified and understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// Its hints are in the inbox.
    Hints {
        /// How many branches it speaks of.
        branches: usize,
    },
    /// The host tested the endpoint.
    Pong,
    /// It does not concern environments, for this reason.
    Ignored(&'static str),
}

/// A request that was refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The path names no endpoint.
    UnknownEndpoint,
    /// Not a POST.
    MethodNotAllowed,
    /// The body has a content encoding.
    Encoded,
    /// The body is a form.
    Form,
    /// The body could not be read.
    Read(ReadError),
    /// The signature is missing or wrong.
    Signature(SignatureError),
    /// The body is not what its event promises.
    Payload(PayloadError),
    /// The inbox has no place for at least one of the hints.
    InboxFull,
}

/// How many seconds a sender should wait before it tries again; the inbox is emptied far more often.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("10");

impl Accepted {
    pub(super) fn result(&self) -> DeliveryResult {
        match self {
            Self::Hints { .. } => DeliveryResult::Accepted,
            Self::Pong => DeliveryResult::Pong,
            Self::Ignored(_) => DeliveryResult::Ignored,
        }
    }

    pub(super) fn response(&self) -> Response {
        match self {
            Self::Hints { branches } => reply::json(StatusCode::ACCEPTED, &json!({ "result": "accepted", "branches": branches })),
            Self::Pong => reply::json(StatusCode::OK, &json!({ "result": "pong" })),
            Self::Ignored(_) => reply::json(StatusCode::ACCEPTED, &json!({ "result": "ignored" })),
        }
    }
}

impl Refusal {
    pub(super) fn result(&self) -> DeliveryResult {
        match self {
            Self::UnknownEndpoint => DeliveryResult::UnknownEndpoint,
            Self::MethodNotAllowed => DeliveryResult::MethodNotAllowed,
            Self::Encoded | Self::Form => DeliveryResult::UnsupportedMedia,
            Self::Read(ReadError::TooLarge) => DeliveryResult::TooLarge,
            Self::Read(ReadError::TimedOut) => DeliveryResult::TimedOut,
            Self::Read(ReadError::BrokenOff) => DeliveryResult::BrokenOff,
            Self::Read(ReadError::Busy) => DeliveryResult::Busy,
            Self::Signature(_) => DeliveryResult::BadSignature,
            Self::Payload(_) => DeliveryResult::Unparsable,
            Self::InboxFull => DeliveryResult::InboxFull,
        }
    }

    /// Why, more exactly than [`Refusal::result`] says it; for the log, and free of anything the sender wrote.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Signature(error) => Some(error.to_string()),
            // Without the error's source, which may quote a field.
            Self::Payload(error) => Some(error.to_string()),
            Self::Encoded | Self::Form => Some(self.words().1.to_owned()),
            _ => None,
        }
    }

    pub(super) fn response(&self) -> Response {
        let (status, text) = self.words();
        let mut response = reply::error(status, text);
        let headers = response.headers_mut();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }

    fn words(&self) -> (StatusCode, &'static str) {
        match self {
            Self::UnknownEndpoint => (StatusCode::NOT_FOUND, "not found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "send a POST"),
            Self::Encoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the body without a content encoding"),
            Self::Form => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "set the webhook's content type to application/json",
            ),
            Self::Read(ReadError::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            Self::Read(ReadError::TimedOut) => (StatusCode::REQUEST_TIMEOUT, "the body took too long"),
            Self::Read(ReadError::BrokenOff) => (StatusCode::BAD_REQUEST, "the body is incomplete"),
            Self::Read(ReadError::Busy) => (StatusCode::SERVICE_UNAVAILABLE, "busy, try again later"),
            Self::Signature(_) => (StatusCode::UNAUTHORIZED, "the signature is missing or wrong"),
            Self::Payload(_) => (StatusCode::BAD_REQUEST, "the body does not fit its event"),
            Self::InboxFull => (StatusCode::SERVICE_UNAVAILABLE, "full, try again later"),
        }
    }
}
