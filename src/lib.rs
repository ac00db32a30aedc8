//! graftling: a preview environment for every Git branch.
//!
//! The map of the code, its layers and its invariants are in `ARCHITECTURE.md`.

pub mod api;
pub mod app;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod controller;
pub mod domain;
pub mod githost;
pub mod metrics;
pub mod render;
pub mod server;
pub mod telemetry;
