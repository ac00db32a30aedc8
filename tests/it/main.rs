//! Integration tests.

mod server;
mod cli;
