//! Awaits conditions instead of sleeping.

use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use kube::Resource;
use kube::api::Api;
use kube::runtime::wait::await_condition;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long after the first look at a condition comes the second.
const SOON: Duration = Duration::from_millis(25);

/// How long is between two looks at what takes long. What many tests look at, each of them slows down.
const LATER: Duration = Duration::from_millis(200);

/// What one look at a condition says: it holds, with a value, or it does not yet hold, with the state seen instead.
///
/// Implemented for `Option` (no state to tell), `bool`, and `Result`, where the error is the state and not a failure.
pub trait Look {
    /// What is there once the condition holds.
    type Value;
    /// The value, or the state that was seen.
    fn outcome(self) -> Result<Self::Value, String>;
}

/// The condition did not hold in time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no {what} after {:.1} s; last seen: {last}", waited.as_secs_f64())]
pub struct TimedOut {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub waited: Duration,
    /// What was there instead at the last look.
    pub last: String,
}

/// Waits until `condition` holds and returns its value, for tests: panics at the caller's place when `limit` has passed.
///
/// `what` completes the sentence "no … after 10 s", for example `until("ready Deployment web", …)`.
#[track_caller]
pub fn until<C, F>(what: impl fmt::Display, limit: Duration, condition: C) -> impl Future<Output = <F::Output as Look>::Value>
where
    C: FnMut() -> F,
    F: Future<Output: Look>,
{
    let caller = Location::caller();
    let waiting = try_until(what, limit, condition);
    async move {
        match waiting.await {
            Ok(value) => value,
            Err(timed_out) => panic!("{timed_out} (waited for at {caller})"),
        }
    }
}

/// As [`until`], with an error in place of the panic. A look that itself hangs is cut off at the limit too.
pub async fn try_until<C, F>(what: impl fmt::Display, limit: Duration, condition: C) -> Result<<F::Output as Look>::Value, TimedOut>
where
    C: FnMut() -> F,
    F: Future<Output: Look>,
{
    match try_until_or(what, limit, condition, || Ok::<(), Infallible>(())).await {
        Ok(value) => Ok(value),
        Err(Stopped::TimedOut(timed_out)) => Err(timed_out),
        Err(Stopped::Hopeless(never)) => match never {},
    }
}

/// Waits, by a watch, until an object exists for which `condition` holds, and returns it.
///
/// `what` completes the sentence "no … after 10 s". Panics at the caller's place when `limit` has passed, with the object
/// as it is then.
#[track_caller]
pub fn for_object<'a, K>(
    api: &'a Api<K>,
    name: &'a str,
    what: impl fmt::Display + 'a,
    limit: Duration,
    condition: impl Fn(&K) -> bool + Sync + 'a,
) -> impl Future<Output = K> + 'a
where
    K: Resource + Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let caller = Location::caller();
    async move {
        let holds = |object: Option<&K>| object.is_some_and(&condition);
        let watch = || async {
            let watched = await_condition(api.clone(), name, &holds).await;
            watched
                .map_err(|error| crate::error_chain(&error))?
                .ok_or_else(|| "no object".to_owned())
        };
        match try_until(what, limit, watch).await {
            Ok(object) => object,
            Err(timed_out) => panic!("{timed_out}; now {name} is {} (waited for at {caller})", state(api, name).await),
        }
    }
}

/// An object as it is now, for people: without ownership of fields, and without data, which may be secret.
async fn state<K>(api: &Api<K>, name: &str) -> String
where
    K: Resource + Clone + fmt::Debug + Serialize + DeserializeOwned,
{
    match api.get(name).await {
        Ok(mut object) => {
            object.meta_mut().managed_fields = None;
            let mut object = serde_json::json!(object);
            if let Some(fields) = object.as_object_mut() {
                fields.retain(|name, _| name != "data" && name != "stringData");
            }
            format!("{object:#}")
        }
        Err(error) => crate::error_chain(&error),
    }
}

/// Why waiting ended without the condition.
pub(crate) enum Stopped<E> {
    TimedOut(TimedOut),
    Hopeless(E),
}

/// Waits as [`try_until`] and gives up at once when `hope` fails.
pub(crate) async fn try_until_or<C, F, E>(
    what: impl fmt::Display,
    limit: Duration,
    mut condition: C,
    mut hope: impl FnMut() -> Result<(), E>,
) -> Result<<F::Output as Look>::Value, Stopped<E>>
where
    C: FnMut() -> F,
    F: Future<Output: Look>,
{
    let started = Instant::now();
    let timed_out = |last| {
        Err(Stopped::TimedOut(TimedOut {
            what: what.to_string(),
            waited: started.elapsed(),
            last,
        }))
    };
    let mut last = "nothing yet".to_owned();
    let mut pause = SOON;
    loop {
        let remaining = limit.saturating_sub(started.elapsed());
        match tokio::time::timeout(remaining, condition()).await.map(Look::outcome) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(state)) => last = state,
            Err(_) => return timed_out(format!("{last}; the last look hung")),
        }
        hope().map_err(Stopped::Hopeless)?;
        if started.elapsed() >= limit {
            return timed_out(last);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 5 / 4).min(LATER);
    }
}

impl<T> Look for Option<T> {
    type Value = T;
    fn outcome(self) -> Result<T, String> {
        self.ok_or_else(|| "not yet".to_owned())
    }
}

impl Look for bool {
    type Value = ();
    fn outcome(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("not yet".to_owned()) }
    }
}

impl<T, E: fmt::Display> Look for Result<T, E> {
    type Value = T;
    fn outcome(self) -> Result<T, String> {
        self.map_err(|state| state.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_value_comes_as_soon_as_the_condition_holds() {
        let mut looks = 0;
        let value = until("third look", Duration::from_secs(5), || {
            looks += 1;
            let look = looks;
            async move { (look == 3).then_some(look) }
        })
        .await;
        assert_eq!(value, 3);
    }

    #[tokio::test]
    async fn the_error_tells_what_was_seen_last() {
        let limit = Duration::from_millis(60);
        let error = try_until("ready pod", limit, || async { Err::<(), _>("phase Pending") })
            .await
            .expect_err("never holds");
        assert!(error.to_string().starts_with("no ready pod after 0."), "{error}");
        assert!(error.to_string().ends_with("last seen: phase Pending"), "{error}");
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_off() {
        let limit = Duration::from_millis(50);
        let error = try_until("answer", limit, std::future::pending::<bool>).await.expect_err("hangs");
        assert_eq!(error.last, "nothing yet; the last look hung");
    }
}
