//! Tests of the testbed itself: what other tests stand on must hold.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod binaries;
mod command;
mod control_plane;
mod failure;
mod fault_proxy;
mod helm;
mod lifetime;
mod node;
mod repository;
mod webhook;
