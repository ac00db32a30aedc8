//! A real Kubernetes control plane, a real node and real Git repositories, for tests, benches and the demo.

pub mod audit;
pub mod binaries;
pub mod command;
pub mod control_plane;
mod crypto;
pub mod github;
pub mod helm;
pub mod https;
mod namespace;
pub mod node;
mod process;
mod random;
pub mod repository;
mod scratch;
pub mod wait;
pub mod webhook;

pub use audit::{AuditEvent, AuditLog, Position};
pub use command::{Invocation, Running};
pub use control_plane::ControlPlane;
pub use namespace::TestNamespace;
pub use node::Node;
pub use repository::Repository;

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
