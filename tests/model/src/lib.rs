//! The decisions of graftling against a model of the API server and of Git, explored exhaustively to a stated bound.
//!
//! The decisions are not modelled: the roster, plans, adoption, the inventory and the status are the functions that ship. What is modelled
//! is everything around them, and what can happen to it. `tests/reports/model-check.md` explains the method.

pub mod action;
pub mod bounds;
pub mod config;
pub mod explore;
pub mod fair;
mod names;
mod replica;
pub mod report;
pub mod request;
mod server;
pub mod step;
pub mod world;
