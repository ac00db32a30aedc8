//! A real Kubernetes control plane and real Git repositories, for tests, benches and the demo.

pub mod audit;
pub mod binaries;
pub mod control_plane;
mod crypto;
mod process;
mod scratch;
pub mod wait;

pub use audit::{AuditEvent, AuditLog, Position};
pub use control_plane::ControlPlane;

/// An error with all its causes on one line, for people.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
