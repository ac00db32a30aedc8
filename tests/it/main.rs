//! Integration tests.

mod architecture;
mod charts;
mod cli;
mod e2e;
mod githost;
mod log;
mod render;
mod sandbox;
mod server;
mod twins;
mod world;
