//! Watches that begin anew from time to time: what a watch left out is made up for by the next listing.

use std::fmt;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::backoff::WatchBackoff;

/// Watches, and lists again `interval` after the last listing was complete.
///
/// A listing is never broken off by that, however long it takes: it would never be over where the server is slow.
pub fn relisting<K>(api: Api<K>, config: watcher::Config, interval: Duration) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
{
    anew(interval, move || {
        watcher(api.clone(), config.clone()).backoff(WatchBackoff::default()).boxed()
    })
}

/// The events of one stream after the other.
fn anew<K, E, S>(interval: Duration, begin: impl Fn() -> S + Send) -> impl Stream<Item = Result<Event<K>, E>> + Send
where
    S: Stream<Item = Result<Event<K>, E>> + Send + Unpin,
    K: Send,
    E: Send,
{
    let first = begin();
    stream::unfold((first, None, begin), move |(mut events, mut due, begin)| async move {
        loop {
            tokio::select! {
                event = events.next() => {
                    let event = event?;
                    if matches!(event, Ok(Event::InitDone)) {
                        due = Instant::now().checked_add(interval);
                    }
                    return Some((event, (events, due, begin)));
                }
                () = reached(due) => {
                    events = begin();
                    due = None;
                }
            }
        }
    })
}

async fn reached(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    type Events = stream::BoxStream<'static, Result<Event<u8>, String>>;

    /// These events, and nothing after them.
    fn silent_after(events: Vec<Event<u8>>) -> Events {
        stream::iter(events.into_iter().map(Ok)).chain(stream::pending()).boxed()
    }

    #[tokio::test]
    async fn f19_a_watch_lists_anew_after_each_interval() {
        let begin = || silent_after(vec![Event::Init, Event::InitApply(1), Event::InitDone]);
        let events = anew(Duration::from_millis(1), begin);
        let listings = events.filter(|event| std::future::ready(matches!(event, Ok(Event::InitDone))));
        let three = tokio::time::timeout(Duration::from_secs(30), listings.take(3).count()).await;
        assert_eq!(three, Ok(3));
    }

    #[tokio::test]
    async fn f19_a_listing_that_is_not_over_is_not_begun_anew() {
        let begun = AtomicUsize::new(0);
        let begin = || {
            begun.fetch_add(1, Ordering::SeqCst);
            silent_after(vec![Event::Init, Event::InitApply(1)])
        };
        let mut events = Box::pin(anew(Duration::ZERO, begin));
        assert!(matches!(events.next().await, Some(Ok(Event::Init))));
        assert!(matches!(events.next().await, Some(Ok(Event::InitApply(1)))));
        // Some time has to pass, or no timer could ring.
        let more = tokio::time::timeout(Duration::from_millis(20), events.next()).await;
        assert!(more.is_err());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }
}
