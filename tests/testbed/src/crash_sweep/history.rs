//! An independent witness: every object that came into being or went, by watches of its own on every kind.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use tokio::task::AbortHandle;

use super::kinds::Kind;
use super::names::Names;

/// What became of an object. A deletion that waits for finalizers is a modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    Added,
    Modified,
    Deleted,
}

/// An object that came or went.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) turn: Turn,
    pub(super) kind: String,
    /// The plural, as in paths.
    pub(super) resource: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// Whether it bears the label that graftling watches, or is of one of its own kinds.
    pub(super) watched: bool,
    /// The UID of the controller that owns it.
    pub(super) owner: Option<String>,
    /// The revision of the store at which it happened; comparable over all kinds.
    pub(super) revision: u64,
}

/// How often each object came and went: `added Pod of ReplicaSet of Deployment web` → 1.
pub(super) type Digest = BTreeMap<String, u32>;

/// Watches every kind of a control plane for as long as it lives.
pub struct Recorder {
    changes: Arc<Mutex<Vec<Change>>>,
    watches: Vec<AbortHandle>,
}

impl Recorder {
    /// Begins to watch. What exists already counts as come.
    pub(super) fn start(client: &Client, kinds: &[Kind]) -> Recorder {
        let changes = Arc::new(Mutex::new(Vec::new()));
        let watched = kinds.iter().filter(|kind| kind.watchable && !kind.is_event());
        let watches = watched.map(|kind| {
            let task = watch(client.clone(), kind.clone(), Arc::clone(&changes));
            tokio::spawn(task).abort_handle()
        });
        Recorder {
            watches: watches.collect(),
            changes,
        }
    }

    /// Everything that happened to objects for which `concerns` says so, in the order of the store.
    pub(super) fn changes(&self, concerns: impl Fn(&Change) -> bool) -> Vec<Change> {
        let mut changes: Vec<Change> = lock(&self.changes).iter().filter(|change| concerns(change)).cloned().collect();
        changes.sort_by_key(|change| change.revision);
        changes
    }

    /// How often each of these objects came and went. Whatever a controller made of an object counts under that object, since its own
    /// name is random.
    pub(super) fn digest(&self, changes: &[Change], names: &Names) -> Digest {
        let known: HashMap<String, Change> = changes.iter().map(|change| (change.uid.clone(), change.clone())).collect();
        let mut digest = Digest::new();
        for change in changes {
            let turn = match change.turn {
                Turn::Added => "added",
                Turn::Deleted => "deleted",
                Turn::Modified => continue,
            };
            let key = format!("{turn} {} {}", names.text(&change.namespace), path(change, &known, names));
            *digest.entry(key).or_default() += 1;
        }
        digest
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.watches.iter().for_each(AbortHandle::abort);
    }
}

/// `Pod of ReplicaSet of Deployment web`: only the first owner has a name that says something.
fn path(change: &Change, known: &HashMap<String, Change>, names: &Names) -> String {
    match change.owner.as_ref().and_then(|owner| known.get(owner)) {
        Some(owner) if owner.uid != change.uid => format!("{} of {}", change.kind, path(owner, known, names)),
        _ => format!("{} {}", change.kind, names.text(&change.name)),
    }
}

async fn watch(client: Client, kind: Kind, changes: Arc<Mutex<Vec<Change>>>) {
    let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &kind.resource);
    let mut stream = watcher(api, watcher::Config::default()).default_backoff().boxed();
    let mut alive: HashMap<String, PartialObjectMeta<DynamicObject>> = HashMap::new();
    let mut seen = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => seen.clear(),
            Ok(Event::InitApply(object)) => {
                seen.push(object.uid().unwrap_or_default());
                arrive(&kind, object, &mut alive, &changes);
            }
            Ok(Event::InitDone) => {
                let gone: Vec<String> = alive.keys().filter(|uid| !seen.contains(uid)).cloned().collect();
                for object in gone.iter().filter_map(|uid| alive.remove(uid)) {
                    lock(&changes).push(change(Turn::Deleted, &kind, &object));
                }
            }
            Ok(Event::Apply(object)) => arrive(&kind, object, &mut alive, &changes),
            Ok(Event::Delete(object)) => {
                alive.remove(&object.uid().unwrap_or_default());
                lock(&changes).push(change(Turn::Deleted, &kind, &object));
            }
            // The watcher begins anew by itself after a while, and lists what it missed.
            Err(_) => {}
        }
    }
}

fn arrive(
    kind: &Kind,
    object: PartialObjectMeta<DynamicObject>,
    alive: &mut HashMap<String, PartialObjectMeta<DynamicObject>>,
    changes: &Mutex<Vec<Change>>,
) {
    let uid = object.uid().unwrap_or_default();
    let turn = if alive.contains_key(&uid) { Turn::Modified } else { Turn::Added };
    lock(changes).push(change(turn, kind, &object));
    alive.insert(uid, object);
}

fn change(turn: Turn, kind: &Kind, object: &PartialObjectMeta<DynamicObject>) -> Change {
    let owners = object.metadata.owner_references.iter().flatten();
    let owner = owners
        .filter(|owner| owner.controller == Some(true))
        .map(|owner| owner.uid.clone())
        .next();
    let name = object.name_any();
    Change {
        turn,
        kind: kind.resource.kind.clone(),
        resource: kind.resource.plural.clone(),
        // A Namespace belongs to itself.
        namespace: object.namespace().unwrap_or_else(|| {
            if kind.resource.kind == "Namespace" {
                name.clone()
            } else {
                String::new()
            }
        }),
        name,
        uid: object.uid().unwrap_or_default(),
        watched: kind.resource.group == "graftling.dev" || object.labels().contains_key("graftling.dev/environment"),
        owner,
        revision: object
            .resource_version()
            .and_then(|version| version.parse().ok())
            .unwrap_or_default(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
