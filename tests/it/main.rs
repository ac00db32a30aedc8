//! Integration tests.

mod render;
