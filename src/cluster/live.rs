//! The live objects of all environments, kept by watches and by our own writes.
//!
//! One watch for each kind that ever appeared in an environment, over the whole cluster and filtered by our label. Answers to our
//! own writes go in as well, so that a reconcile reads what the one before it wrote. Newer resourceVersions win.

mod kept;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::sync::{mpsc, watch};

use self::kept::Objects;
use super::kinds::Resource;
use super::relist::relisting;
use super::{Error, MARKS};
use crate::api::keys;
use crate::domain::manifest::ObjectKey;
use crate::domain::observed::LiveObject;

/// An environment to look at again: the namespace of its object and its name.
pub type Wake = (String, String);

/// The cache. Cheap to clone.
#[derive(Clone)]
pub struct LiveObjects {
    client: Client,
    shared: Arc<Mutex<Shared>>,
    wake: mpsc::Sender<Wake>,
    resync: Duration,
}

#[derive(Default)]
struct Shared {
    kinds: HashMap<GroupKind, KindCache>,
    /// The namespace of each environment's object, for what is found to be gone and cannot say it any more.
    homes: HashMap<String, String>,
}

type GroupKind = (String, String);

/// Kinds whose watch is up.
#[derive(Debug, Clone, Default)]
pub struct WatchedKinds(HashSet<GroupKind>);

impl WatchedKinds {
    /// Whether the end of an object of ours wakes its environment.
    pub fn contains(&self, key: &ObjectKey) -> bool {
        self.0.contains(&group_kind(key))
    }
}

struct KindCache {
    objects: Objects,
    /// The newest resourceVersion that the watch has shown: everything up to it has been seen.
    seen: u64,
    /// Taken out because an answer said that they are gone, which the watch has not said.
    doubted: HashSet<ObjectKey>,
    state: watch::Sender<WatchState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatchState {
    Starting,
    Synced,
    Forbidden,
}

/// How long an observation waits for the first listing of a kind.
const SYNC_TIMEOUT: Duration = Duration::from_secs(15);

/// How long to wait after a listing was refused: doubled from the one to the other.
const REFUSED_AT_FIRST: Duration = Duration::from_secs(1);
const REFUSED_FOR_LONG: Duration = Duration::from_secs(60);

impl LiveObjects {
    /// An empty cache. Environments to look at again are sent to `wake`. Each kind is listed anew every `resync`, so that an event that
    /// never came is made up for.
    pub fn new(client: Client, wake: mpsc::Sender<Wake>, resync: Duration) -> Self {
        Self {
            client,
            shared: Arc::default(),
            wake,
            resync,
        }
    }

    /// Makes sure that a kind is watched and its first listing is in.
    ///
    /// Returns false for kinds that are not to be watched: Secrets, because watching them needs the right to read all Secrets of
    /// the cluster, and kinds that the controller may not list. Their objects have to be read one by one as the deployer.
    ///
    /// # Errors
    /// [`Error::WatchBehind`] if the first listing does not arrive in time.
    pub async fn watches(&self, resource: &Resource) -> Result<bool, Error> {
        if is_unwatched(resource) {
            return Ok(false);
        }
        let mut state = self.subscribe(resource);
        let settled = state.wait_for(|state| *state != WatchState::Starting);
        match tokio::time::timeout(SYNC_TIMEOUT, settled).await {
            Ok(Ok(state)) => Ok(*state == WatchState::Synced),
            _ => Err(Error::WatchBehind {
                kind: resource.api.kind.clone(),
            }),
        }
    }

    /// Begins to watch a kind, if it may be watched, so that its changes wake their environments. Waits for nothing.
    pub fn follow_changes(&self, resource: &Resource) {
        if !is_unwatched(resource) {
            self.subscribe(resource);
        }
    }

    /// The kinds whose watch is up: each end of an object that is read from now on wakes its environment.
    pub fn watched_kinds(&self) -> WatchedKinds {
        let shared = self.lock();
        let up = shared.kinds.iter().filter(|(_, kind)| *kind.state.borrow() == WatchState::Synced);
        WatchedKinds(up.map(|(id, _)| id.clone()).collect())
    }

    /// Whether a watch shows the objects of the kind.
    pub fn shows(&self, key: &ObjectKey) -> bool {
        let shared = self.lock();
        let kind = shared.kinds.get(&group_kind(key));
        kind.is_some_and(|kind| *kind.state.borrow() == WatchState::Synced)
    }

