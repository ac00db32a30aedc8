//! Integration tests.

mod cli;
mod githost;
mod log;
mod server;
