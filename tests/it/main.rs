//! Integration tests.

mod architecture;
mod charts;
mod checkout;
mod cli;
mod contest;
mod context;
mod e2e;
mod fuzz;
mod githost;
mod helm_parity;
mod helpers;
mod log;
mod node;
mod render;
mod sandbox;
mod server;
mod stages;
mod twins;
mod versions;
mod why;
mod world;
