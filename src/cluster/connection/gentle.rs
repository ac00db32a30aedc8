//! Work that has time: it leaves the API server to whoever is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

tokio::task_local! {
    static PLACES: Places;
}

/// So many requests of all such work are under way at a time. An API server that is busy answers each of them about as fast as it would
/// more of them; and a push, whose requests go one after the other, waits behind each for these few and no more.
const AT_ONCE: usize = 4;

/// So many while there is other work: never none, or where somebody always pushes, nothing would ever be torn down.
const BESIDE_OTHERS: usize = 1;

/// The places of one connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    beside_others: Arc<Semaphore>,
    /// How much other work is under way.
    others: Arc<AtomicUsize>,
}

/// A place for one request.
#[derive(Debug)]
pub(super) struct Place {
    _one: OwnedSemaphorePermit,
    _beside_others: Option<OwnedSemaphorePermit>,
}

/// Other work under way, until it is dropped.
struct Other(Arc<AtomicUsize>);

impl Default for Places {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            beside_others: Arc::new(Semaphore::new(BESIDE_OTHERS)),
            others: Arc::default(),
        }
    }
}

impl Places {
    /// Does `work`, whose requests share these places.
    ///
    /// # Guarantees
    /// Nothing of other work waits for them, nor what `work` hands to tasks of their own.
    pub(super) async fn share<T>(&self, work: impl Future<Output = T>) -> T {
        PLACES.scope(self.clone(), work).await
    }

    /// Does `work` that somebody waits for. Meanwhile there are fewer places.
    pub(super) async fn yield_to<T>(&self, work: impl Future<Output = T>) -> T {
        self.others.fetch_add(1, Ordering::Relaxed);
        let _other = Other(self.others.clone());
        work.await
    }

    async fn take(self) -> Option<Place> {
        let one = self.all.acquire_owned().await.ok()?;
        let beside_others = match self.others.load(Ordering::Relaxed) {
            0 => None,
            _ => Some(self.beside_others.acquire_owned().await.ok()?),
        };
        Some(Place {
            _one: one,
            _beside_others: beside_others,
        })
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place for one request of such work; any other needs none.
pub(super) async fn place() -> Option<Place> {
    let places = PLACES.try_with(Clone::clone).ok()?;
    places.take().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Whether a place is there without waiting.
    async fn is_free() -> bool {
        tokio::time::timeout(Duration::ZERO, place()).await.is_ok()
    }

    #[tokio::test]
    async fn f48_gentle_work_has_few_requests_under_way_and_other_work_waits_for_none_of_them() {
        let places = Places::default();
        let taken = places
            .share(async { futures::future::join_all((0..AT_ONCE).map(|_| place())).await })
            .await;
        assert!(!places.share(is_free()).await);
        assert!(is_free().await, "a push is not among them");
        drop(taken);
        assert!(places.share(is_free()).await);
    }

    #[tokio::test]
    async fn f48_gentle_work_goes_one_by_one_while_somebody_is_waited_for_and_does_not_stop() {
        let places = Places::default();
        let busy = places.yield_to(async {
            let first = places.share(place()).await;
            assert!(first.is_some() && !places.share(is_free()).await, "one at a time");
            drop(first);
            assert!(places.share(is_free()).await, "the next");
            assert!(is_free().await, "whoever is waited for");
        });
        busy.await;
        let taken = places
            .share(async { futures::future::join_all((0..AT_ONCE).map(|_| place())).await })
            .await;
        assert_eq!(taken.iter().flatten().count(), AT_ONCE, "nobody is waited for any more");
    }

    #[tokio::test]
    async fn f48_whoever_is_broken_off_is_waited_for_no_longer() {
        let places = Places::default();
        let broken_off = tokio::time::timeout(Duration::ZERO, places.yield_to(std::future::pending::<()>())).await;
        assert!(broken_off.is_err());
        assert_eq!(places.others.load(Ordering::Relaxed), 0);
    }
}
