//! Reading and rendering bundles where they can hurt nobody: in worker processes with limits.
//!
//! A [`Renderer`] keeps the workers. `directory` reads a bundle's files from the disk.

mod directory;
mod error;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::domain::bundle::{Bundle, BundleFiles, BundleSummary};
use crate::domain::render::{self, RenderContext, Rendered};
pub use directory::load_directory;
pub use error::{Error, Limit};

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
    settings: Arc<RendererSettings>,
    places: Arc<Semaphore>,
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
    /// A renderer without a worker yet: the first request starts one.
    pub fn new(settings: RendererSettings) -> Self {
        Self {
            places: Arc::new(Semaphore::new(settings.workers)),
            settings: Arc::new(settings),
        }
    }

    /// Reads a bundle and renders it.
    ///
    /// # Errors
    ///
    /// The problems of the bundle or of its templates; or the limit that it exceeds.
    pub async fn render(&self, files: &Arc<BundleFiles>, context: RenderContext) -> Result<Rendered, Error> {
        let files = files.clone();
        self.on_a_thread(move || {
            let bundle = Bundle::parse(files.files()).map_err(|problems| Error::ParseBundle { problems })?;
            render::render(&bundle, &context).map_err(Error::RenderBundle)
        })
        .await
    }

    /// Reads a bundle, and says what it is.
    ///
    /// # Errors
    ///
    /// The problems of the bundle, or the limit that it exceeds.
    pub async fn check(&self, files: &Arc<BundleFiles>) -> Result<BundleSummary, Error> {
        let files = files.clone();
        self.on_a_thread(move || {
            let bundle = Bundle::parse(files.files()).map_err(|problems| Error::ParseBundle { problems })?;
            Ok(bundle.summary())
        })
        .await
    }

    async fn on_a_thread<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let place = self.places.clone().acquire_owned().await.ok();
        let limits = self.settings.limits;
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        let exceeded = Error::Exceed {
            limit: Limit::Wall,
            limits,
        };
        tokio::time::timeout(limits.wall, work)
            .await
            .map_err(|_| exceeded)?
            .unwrap_or(Err(Error::EndWorker {
                ending: "it panicked".into(),
            }))
    }
}
