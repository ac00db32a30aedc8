//! The application: everything below, wired together.

pub mod access;

use crate::config::Config;
pub use crate::githost::plain::hook;

/// Why the server ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no server yet.
    #[error("not built yet")]
    NotBuilt,
}

/// Runs the server until a signal ends it.
///
/// # Errors
/// The server could not start, or could not go on.
pub async fn serve(_config: Config) -> Result<(), ServeError> {
    Err(ServeError::NotBuilt)
}
