//! Integration tests.

mod log;
mod server;
