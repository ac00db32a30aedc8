//! Reading and rendering bundles where they can hurt nobody: in worker processes with limits.
//!
//! A [`Renderer`] keeps the workers: `pool` chooses one, `process` talks with it, `worker` is what it does. `confine` and `filter`
//! are what a process gives up before it sees anything of others. `sandbox` runs other programs in the same way. `directory` reads
//! a bundle's files from the disk.

mod confine;
mod directory;
mod encoding;
mod error;
pub mod exec;
mod filter;
mod pool;
mod process;
mod protocol;
pub mod sandbox;
pub mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::bundle::{BundleFiles, BundleSummary};
use crate::domain::render::{RenderContext, Rendered};
pub use directory::load_directory;
pub use error::{Error, Limit};
use pool::Pool;
pub use protocol::SandboxLevel;
use protocol::{Answer, Work};

/// How workers are found, how many there are, and what each may use.
#[derive(Debug, Clone)]
pub struct RendererSettings {
    /// The program whose hidden command is the worker: this one.
    pub program: PathBuf,
    /// How many workers render at one time, at least one.
    pub workers: usize,
    /// How many requests a worker serves before another takes its place, at least one.
    pub uses: u32,
    /// How long a request waits for a worker.
    pub patience: Duration,
    /// What one rendering may use.
    pub limits: RenderLimits,
}

/// What one rendering may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderLimits {
    /// Time on a processor. The kernel counts in seconds and ends the worker within the second after.
    pub cpu: Duration,
    /// Time that passes, reading the bundle included.
    pub wall: Duration,
    /// Memory beyond what a fresh worker has, in bytes of address space.
    pub memory: u64,
    /// The most bytes of an answer.
    pub answer: usize,
}

/// Reads and renders bundles in worker processes. Clones share the workers.
#[derive(Debug, Clone)]
pub struct Renderer {
    pool: Arc<Pool>,
}

// === impl RendererSettings ===

impl Default for RendererSettings {
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            workers: 2,
            uses: 500,
            patience: Duration::from_secs(10),
            limits: RenderLimits::default(),
        }
    }
}

impl Default for RenderLimits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(2),
            wall: Duration::from_secs(10),
            memory: 256 * 1024 * 1024,
            answer: 48 * 1024 * 1024,
        }
    }
}

// === impl Renderer ===

impl Renderer {
    /// A renderer without a worker yet: the first request starts one, or [`Renderer::warm_up`].
    pub fn new(settings: RendererSettings) -> Self {
        Self { pool: Pool::new(settings) }
    }

    /// Reads a bundle and renders it.
    ///
    /// # Errors
    ///
    /// The problems of the bundle or of its templates; or the limit that it exceeds.
    pub async fn render(&self, files: &Arc<BundleFiles>, context: RenderContext) -> Result<Rendered, Error> {
        match self.pool.ask(files, &Work::Render(Box::new(context))).await? {
            Answer::Rendered(rendered) => Ok(rendered),
            other => Err(refused(other)),
        }
    }

    /// Reads a bundle, and says what it is.
    ///
    /// # Errors
    ///
    /// The problems of the bundle, or the limit that it exceeds.
    pub async fn check(&self, files: &Arc<BundleFiles>) -> Result<BundleSummary, Error> {
        match self.pool.ask(files, &Work::Check).await? {
            Answer::Summary(summary) => Ok(summary),
            other => Err(refused(other)),
        }
    }

    /// Starts the workers, so that the first request finds one.
    pub fn warm_up(&self) {
        self.pool.fill();
    }

    /// What keeps workers in, once the first has started.
    pub fn level(&self) -> Option<SandboxLevel> {
        self.pool.level()
    }
}

fn refused(answer: Answer) -> Error {
    match answer {
        Answer::Problems(problems) => Error::ParseBundle { problems },
        Answer::Errors(errors) => Error::RenderBundle(errors),
        Answer::Unknown | Answer::Summary(_) | Answer::Rendered(_) => Error::EndWorker {
            ending: "it answered what was not asked".to_owned(),
        },
    }
}
