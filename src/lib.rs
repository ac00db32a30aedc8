//! graftling: a preview environment for every Git branch.
//!
//! The map of the code, its layers and its invariants are in `ARCHITECTURE.md`.

pub mod api;
<<<<<<< HEAD
pub mod cluster;
pub mod controller;
pub mod domain;
pub mod githost;
pub mod metrics;
pub mod server;
=======
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod githost;
pub mod telemetry;
>>>>>>> cli
