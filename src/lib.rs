//! graftling: a preview environment for every Git branch.
//!
//! The map of the code, its layers and its invariants are in `ARCHITECTURE.md`.

pub mod domain;
pub mod githost;
pub mod render;
