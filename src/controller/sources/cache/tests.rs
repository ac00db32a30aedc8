#![allow(clippy::unwrap_used, reason = "a fetch that fails is the test's failure")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn key(number: u8) -> Key {
    Key::Archive(format!("{number:064x}").parse().unwrap())
}

fn files(text: &str) -> BundleFiles {
    BundleFiles::new(BTreeMap::from([("bundle.yaml".to_owned(), text.as_bytes().to_vec())])).unwrap()
}

/// Asks for `number`, whose content is `text`; the number of fetches that this took.
async fn ask(cache: &Cache, number: u8, text: &str) -> usize {
    let fetches = Arc::new(AtomicUsize::new(0));
    let (counted, content) = (fetches.clone(), files(text));
    let fetch = async move {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(content)
    };
    assert_eq!(cache.get(key(number), fetch).await.unwrap().digest(), files(text).digest());
    fetches.load(Ordering::Relaxed)
}

#[tokio::test]
async fn what_is_kept_is_not_fetched_and_the_least_recently_used_goes_first() {
    let large = "x".repeat(1000);
    let text = |number: u8| format!("{number}{large}");
    // Room for two of them.
    let cache = Cache::new(2 * (1001 + NAME) + 100);
    for number in [1, 2] {
        assert_eq!(ask(&cache, number, &text(number)).await, 1);
        assert_eq!(ask(&cache, number, &text(number)).await, 0);
    }
    assert_eq!(ask(&cache, 1, &text(1)).await, 0, "the first one was used last");
    assert_eq!(ask(&cache, 3, &text(3)).await, 1);
    assert_eq!(ask(&cache, 1, &text(1)).await, 0);
    assert_eq!(ask(&cache, 2, &text(2)).await, 1, "the second one had to go");
}

#[tokio::test]
async fn equal_content_is_held_once_and_what_is_larger_than_the_budget_is_not_held() {
    let text = "x".repeat(1000);
    let cache = Cache::new(1000 + 3 * NAME);
    for number in [1, 2, 3] {
        ask(&cache, number, &text).await;
    }
    for number in [1, 2, 3] {
        assert_eq!(ask(&cache, number, &text).await, 0, "{number}");
    }
    ask(&cache, 4, &"y".repeat(5000)).await;
    let state = cache.state.lock().unwrap();
    assert_eq!((state.size, state.names.len(), state.contents.len()), (0, 0, 0));
}

#[tokio::test]
async fn many_who_ask_at_once_cost_one_fetch_and_a_failure_is_not_kept() {
    let cache = Cache::new(10_000);
    let fetches = Arc::new(AtomicUsize::new(0));
    let (open, closed) = tokio::sync::watch::channel(false);
    let fetch = || {
        let (counted, mut gate) = (fetches.clone(), closed.clone());
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            gate.wait_for(|open| *open).await.map_err(|_| Error::Await)?;
            Err(Error::FindDefaultBranch)
        }
    };
    let asked = futures::future::join_all((0..20).map(|_| cache.get(key(1), fetch())));
    let opened = async { open.send(true).unwrap() };
    let (answers, ()) = futures::join!(asked, opened);
    assert!(answers.iter().all(Result::is_err));
    assert_eq!(fetches.load(Ordering::Relaxed), 1);
    assert_eq!(ask(&cache, 1, "a").await, 1, "the next one tries again");
}

#[tokio::test]
async fn a_fetch_that_panics_is_an_answer_and_blocks_nobody() {
    let cache = Cache::new(10_000);
    let broken = cache.get(key(1), async { panic!("this panic is part of the test") }).await;
    assert!(matches!(*broken.unwrap_err(), Error::Await));
    assert_eq!(ask(&cache, 1, "a").await, 1);
}
