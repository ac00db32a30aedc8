//! The contest: how long graftling takes for an environment, against a raw writer and against what people would use instead.
//!
//! Every contender gets the same task at the same moment, on a control plane of its own, and is judged by a watcher that it knows nothing of:
//! see [`clock`]. `cargo run --release -p testbed --bin contest` runs it.

pub mod baseline;
pub mod clock;
pub mod content;
pub mod deliveries;
pub mod floor;
pub mod graftling;
pub mod guest;
pub mod machine;
pub mod order;
pub mod processes;
pub mod record;
pub mod report;
pub mod stage;
pub mod statistics;
pub mod task;

mod argocd;
mod branches;
mod commands;
mod flux;
mod git_host;
mod gitops;
mod goals;
mod hook;
mod load;
mod measure;
mod picture;
mod script;
mod trace;
mod webhook;

use std::io;
use std::path::PathBuf;

use crate::{binaries, command, control_plane, repository, subject, wait};

/// Builds what is missing of the programs, so that no cell has to. Blocks, the first time for minutes.
///
/// # Errors
/// [`Error::FindProgram`].
pub fn prepare() -> Result<(), Error> {
    binaries::control_plane().map_err(Error::FindProgram)?;
    binaries::pinned_kubectl().map_err(Error::FindProgram)?;
    binaries::helm().map_err(Error::FindProgram)?;
    Ok(())
}

pub use load::{Outcome, run as run_cell};

/// Why a cell of the contest has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No control plane.
    #[error("cannot start a control plane")]
    StartPlane(#[source] control_plane::Error),
    /// A program is missing.
    #[error("cannot find a program")]
    FindProgram(#[source] binaries::Error),
    /// Graftling could not be installed, started or asked.
    #[error("cannot work with graftling")]
    UseGraftling(#[source] subject::Error),
    /// The repository refused.
    #[error("cannot change the repository")]
    ChangeRepository(#[source] repository::Error),
    /// A program that runs all along did not start.
    #[error("cannot start a program")]
    StartProgram(#[source] command::Error),
    /// A delivery was not sent.
    #[error("cannot send a delivery")]
    Deliver(#[source] crate::webhook::Error),
    /// A delivery was not taken.
    #[error("a delivery was answered with {0}")]
    Refused(String),
    /// A command could not be started.
    #[error("cannot run {program}")]
    RunCommand {
        /// Its name.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A command failed.
    #[error("`{command}` failed; it said:\n{output}")]
    Command {
        /// The command line.
        command: String,
        /// What it printed.
        output: String,
    },
    /// A request to the API server failed.
    #[error("cannot {action}")]
    Request {
        /// What the request was to do.
        action: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// Something did not happen in time.
    #[error("waited in vain")]
    Wait(#[source] wait::TimedOut),
    /// A file or socket could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Something that was read is not what it should be.
    #[error("cannot understand {0}")]
    Understand(String),
    /// The contender cannot do what the load asks.
    #[error("{contender} does not take part in {load}")]
    TakesNoPart {
        /// Who.
        contender: String,
        /// In what.
        load: String,
    },
}

impl Error {
    /// An error about a file.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { action, path, source }
    }

    /// An error about a request.
    /// Whether the API server said that the writer may not.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Error::Request { source, .. } if matches!(&**source, kube::Error::Api(status) if status.code == 403))
    }

    pub(crate) fn request(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Error {
        let action = action.into();
        move |source| Error::Request {
            action,
            source: Box::new(source),
        }
    }
}
