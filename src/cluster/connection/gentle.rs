//! Work that has time: it leaves the API server to whoever is waited for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

tokio::task_local! {
    static PLACES: Arc<Semaphore>;
}

/// So many requests of all such work are under way at a time. An API server that is busy answers each of them about as fast as it would
/// more of them; and a push, whose requests go one after the other, waits behind each for these few and no more.
const AT_ONCE: usize = 4;

/// The places of one connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Places {
    /// Does `work`, whose requests share these places.
    ///
    /// # Guarantees
    /// Nothing of other work waits for them, nor what `work` hands to tasks of their own.
    pub(super) async fn share<T>(&self, work: impl Future<Output = T>) -> T {
        PLACES.scope(self.0.clone(), work).await
    }
}

/// A place for one request of such work; any other needs none.
pub(super) async fn place() -> Option<OwnedSemaphorePermit> {
    let places = PLACES.try_with(Clone::clone).ok()?;
    places.acquire_owned().await.ok()
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
}
