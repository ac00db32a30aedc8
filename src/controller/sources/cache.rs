//! Files that were fetched, by what names their content. Least recently used first out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

use super::Error;
use crate::domain::bundle::BundleFiles;
use crate::domain::git::{RepositoryId, Revision, TreePath};
use crate::domain::name::GitHostKey;
use crate::domain::policy::Sha256;

/// What names content for good: it can never mean other bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A path in a commit.
    Commit {
        /// The host.
        host: GitHostKey,
        /// The repository.
        repository: RepositoryId,
        /// The commit.
        revision: Revision,
        /// The path.
        path: TreePath,
    },
    /// An archive by its digest.
    Archive(Sha256),
}

/// The cache. Clones share it.
///
/// # Guarantees
/// Equal content is held once, under however many names. What is asked for by several at one time is fetched once, and the fetch ends
/// even if nobody waits for it any more. A failure is not kept.
#[derive(Clone)]
pub(super) struct Cache {
    state: Arc<Mutex<State>>,
    slots: Arc<Semaphore>,
}

type Answer = Result<Arc<BundleFiles>, Arc<Error>>;

#[derive(Default)]
struct State {
    budget: usize,
    names: HashMap<Key, Name>,
    contents: HashMap<String, Content>,
    flights: HashMap<Key, Shared<BoxFuture<'static, Answer>>>,
    size: usize,
    clock: u64,
}

struct Name {
    digest: String,
    used: u64,
}

struct Content {
    files: Arc<BundleFiles>,
    names: usize,
}

/// What a name costs, roughly, in bytes.
const NAME: usize = 512;
/// So many fetches run at one time.
const CONCURRENT_FETCHES: usize = 4;

impl Cache {
    /// An empty cache that holds at most `budget` bytes.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                budget,
                ..State::default()
            })),
            slots: Arc::new(Semaphore::new(CONCURRENT_FETCHES)),
        }
    }

    /// What `key` names, from the cache, from a fetch under way, or by `fetch`.
    pub(super) async fn get(&self, key: Key, fetch: impl Future<Output = Result<BundleFiles, Error>> + Send + 'static) -> Answer {
        let flight = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(files) = state.find(&key) {
                return Ok(files);
            }
            match state.flights.get(&key) {
                Some(flight) => flight.clone(),
                None => {
                    let flight = self.depart(key.clone(), fetch);
                    state.flights.insert(key, flight.clone());
                    flight
                }
            }
        };
        flight.await
    }

    /// Starts a fetch in a task of its own.
    fn depart(
        &self,
        key: Key,
        fetch: impl Future<Output = Result<BundleFiles, Error>> + Send + 'static,
    ) -> Shared<BoxFuture<'static, Answer>> {
        let (state, slots) = (self.state.clone(), self.slots.clone());
        let task = tokio::spawn(async move {
            let flight = Landing {
                state: state.clone(),
                key: key.clone(),
            };
            let slot = slots.acquire().await;
            let answer = fetch.await.map(Arc::new).map_err(Arc::new);
            drop(slot);
            if let Ok(files) = &answer {
                state.lock().unwrap_or_else(PoisonError::into_inner).keep(key, files);
            }
            drop(flight);
            answer
        });
        async move { task.await.unwrap_or_else(|_| Err(Arc::new(Error::Await))) }
            .boxed()
            .shared()
    }
}

/// Takes a fetch off the list when it ends, a panic included.
struct Landing {
    state: Arc<Mutex<State>>,
    key: Key,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.flights.remove(&self.key);
    }
}

impl State {
    fn find(&mut self, key: &Key) -> Option<Arc<BundleFiles>> {
        self.clock += 1;
        let name = self.names.get_mut(key)?;
        name.used = self.clock;
        Some(self.contents.get(&name.digest)?.files.clone())
    }

    fn keep(&mut self, key: Key, files: &Arc<BundleFiles>) {
        self.forget(&key);
        self.clock += 1;
        let digest = files.digest().to_owned();
        let content = self.contents.entry(digest.clone()).or_insert_with(|| {
            self.size += files.size();
            Content {
                files: files.clone(),
                names: 0,
            }
        });
        content.names += 1;
        self.size += NAME;
        let used = self.clock;
        self.names.insert(key, Name { digest, used });
        while self.size > self.budget {
            let Some(oldest) = self.names.iter().min_by_key(|(_, name)| name.used).map(|(key, _)| key.clone()) else {
                return;
            };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &Key) {
        let Some(name) = self.names.remove(key) else { return };
        self.size -= NAME;
        if let Some(content) = self.contents.get_mut(&name.digest) {
            content.names -= 1;
            if content.names == 0 {
                self.size -= content.files.size();
                self.contents.remove(&name.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
