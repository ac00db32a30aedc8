//! The application: everything below, wired together.

pub mod access;
mod audiences;
pub mod lead;
pub mod plan;
pub mod serve;
mod sources;
pub mod unstick;

pub use crate::githost::plain::hook;
pub use serve::{ServeError, serve};
