//! What the process answers over HTTP: webhooks on one listener, probes and metrics on another.
//!
//! Everything here suspects its peer: sizes, times and numbers are bounded before anything is believed, and nothing that is said
//! to the outside comes from an internal error.

pub mod admin;
pub mod listener;
pub mod readiness;
mod reply;
pub mod webhook;

/// The routes of one listener: every request gets an answer, none a rejection.
pub type Routes = warp::filters::BoxedFilter<(warp::reply::Response,)>;
