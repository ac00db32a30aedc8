//! Watches that begin anew from time to time: what a watch left out is made up for by the next listing.

use std::fmt;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::backoff::WatchBackoff;

/// Whose turn it is to list anew. All watches begin at about the same time, so without turns they would all list anew at the same time, and
/// the process would need room for a page of each.
static TURN: Semaphore = Semaphore::const_new(1);

/// A page of a listing is held in memory as a whole, several times as large as it is on its way.
const PAGE: u32 = 250;

/// Watches, and lists again `interval` after the last listing was complete, as soon as no other watch of this process is doing so.
///
/// A listing is never broken off by that, however long it takes: it would never be over where the server is slow. One that fails waits for
/// its next attempt without keeping others from their turn.
pub fn relisting<K>(api: Api<K>, config: watcher::Config, interval: Duration) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
{
    let config = config.page_size(PAGE);
    anew(interval, &TURN, move || {
        watcher(api.clone(), config.clone()).backoff(WatchBackoff::default()).boxed()
    })
}

/// A stream of events, and the next one when it is due.
struct Watch<S> {
    events: S,
    due: Option<Instant>,
    /// Until the listing is over.
    turn: Option<SemaphorePermit<'static>>,
}

/// The events of one stream after the other.
fn anew<K, E, S>(
    interval: Duration,
    turns: &'static Semaphore,
    begin: impl Fn() -> S + Send,
) -> impl Stream<Item = Result<Event<K>, E>> + Send
where
    S: Stream<Item = Result<Event<K>, E>> + Send + Unpin,
    K: Send,
    E: Send,
{
    let first = Watch {
        events: begin(),
        due: None,
        turn: None,
    };
    stream::unfold((first, begin), move |(mut watch, begin)| async move {
        loop {
            tokio::select! {
                event = watch.events.next() => {
                    let event = event?;
                    if matches!(event, Ok(Event::InitDone)) {
                        watch.due = Instant::now().checked_add(interval);
                    }
                    if matches!(event, Ok(Event::InitDone) | Err(_)) {
                        watch.turn = None;
                    }
                    return Some((event, (watch, begin)));
                }
                turn = turn(watch.due, turns) => watch = Watch { events: begin(), due: None, turn },
            }
        }
    })
}

/// Comes when a listing is due and nobody else has the turn. Events that come before then are not held up by it.
async fn turn(due: Option<Instant>, turns: &'static Semaphore) -> Option<SemaphorePermit<'static>> {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
    // It is never closed.
    turns.acquire().await.ok()
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

    /// Of a test alone: others run in the same process.
    fn turns() -> &'static Semaphore {
        Box::leak(Box::new(Semaphore::new(1)))
    }

    #[tokio::test]
    async fn f19_a_watch_lists_anew_after_each_interval() {
        let begin = || silent_after(vec![Event::Init, Event::InitApply(1), Event::InitDone]);
        let events = anew(Duration::from_millis(1), turns(), begin);
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
        let mut events = Box::pin(anew(Duration::ZERO, turns(), begin));
        assert!(matches!(events.next().await, Some(Ok(Event::Init))));
        assert!(matches!(events.next().await, Some(Ok(Event::InitApply(1)))));
        // Some time has to pass, or no timer could ring.
        let more = tokio::time::timeout(Duration::from_millis(20), events.next()).await;
        assert!(more.is_err());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn one_watch_lists_anew_at_a_time_and_one_that_fails_keeps_no_other_from_it() {
        let turns = turns();
        let listing = |end: Result<Event<u8>, String>| {
            let begun = AtomicUsize::new(0);
            let whole = vec![Ok(Event::Init), Ok(Event::InitDone)];
            let again = vec![Ok(Event::Init), end];
            // The first is not held up by turns.
            let begin = move || match begun.fetch_add(1, Ordering::SeqCst) {
                0 => stream::iter(whole.clone()).chain(stream::pending()).boxed(),
                _ => stream::iter(again.clone()).chain(stream::pending()).boxed(),
            };
            Box::pin(anew(Duration::ZERO, turns, begin))
        };
        let (mut slow, mut other) = (listing(Err("refused".to_owned())), listing(Ok(Event::InitDone)));
        for watch in [&mut slow, &mut other] {
            assert!(matches!(watch.next().await, Some(Ok(Event::Init))));
            assert!(matches!(watch.next().await, Some(Ok(Event::InitDone))));
        }
        assert!(matches!(slow.next().await, Some(Ok(Event::Init))), "its turn");
        let held_up = tokio::time::timeout(Duration::from_millis(20), other.next()).await;
        assert!(held_up.is_err(), "two at a time");
        assert!(matches!(slow.next().await, Some(Err(_))));
        let next = tokio::time::timeout(Duration::from_secs(30), other.next()).await;
        assert!(matches!(next, Ok(Some(Ok(Event::Init)))));
    }
}
