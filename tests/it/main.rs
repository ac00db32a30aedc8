//! Integration tests.

mod cli;
mod log;
mod server;
