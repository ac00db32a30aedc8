//! Integration tests.

mod cli;
mod githost;
