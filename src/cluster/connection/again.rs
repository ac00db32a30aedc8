//! Repeats reads that failed by chance.
//!
//! A pass reads dozens of objects and is over when one of these reads fails. Where one request in ten fails, no such pass would ever come
//! to its end. Only reads are repeated: they change nothing, and what follows from them is decided anew anyway.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use kube::client::Body;
use tokio::time::Sleep;
use tower::BoxError;
use tower::retry::Policy;
use tower::retry::backoff::{Backoff, ExponentialBackoff, ExponentialBackoffMaker, MakeBackoff};
use tower::retry::budget::{Budget, TpsBudget};

/// How often one read is repeated.
const TIMES: u8 = 3;

/// How long answers are remembered that repetitions are allowed for.
const REMEMBERED: Duration = Duration::from_secs(10);

/// So many repetitions are allowed for each good answer. A server that answers nothing is asked no more often than without them.
const ALLOWED: f32 = 0.5;

/// Says which requests are sent again, and when. Clones share what they may spend.
#[derive(Clone)]
pub(super) struct ReadAgain {
    left: u8,
    wait: ExponentialBackoff,
    budget: Arc<TpsBudget>,
}

impl ReadAgain {
    /// Waits about 50 ms, then 100 and 200, each with a random part.
    pub(super) fn new() -> Self {
        Self {
            left: TIMES,
            wait: ExponentialBackoffMaker::default().make_backoff(),
            budget: Arc::new(TpsBudget::new(REMEMBERED, 0, ALLOWED)),
        }
    }
}

impl<B> Policy<Request<Body>, Response<B>, BoxError> for ReadAgain {
    type Future = Sleep;

    fn retry(&mut self, _: &mut Request<Body>, result: &mut Result<Response<B>, BoxError>) -> Option<Sleep> {
        if !result.as_ref().map_or(true, failed_by_chance) {
            self.budget.deposit();
            return None;
        }
        if self.left == 0 || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        Some(self.wait.next_backoff())
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        if request.method() != Method::GET || is_watch(request) {
            return None;
        }
        let mut again = Request::builder().method(Method::GET).uri(request.uri().clone());
        again.headers_mut()?.extend(request.headers().clone());
        again.body(Body::empty()).ok()
    }
}

/// Whether the same request may well be answered in a moment. Who is told how long to wait does that, and not only with this request.
fn failed_by_chance<B>(answer: &Response<B>) -> bool {
    let passes = match answer.status() {
        StatusCode::TOO_MANY_REQUESTS => true,
        status => status.is_server_error(),
    };
    passes && !answer.headers().contains_key(header::RETRY_AFTER)
}

/// Watches are renewed by whoever holds them.
fn is_watch(request: &Request<Body>) -> bool {
    request.uri().query().unwrap_or_default().contains("watch=true")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a request that cannot be made is the test's failure")]
mod tests {
    use super::*;

    type Answered = Result<Response<()>, BoxError>;

    fn request(method: Method, path: &str) -> Request<Body> {
        Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
    }

    fn answer(status: u16) -> Answered {
        Ok(Response::builder().status(status).body(()).unwrap())
    }

    /// Whether a read that is answered so is sent again, by a policy that has seen ten good answers.
    fn is_repeated(mut answered: Answered) -> bool {
        let mut policy = ReadAgain::new();
        let mut read = request(Method::GET, "/api/v1/namespaces");
        for _ in 0..10 {
            assert!(policy.retry(&mut read, &mut answer(200)).is_none());
        }
        policy.retry(&mut read, &mut answered).is_some()
    }

    #[tokio::test]
    async fn feature_s4_a_read_that_failed_by_chance_is_repeated_and_one_that_was_answered_is_not() {
        for status in [429, 500, 502, 503, 504] {
            assert!(is_repeated(answer(status)), "{status}");
        }
        for status in [200, 403, 404, 409, 410] {
            assert!(!is_repeated(answer(status)), "{status}");
        }
        assert!(is_repeated(Err("the connection was reset".into())));
        let asked_to_wait = Response::builder().status(429).header("retry-after", "1").body(()).unwrap();
        assert!(!is_repeated(Ok(asked_to_wait)));
    }

    #[tokio::test]
    async fn feature_s4_no_write_and_no_watch_is_ever_repeated() {
        let mut policy = ReadAgain::new();
        let mut is_copied = |method, path| Policy::<_, Response<()>, _>::clone_request(&mut policy, &request(method, path)).is_some();
        assert!(is_copied(Method::GET, "/api/v1/pods?labelSelector=a"));
        assert!(!is_copied(Method::GET, "/api/v1/pods?watch=true&resourceVersion=1"));
        for method in [Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
            assert!(!is_copied(method, "/api/v1/pods"));
        }
    }

    #[tokio::test]
    async fn f14_a_server_that_answers_nothing_is_asked_no_more_often() {
        let first = ReadAgain::new();
        let mut read = request(Method::GET, "/api/v1/namespaces");
        let failed = || -> Answered { Err("refused".into()) };
        let before = (0..20).filter(|_| first.clone().retry(&mut read, &mut failed()).is_some()).count();
        assert_eq!(before, 0, "nothing was answered yet");
        for _ in 0..10 {
            first.clone().retry(&mut read, &mut answer(200));
        }
        let after = (0..20).filter(|_| first.clone().retry(&mut read, &mut failed()).is_some()).count();
        assert!((1..=10).contains(&after), "{after} repetitions for ten answers");
        let mut one = first;
        for _ in 0..100 {
            one.retry(&mut read, &mut answer(200));
        }
        let of_one = (0..20).filter(|_| one.retry(&mut read, &mut failed()).is_some()).count();
        assert_eq!(of_one, usize::from(TIMES), "of one and the same read");
    }
}
