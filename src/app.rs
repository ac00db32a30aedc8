//! The application: everything below, wired together.

pub mod access;
pub mod hook;
pub mod lead;
pub mod serve;

pub use serve::{ServeError, serve};
