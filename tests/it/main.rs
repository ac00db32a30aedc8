//! Integration tests.

mod architecture;
mod cli;
mod log;
mod server;
