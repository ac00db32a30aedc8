//! Integration tests.

mod architecture;
mod cli;
mod e2e;
mod githost;
mod log;
mod render;
mod sandbox;
mod server;
mod world;
