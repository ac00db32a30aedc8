//! What becomes of an environment when the API server answers badly, late or not at all: a proxy stands before the real one.
//!
//! The proxy is between graftling and the API server alone. What a test does and looks at goes around it.

mod definitions;
mod ending;
mod lost;
mod memory;
mod names;
mod refused;
mod resets;
mod stale;
mod watches;
