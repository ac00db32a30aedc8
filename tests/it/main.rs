//! Integration tests.

mod cli;
mod githost;
mod render;
