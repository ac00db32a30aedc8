//! How long the API server asks us to wait, for whoever it refused.

use std::cell::Cell;
use std::time::Duration;

use http::{Response, StatusCode, header};

tokio::task_local! {
    static ASKED: Cell<Option<Duration>>;
}

/// Does `work` and says how long the server asked to wait in its answers to it: the longest time, if there were several.
///
/// # Guarantees
/// Nothing of other work counts, and nothing of what `work` hands to tasks of their own.
pub async fn told<T>(work: impl Future<Output = T>) -> (T, Option<Duration>) {
    ASKED
        .scope(Cell::new(None), async {
            let result = work.await;
            (result, ASKED.with(Cell::get))
        })
        .await
}

/// Reads `Retry-After` of an answer that puts off.
pub(super) fn read<B>(answer: Response<B>) -> Response<B> {
    if let Some(wait) = asked(&answer) {
        // Who asks outside of `told` has a pace of its own.
        let _ = ASKED.try_with(|asked| asked.set(asked.get().max(Some(wait))));
    }
    answer
}

fn asked<B>(answer: &Response<B>) -> Option<Duration> {
    let puts_off = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    if !puts_off.contains(&answer.status()) {
        return None;
    }
    // An API server always writes seconds.
    let seconds = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn answer(status: u16, wait: &str) -> Response<()> {
        Response::builder().status(status).header("retry-after", wait).body(()).unwrap()
    }

    #[tokio::test]
    async fn f13_the_longest_time_that_one_was_asked_to_wait_counts() {
        let work = async {
            read(answer(429, "3"));
            read(answer(503, "7"));
            read(answer(429, "1"));
        };
        assert_eq!(told(work).await.1, Some(Duration::from_secs(7)));
    }

    #[tokio::test]
    async fn f13_nothing_is_asked_by_success_by_other_failures_or_by_what_is_no_number() {
        let work = async {
            read(answer(200, "3"));
            read(answer(500, "3"));
            read(answer(429, "soon"));
            read(Response::builder().status(429).body(()).unwrap());
        };
        assert_eq!(told(work).await.1, None);
        read(answer(429, "3"));
    }
}
