//! Kills the server at every write of an environment's life, lies to it at every read, and judges what becomes of it.
//!
//! The run without faults tells which writes there are and how it all ends. Every other run has to end the same. Nothing about a
//! scenario is asserted by hand.

mod bundle;
mod cell;
mod history;
mod injection;
mod kinds;
mod names;
mod oracle;
pub mod plan;
pub mod report;
mod scenario;
mod stage;
mod state;
pub mod store;

use std::path::PathBuf;
use std::time::Duration;

pub use cell::{Baseline, Cell, Outcome, Verdict, baseline, reads, run};
pub use history::Recorder;
pub use injection::{Again, EventPlace, Injection, Place, When};
pub use kinds::Kind;
pub use oracle::Evidence;
pub use scenario::Scenario;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{ControlPlane, repository, subject};

/// What all cells share.
pub struct Bench {
    plane: &'static ControlPlane,
    program: PathBuf,
    quiet: Duration,
    logs: Option<PathBuf>,
    kinds: Vec<Kind>,
    recorder: Recorder,
    busy: Semaphore,
}

/// How many cells do something at a time; any number of them can be quiet. Much more on two cores would only wait for each other, and
/// then a slow machine would be taken for a fault.
const BUSY: usize = 8;

/// Why a cell could not be run or judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The installation does not do as told.
    #[error("the installation does not do as told")]
    Subject(#[from] subject::Error),
    /// The repository does not do as told.
    #[error("the repository does not do as told")]
    Git(#[source] repository::Error),
    /// There is no proxy.
    #[error("cannot start the fault proxy")]
    Proxy(#[source] std::io::Error),
    /// A request of the sweep itself failed.
    #[error("cannot {action}")]
    Request {
        /// What the request was to do.
        action: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// The scenario did not come to its end.
    #[error("L1: it does not come to its end; it says: {0}")]
    NoEnd(String),
    /// It came to its end and goes on writing.
    #[error("L1: it does not come to rest")]
    NoRest,
    /// The run without faults is not as it has to be.
    #[error("the run without faults: {0}")]
    Baseline(String),
}

impl Error {
    /// The error of a request that was to do this.
    fn request(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Error {
        let action = action.into();
        move |source| Error::Request {
            action,
            source: Box::new(source),
        }
    }
}

impl Bench {
    /// Prepares a control plane for cells: the definitions, the kinds, and the witness of what comes and goes. `quiet` is how long
    /// nothing may be written at the end of each cell; logs of runs that failed go into the folder `logs`.
    ///
    /// # Errors
    /// [`Error`] if the control plane does not do as told.
    pub async fn prepare(plane: &'static ControlPlane, program: PathBuf, quiet: Duration, logs: Option<PathBuf>) -> Result<Bench, Error> {
        let client = plane.client().await;
        subject::define(&client).await?;
        let kinds = kinds::discover(&client).await?;
        let recorder = Recorder::start(&client, &kinds);
        Ok(Bench {
            plane,
            program,
            quiet,
            logs,
            kinds,
            recorder,
            busy: Semaphore::new(BUSY),
        })
    }

    /// What the report says of where the cells were run.
    ///
    /// # Errors
    /// [`Error::Request`].
    pub async fn circumstances(&self) -> Result<report::Circumstances, Error> {
        let version = self.plane.client().await.apiserver_version().await;
        let version = version.map_err(Error::request("ask for the version"))?;
        Ok(report::Circumstances {
            day: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            graftling: env!("CARGO_PKG_VERSION").to_owned(),
            kubernetes: format!("{}.{}", version.major, version.minor),
            quiet: self.quiet.as_secs(),
        })
    }

    /// A place among those that do something.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.busy.acquire().await.ok()
    }

    /// Keeps the log of a run that failed. One that cannot be kept is no reason to end the sweep.
    fn keep_log(&self, cell: &Cell, lines: &[String]) {
        let Some(folder) = &self.logs else { return };
        let name: String = cell
            .to_string()
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .collect();
        let _ = std::fs::create_dir_all(folder);
        let _ = std::fs::write(folder.join(format!("{name}.log")), lines.join("\n"));
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.scenario.name(), self.injection)
    }
}
