//! Integration tests.

mod architecture;
mod cli;
mod e2e;
mod githost;
mod helm_parity;
mod helpers;
mod log;
mod render;
mod server;
mod world;
