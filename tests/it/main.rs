//! Integration tests.

mod architecture;
mod cli;
mod context;
mod e2e;
mod githost;
mod log;
mod render;
mod server;
mod world;
