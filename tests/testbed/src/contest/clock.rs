//! The clock: an independent watcher of the API server, which says when the objects of an environment are there as they should be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Error;
use super::content::{KINDS, Object, holds};
use crate::wait::TimedOut;

/// A watcher of all kinds of E14 in all namespaces, and of the Environments of graftling where there are any.
#[derive(Debug)]
pub struct Clock {
    state: Arc<State>,
    // They end with the clock.
    _watches: JoinSet<()>,
}

#[derive(Debug, Default)]
struct State {
    environments: Mutex<HashMap<String, Progress>>,
    changed: Notify,
}

/// How far one environment is.
#[derive(Debug, Default)]
struct Progress {
    /// What has not been seen yet, by kind and name.
    missing: HashMap<(String, String), Value>,
    /// When the last of them was seen.
    complete: Option<Instant>,
    /// Kinds that stand for the environment, of which its object is still there.
    remaining: Vec<&'static str>,
    /// When the last of them went.
    gone: Option<Instant>,
}

impl Clock {
    /// Begins to watch, and returns when it sees everything that is there. `environments`: whether graftling's are part of it.
    pub async fn start(client: &kube::Client, environments: bool) -> Result<Clock, Error> {
        let state = Arc::new(State::default());
        let mut kinds: Vec<(&'static str, &str, &str)> = KINDS.to_vec();
        if environments {
            kinds.push(("Environment", "apis/graftling.dev/v1alpha1", "environments"));
        }
        let mut watches = JoinSet::new();
        let (ready, mut begun) = tokio::sync::mpsc::channel(kinds.len());
        for (kind, path, plural) in &kinds {
            let (_, version) = path.split_once('/').unwrap_or_default();
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
            let api = Api::all_with(client.clone(), &resource);
            watches.spawn(watch(api, kind, Arc::clone(&state), ready.clone()));
        }
        for _ in &kinds {
            begun.recv().await;
        }
        Ok(Clock { state, _watches: watches })
    }

    /// From now on, waits for these objects of an environment.
    pub fn expect(&self, environment: &str, objects: &[Object]) {
        let missing = objects.iter().map(|object| {
            let mut body = object.body.clone();
            if let Some(fields) = body.as_object_mut() {
                fields.remove("apiVersion");
                fields.remove("kind");
            }
            ((object.kind.clone(), object.name.clone()), body)
        });
        let progress = Progress {
            missing: missing.collect(),
            ..Progress::default()
        };
        self.state.lock().insert(environment.to_owned(), progress);
    }

    /// From now on, waits for the end of an environment: of its namespace, and of graftling's Environment if it has one.
    pub fn expect_end(&self, environment: &str, has_environment: bool) {
        let remaining = if has_environment {
            vec!["Namespace", "Environment"]
        } else {
            vec!["Namespace"]
        };
        let progress = Progress {
            remaining,
            ..Progress::default()
        };
        self.state.lock().insert(environment.to_owned(), progress);
    }

    /// When the last of the expected objects was seen as it should be.
    pub async fn complete(&self, environment: &str, limit: Duration) -> Result<Instant, Error> {
        self.when(environment, "complete environment", limit, |progress| progress.complete)
            .await
    }

    /// When the environment was gone.
    pub async fn gone(&self, environment: &str, limit: Duration) -> Result<Instant, Error> {
        self.when(environment, "end of the environment", limit, |progress| progress.gone)
            .await
    }

    async fn when(
        &self,
        environment: &str,
        what: &str,
        limit: Duration,
        done: impl Fn(&Progress) -> Option<Instant>,
    ) -> Result<Instant, Error> {
        let wait = async {
            loop {
                let changed = self.state.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(at) = self.state.lock().get(environment).and_then(&done) {
                    return at;
                }
                changed.await;
            }
        };
        tokio::time::timeout(limit, wait).await.map_err(|_| {
            let last = self.state.lock().get(environment).map_or("not expected".to_owned(), Progress::said);
            Error::Wait(TimedOut {
                what: format!("{what} {environment}"),
                waited: limit,
                last,
            })
        })
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Progress>> {
        self.environments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self, kind: &str, object: DynamicObject) {
        // The moment of the news, not that of its comparison.
        let now = Instant::now();
        let Some((environment, name)) = place(kind, &object) else { return };
        let mut environments = self.lock();
        let Some(progress) = environments.get_mut(&environment) else {
            return;
        };
        let key = (kind.to_owned(), name);
        let Some(expected) = progress.missing.get(&key) else { return };
        if !holds(expected, &comparable(object)) {
            return;
        }
        progress.missing.remove(&key);
        if progress.missing.is_empty() {
            progress.complete = Some(now);
            self.changed.notify_waiters();
        }
    }

    fn went(&self, kind: &str, object: &DynamicObject) {
        let now = Instant::now();
        let Some((environment, _)) = place(kind, object) else { return };
        let mut environments = self.lock();
        let Some(progress) = environments.get_mut(&environment) else {
            return;
        };
        let before = progress.remaining.len();
        progress.remaining.retain(|remaining| *remaining != kind);
        if before > 0 && progress.remaining.is_empty() {
            progress.gone = Some(now);
            self.changed.notify_waiters();
        }
    }
}

impl Progress {
    fn said(&self) -> String {
        let missing: Vec<String> = self.missing.keys().map(|(kind, name)| format!("{kind} {name}")).collect();
        format!("missing {missing:?}, remaining {:?}", self.remaining)
    }
}

/// Passes on what is seen, for ever. The first complete list is told by `ready`.
async fn watch(api: Api<DynamicObject>, kind: &'static str, state: Arc<State>, ready: tokio::sync::mpsc::Sender<()>) {
    let mut events = watcher(api, watcher::Config::default()).boxed();
    loop {
        match events.try_next().await {
            Ok(Some(Event::Apply(object) | Event::InitApply(object))) => state.seen(kind, object),
            Ok(Some(Event::Delete(object))) => state.went(kind, &object),
            // Nobody listens any more once it has begun.
            Ok(Some(Event::InitDone)) => drop(ready.send(()).await),
            Ok(Some(Event::Init)) => {}
            // An outage of the API server: the watcher begins anew by itself.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Ok(None) => return,
        }
    }
}

/// The environment that an object belongs to, and the object's name.
fn place(kind: &str, object: &DynamicObject) -> Option<(String, String)> {
    let name = object.metadata.name.clone()?;
    let environment = match kind {
        "Namespace" | "Environment" => name.clone(),
        _ => object.metadata.namespace.clone()?,
    };
    Some((environment, name))
}

/// An object as the expected one is written.
fn comparable(object: DynamicObject) -> Value {
    let metadata = json!({
        "name": object.metadata.name,
        "namespace": object.metadata.namespace,
        "labels": object.metadata.labels,
    });
    let mut body = object.data;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("metadata".to_owned(), metadata);
    }
    body
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what was just put in is there")]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str, data: Value) -> (String, DynamicObject) {
        let body = json!({ "metadata": { "name": name, "namespace": "shop-a" }, "data": data });
        (kind.to_owned(), serde_json::from_value(body).unwrap())
    }