    /// The live object of `key`, if its kind is watched and it exists.
    pub fn get(&self, key: &ObjectKey) -> Option<LiveObject> {
        self.lock().kinds.get(&group_kind(key))?.objects.get(key)
    }

    /// Takes in an object that the server returned for one of our own requests.
    pub fn record(&self, live: &LiveObject) {
        let mut shared = self.lock();
        let Some(kind) = shared.kinds.get_mut(&group_kind(&live.key)) else {
            return;
        };
        match kind.objects.version(&live.key) {
            Some(known) if known >= live.version => {}
            // The watch has passed this version and does not show the object: it was deleted since.
            None if live.version <= kind.seen && !kind.doubted.contains(&live.key) => {}
            _ => {
                kind.doubted.remove(&live.key);
                kind.objects.insert(live.clone());
            }
        }
    }

    /// Takes out an object that the server said does not exist. The answer may have been old: another one brings the object back, until
    /// the watch says as well that it is gone.
    pub fn forget(&self, key: &ObjectKey, uid: &str) {
        if let Some(kind) = self.lock().kinds.get_mut(&group_kind(key))
            && kind.objects.get(key).is_some_and(|known| known.uid == uid)
        {
            kind.objects.remove(key);
            kind.doubted.insert(key.clone());
        }
    }

    fn subscribe(&self, resource: &Resource) -> watch::Receiver<WatchState> {
        let id = (resource.api.group.clone(), resource.api.kind.clone());
        let mut shared = self.lock();
        if let Some(kind) = shared.kinds.get(&id) {
            return kind.state.subscribe();
        }
        let (state, receiver) = watch::channel(WatchState::Starting);
        shared.kinds.insert(id.clone(), KindCache::new(id.clone(), state));
        drop(shared);
        tokio::spawn(self.clone().follow(resource.clone(), id));
        receiver
    }

    async fn follow(self, resource: Resource, id: GroupKind) {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource.api);
        let config = watcher::Config::default().labels(keys::ENVIRONMENT_LABEL);
        let mut events = relisting(api, config, self.resync).boxed();
        let mut patience = REFUSED_AT_FIRST;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if !matches!(event, Event::Init) {
                        patience = REFUSED_AT_FIRST;
                    }
                    for wake in self.take(&id, &resource, event) {
                        if self.wake.send(wake).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) if is_forbidden(&error) => {
                    // Not for good: an API server that has just started knows no rights yet, and rights can be given later.
                    if self.settle(&id, WatchState::Forbidden) {
                        tracing::info!(kind = %resource.api.kind, "this kind may not be listed; its objects are read one by one");
                    }
                    tokio::time::sleep(patience).await;
                    patience = (patience * 2).min(REFUSED_FOR_LONG);
                }
                Err(error) => tracing::warn!(kind = %resource.api.kind, error = %super::error::chain(&error), "watch interrupted"),
            }
        }
    }

    /// Takes an event into the cache and says which environments to look at again.
    fn take(&self, id: &GroupKind, resource: &Resource, event: Event<DynamicObject>) -> Vec<Wake> {
        let mut shared = self.lock();
        let with_its_namespace = matches!(&event, Event::Delete(object) if shared.is_ending(object.metadata.namespace.as_deref()));
        shared.learn_home(&event);
        let Shared { kinds, homes } = &mut *shared;
        let Some(kind) = kinds.get_mut(id) else { return Vec::new() };
        let wake = match event {
            Event::Init => {
                kind.begin_listing();
                None
            }
            Event::InitApply(object) => kind.list(resource, &object),
            Event::InitDone => {
                kind.state.send_replace(WatchState::Synced);
                let missing = kind.objects.end_listing();
                let woken = missing.into_iter().filter_map(|name| Some((homes.get(&name)?.clone(), name)));
                return woken.collect();
            }
            // A watch that was refused in between goes on where it was.
            Event::Apply(object) => {
                kind.state.send_replace(WatchState::Synced);
                kind.apply(resource, &object)
            }
            Event::Delete(object) => {
                kind.state.send_replace(WatchState::Synced);
                // Of an ending namespace only the end is news.
                kind.delete(resource, &object).filter(|_| !with_its_namespace)
            }
        };
        wake.into_iter().collect()
    }

    /// Whether that is news.
    fn settle(&self, id: &GroupKind, state: WatchState) -> bool {
        let shared = self.lock();
        shared.kinds.get(id).is_some_and(|kind| kind.state.send_replace(state) != state)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Shared ===

impl Shared {
    /// Remembers where an environment's object is, until the environment's namespace is gone.
    fn learn_home(&mut self, event: &Event<DynamicObject>) {
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                if let Some((namespace, name)) = wake(object) {
                    self.homes.insert(name, namespace);
                }
            }
            Event::Delete(object) if object.metadata.namespace.is_none() => {
                self.homes.remove(object.metadata.name.as_deref().unwrap_or_default());
            }
            Event::Delete(_) | Event::Init | Event::InitDone => {}
        }
    }

    /// Whether a namespace of ours is known to be ending.
    fn is_ending(&self, namespace: Option<&str>) -> bool {
        let Some(name) = namespace else { return false };
        let key = ObjectKey {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: name.to_owned(),
        };
        let namespaces = self.kinds.get(&group_kind(&key));
        namespaces.is_some_and(|kind| kind.objects.deletion(&key).is_some())
    }
}

