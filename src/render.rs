//! Reading and rendering bundles where they can hurt nobody: in worker processes with limits.
//!
//! A [`Renderer`] keeps the workers: `pool` chooses one, `process` talks with it, `worker` is what it does. `confine` and `filter`
//! are what a process gives up before it sees anything of others. `sandbox` runs other programs in the same way. `directory` reads
//! a bundle's files from the disk. `helm` renders the chart that a bundle may name.

mod confine;
mod directory;
mod encoding;
mod error;
pub mod exec;
mod filter;
mod helm;
mod pool;
mod process;
mod protocol;
pub mod sandbox;
pub mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::bundle::{BundleFiles, BundleSummary};
use crate::domain::policy::AllowedKeys;
use crate::domain::render::{Document, Layer, Release, RenderContext, Rendered};
pub use directory::load_directory;
pub use error::{Error, Limit};
use helm::Helm;
pub use helm::HelmSettings;
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
    /// How charts are rendered.
    pub helm: HelmSettings,
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
    helm: Helm,
}

// === impl RendererSettings ===

impl RendererSettings {
    /// One worker, for a command that ends soon.
    pub fn for_one_command() -> Self {
        Self {
            workers: 1,
            ..Self::default()
        }
    }
}

impl Default for RendererSettings {
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            workers: 2,
            uses: 500,
            patience: Duration::from_secs(10),
            limits: RenderLimits::default(),
            helm: HelmSettings::default(),
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
        let helm = Helm::new(settings.helm.clone(), settings.program.clone());
        let pool = Pool::new(settings);
        Self { pool, helm }
    }

    /// Reads a bundle and renders it.
    ///
    /// # Errors
    ///
    /// The problems of the bundle or of its templates; or the limit that it exceeds.
    pub async fn render(&self, files: &Arc<BundleFiles>, context: RenderContext) -> Result<Rendered, Error> {
        let mut rendered = self.rendered(files, Work::Render(Box::new(context))).await?;
        if let Some(release) = rendered.release.take() {
            rendered.documents.extend(self.chart(files, release).await?);
        }
        Ok(rendered)
    }

    /// What helm gives for a release. It is text from outside like any other, so a worker reads it.
    async fn chart(&self, files: &Arc<BundleFiles>, release: Release) -> Result<Vec<Document>, Error> {
        let key = self.helm.key(files, &release);
        if let Some(documents) = self.helm.kept(&key) {
            return Ok(documents);
        }
        let output = self.helm.output(files, &release).await?;
        let size = output.len();
        let documents = self.rendered(files, Work::Read(Box::new(release), output)).await?.documents;
        self.helm.keep(key, &documents, size);
        Ok(documents)
    }

    async fn rendered(&self, files: &Arc<BundleFiles>, work: Work) -> Result<Rendered, Error> {
        match self.pool.ask(files, &work).await? {
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

    /// Reads the file that a branch has for itself. Whoever can push to the branch wrote it, so it is no safer than a template.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, or with the bundle; or the limit that they exceed.
    pub async fn branch_file(&self, files: &Arc<BundleFiles>, bytes: Vec<u8>, allowed: AllowedKeys) -> Result<Layer, Error> {
        match self.pool.ask(files, &Work::BranchFile(bytes, allowed)).await? {
            Answer::BranchFile(Ok(layer)) => Ok(layer),
            Answer::BranchFile(Err(problems)) => Err(Error::ReadBranchFile { problems }),
            other => Err(refused(other)),
        }
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
        Answer::Unknown | Answer::Summary(_) | Answer::Rendered(_) | Answer::BranchFile(_) => Error::EndWorker {
            ending: "it answered what was not asked".to_owned(),
        },
    }
}
