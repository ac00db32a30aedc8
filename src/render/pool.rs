//! The workers of a renderer: who is asked, and who takes the place of one that has ended.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::process::{Alive, Failure, Worker};
use super::protocol::{Answer, SandboxLevel, Work};
use super::{Error, RendererSettings};
use crate::domain::bundle::BundleFiles;

/// The workers, and the places that bound how many work at one time.
#[derive(Debug)]
pub(super) struct Pool {
    settings: RendererSettings,
    places: Semaphore,
    idle: Mutex<VecDeque<Worker>>,
    /// How many processes there are, starting ones included.
    alive: Arc<AtomicUsize>,
    level: OnceLock<SandboxLevel>,
}

impl Pool {
    pub(super) fn new(settings: RendererSettings) -> Arc<Self> {
        Arc::new(Self {
            places: Semaphore::new(settings.workers.max(1)),
            settings,
            idle: Mutex::default(),
            alive: Arc::default(),
            level: OnceLock::new(),
        })
    }

    /// What keeps workers in, once the first has started.
    pub(super) fn level(&self) -> Option<SandboxLevel> {
        self.level.get().copied()
    }

    /// Starts workers in the background until there are as many as may work at one time.
    pub(super) fn fill(self: &Arc<Self>) {
        while self.alive.load(Ordering::Relaxed) < self.settings.workers {
            let (pool, alive) = (self.clone(), Alive::new(&self.alive));
            tokio::spawn(async move {
                match pool.start(alive).await {
                    Ok(worker) => pool.put_back(worker),
                    // The next request tries again, and reports it.
                    Err(error) => tracing::warn!(error = %error, "no rendering process could be started ahead"),
                }
            });
        }
    }

    /// Has a worker do `work`. One that ends for no fault of the request is replaced once.
    pub(super) async fn ask(self: &Arc<Self>, files: &BundleFiles, work: &Work) -> Result<Answer, Error> {
        let _place = self.place().await?;
        let mut last = String::new();
        for is_first in [true, false] {
            let idle = if is_first { self.take(files.digest()) } else { None };
            let mut worker = match idle {
                Some(worker) => worker,
                None => self.start(Alive::new(&self.alive)).await?,
            };
            let asked = worker.ask(files, work, &self.settings).await;
            let is_useful = asked.is_ok() && !worker.is_worn(self.settings.uses);
            if is_useful {
                self.put_back(worker);
            } else {
                drop(worker);
            }
            self.fill();
            match asked {
                Ok(answer) => return Ok(answer),
                Err(Failure::Request(error)) => return Err(error),
                Err(Failure::Elsewhere(ending)) => last = ending,
            }
        }
        Err(Error::EndWorker { ending: last })
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, Error> {
        let patience = self.settings.patience;
        match tokio::time::timeout(patience, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Error::AwaitWorker { patience }),
        }
    }

    async fn start(&self, alive: Alive) -> Result<Worker, Error> {
        let worker = Worker::start(&self.settings, alive).await?;
        if self.level.set(worker.level).is_ok() && worker.level == SandboxLevel::Limited {
            tracing::warn!("this kernel allows no filter of system calls: bundles are rendered within limits on time and memory only");
        }
        Ok(worker)
    }

    /// An idle worker, if possible one that has the bundle compiled, else the one that has rested longest.
    fn take(&self, digest: &str) -> Option<Worker> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain_mut(Worker::is_alive);
        let known = idle.iter().position(|worker| worker.knows(digest));
        match known {
            Some(position) => idle.remove(position),
            None => idle.pop_front(),
        }
    }

    fn put_back(&self, worker: Worker) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push_back(worker);
        // One that was started ahead may have come after a request had started its own.
        while idle.len() > self.settings.workers.max(1) {
            idle.pop_front();
        }
    }
}