// === impl KindCache ===

impl KindCache {
    fn new(of: GroupKind, state: watch::Sender<WatchState>) -> Self {
        Self {
            objects: Objects::new(of),
            seen: 0,
            doubted: HashSet::new(),
            state,
        }
    }

    fn begin_listing(&mut self) {
        self.objects.begin_listing();
        self.doubted.clear();
    }

    /// A listing that shows what is known is no news.
    fn list(&mut self, resource: &Resource, object: &DynamicObject) -> Option<Wake> {
        let live = reduce(resource, object)?;
        self.objects.show(&live.key);
        let is_news = self.insert(live);
        wake(object).filter(|_| is_news)
    }

    fn apply(&mut self, resource: &Resource, object: &DynamicObject) -> Option<Wake> {
        let live = reduce(resource, object)?;
        // What is known to be ending has no news but its end and its finalizers.
        let known = self.objects.deletion(&live.key);
        let is_news = known.is_none() || known != live.deletion.as_ref();
        self.insert(live);
        wake(object).filter(|_| is_news)
    }

    /// Whether it is newer than what was known.
    fn insert(&mut self, live: LiveObject) -> bool {
        self.doubted.remove(&live.key);
        self.seen = self.seen.max(live.version);
        let newer = self.objects.version(&live.key).is_none_or(|known| known < live.version);
        if newer {
            self.objects.insert(live);
        }
        newer
    }

    fn delete(&mut self, resource: &Resource, object: &DynamicObject) -> Option<Wake> {
        let live = reduce(resource, object)?;
        self.seen = self.seen.max(live.version);
        self.doubted.remove(&live.key);
        if self.objects.version(&live.key).is_some_and(|known| known <= live.version) {
            self.objects.remove(&live.key);
        }
        wake(object)
    }
}

fn is_unwatched(resource: &Resource) -> bool {
    resource.api.kind == "Secret" && resource.api.group.is_empty()
}

fn group_kind(key: &ObjectKey) -> GroupKind {
    (key.group.clone(), key.kind.clone())
}

/// Reduces an object that the server sent. In a list, objects do not say of which kind they are, but how they are judged depends on it.
pub(crate) fn reduce(resource: &Resource, object: &DynamicObject) -> Option<LiveObject> {
    let key = ObjectKey {
        group: resource.api.group.clone(),
        version: resource.api.version.clone(),
        kind: resource.api.kind.clone(),
        namespace: object.metadata.namespace.clone(),
        name: object.metadata.name.clone()?,
    };
    let mut body = serde_json::to_value(object).ok()?;
    body["apiVersion"] = key.api_version().into();
    body["kind"] = key.kind.clone().into();
    LiveObject::from_body(key, &body, MARKS)
}

/// Which environment an object belongs to, by its labels.
fn wake(object: &DynamicObject) -> Option<Wake> {
    let labels = object.metadata.labels.as_ref()?;
    Some((
        labels.get(keys::PROJECT_NAMESPACE_LABEL)?.clone(),
        labels.get(keys::ENVIRONMENT_LABEL)?.clone(),
    ))
}

/// Whether a watch was refused because a right is missing.
pub(super) fn is_forbidden(error: &watcher::Error) -> bool {
    let source = match error {
        watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source) | watcher::Error::WatchFailed(source) => {
            source
        }
        _ => return false,
    };
    matches!(source, kube::Error::Api(status) if status.code == 403)
}

#[cfg(test)]
mod tests;