    fn clock() -> Clock {
        Clock {
            state: Arc::default(),
            _watches: JoinSet::new(),
        }
    }

    fn expected(name: &str, data: Value) -> Object {
        Object {
            kind: "ConfigMap".to_owned(),
            name: name.to_owned(),
            collection: String::new(),
            body: json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data }),
        }
    }

    #[tokio::test]
    async fn an_environment_is_complete_when_the_last_object_has_its_content() {
        let clock = clock();
        clock.expect(
            "shop-a",
            &[expected("one", json!({ "a": "1" })), expected("two", json!({ "a": "2" }))],
        );
        let soon = Duration::from_millis(20);
        let see = |name: &str, data: Value| {
            let (kind, object) = object("ConfigMap", name, data);
            clock.state.seen(&kind, object);
        };
        see("one", json!({ "a": "1", "b": "more" }));
        see("two", json!({ "a": "stale" }));
        see("three", json!({ "a": "2" }));
        let error = clock.complete("shop-a", soon).await.unwrap_err();
        assert!(crate::error_chain(&error).contains("ConfigMap two"), "{error:?}");
        let before = Instant::now();
        see("two", json!({ "a": "2" }));
        assert!(clock.complete("shop-a", soon).await.unwrap() >= before);
    }

    #[tokio::test]
    async fn an_environment_is_gone_when_all_that_stands_for_it_is() {
        let clock = clock();
        clock.expect_end("shop-a", true);
        let soon = Duration::from_millis(20);
        clock.state.went("ConfigMap", &object("ConfigMap", "one", json!({})).1);
        clock.state.went("Namespace", &object("Namespace", "shop-a", json!({})).1);
        assert!(clock.gone("shop-a", soon).await.is_err());
        clock.state.went("Environment", &object("Environment", "shop-a", json!({})).1);
        assert!(clock.gone("shop-a", soon).await.is_ok());
    }
}
