//! The short JSON answers that the outside sees.

use http::StatusCode;
use serde_json::{Value, json};
use warp::Reply as _;
use warp::reply::Response;

/// `body` as JSON.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    warp::reply::with_status(warp::reply::json(body), status).into_response()
}

/// `{"error": "<text>"}`; the text is fixed, so that no internal error can reach it.
pub(super) fn error(status: StatusCode, text: &'static str) -> Response {
    json(status, &json!({ "error": text }))
}
