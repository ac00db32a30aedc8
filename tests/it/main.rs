//! Integration tests.

mod cli;
mod server;
