//! On a real node: pods run, are probed, write logs, and take their time to end. Skipped, and said so, where none can run.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

mod teardown;
mod web;
