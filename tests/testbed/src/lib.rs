//! A real Kubernetes control plane, a real node and real Git repositories, for tests, benches and the demo.

pub mod audit;
pub mod binaries;
pub mod bitbucket;
pub mod clock;
pub mod command;
pub mod contest;
pub mod control_plane;
pub mod crash_sweep;
mod crypto;
mod exchange;
pub mod fault_proxy;
pub mod gitea;
pub mod github;
pub mod gitlab;
pub mod helm;
pub mod host_names;
pub mod https;
mod namespace;
pub mod node;
mod process;
mod random;
mod release;
pub mod repository;
mod scratch;
pub mod storm;
pub mod subject;
pub mod wait;
pub mod webhook;

pub use audit::{AuditEvent, AuditLog, Position};
pub use command::{Invocation, Running};
pub use control_plane::{ControlPlane, configuration};
pub use exchange::unescape;
pub use gitea::Gitea;
pub use namespace::TestNamespace;
pub use node::Node;
pub use release::Release;
pub use repository::Repository;
pub use subject::Subject;

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
