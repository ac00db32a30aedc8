//! Integration tests.

mod githost;
