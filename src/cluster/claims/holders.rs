//! Who has a host, kept by watches over every object that could have one, ours or not: nearly every environment claims one, and a listing
//! for each would grow with all the others.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::key_of;
use crate::cluster::error::chain;
use crate::cluster::kinds::Resource;
use crate::cluster::live::is_forbidden;
use crate::cluster::relist::relisting;
use crate::domain::claims::{Claim, Holder, Kind, holders_of};
use crate::domain::manifest::ObjectKey;

/// The holders of the kinds that were asked for so far. Cheap to clone.
#[derive(Clone)]
pub struct Holders {
    client: Client,
    kinds: Arc<Mutex<HashMap<Kind, Watched>>>,
    resync: Duration,
}

struct Watched {
    holding: Holding,
    /// The watch ends with whoever asks.
    _watch: AbortOnDropHandle<()>,
}

/// What is known of one kind.
struct Holding {
    known: HashMap<ObjectKey, Known>,
    /// Known before the listing under way, which has not shown them yet.
    unlisted: BTreeSet<ObjectKey>,
    state: watch::Sender<State>,
}

struct Known {
    /// As a number; versions of one kind can be compared (KEP-5504).
    version: u64,
    holder: Holder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Synced,
    Forbidden,
}

/// What the watch of a kind says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// These have one of the claims.
    Held(Vec<Holder>),
    /// The kind may not be listed.
    Forbidden,
    /// The first listing has not arrived in time.
    Behind,
}

/// How long a check waits for the first listing of a kind.
const SYNC_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait after a listing was refused: rights can be given later.
const REFUSED: Duration = Duration::from_secs(60);

impl Holders {
    /// Knows nothing yet. Each kind is listed anew every `resync`.
    pub fn new(client: Client, resync: Duration) -> Self {
        Self {
            client,
            kinds: Arc::default(),
            resync,
        }
    }

    /// The objects of a kind that have one of `claims`. The first question about a kind begins to watch it.
    pub(super) async fn of(&self, kind: Kind, resource: &Resource, claims: &BTreeSet<&Claim>) -> Answer {
        let mut state = self.subscribe(kind, resource);
        let settled = state.wait_for(|state| *state != State::Starting);
        match tokio::time::timeout(SYNC_TIMEOUT, settled).await {
            Ok(Ok(state)) if *state == State::Synced => {}
            Ok(Ok(_)) => return Answer::Forbidden,
            _ => return Answer::Behind,
        }
        let kinds = self.lock();
        let known = kinds.get(&kind).map(|watched| watched.holding.known.values()).into_iter().flatten();
        let holders = known.map(|known| &known.holder);
        Answer::Held(
            holders
                .filter(|holder| holder.claims.iter().any(|claim| claims.contains(claim)))
                .cloned()
                .collect(),
        )
    }

    /// Takes in what one of our own writes returned: the next environment must see it, however late the watch is.
    pub(in crate::cluster) fn record(&self, resource: &Resource, object: &DynamicObject) {
        let mut kinds = self.lock();
        let of_kind = |(kind, _): &(&Kind, &mut Watched)| kind.0 == resource.api.group && kind.2 == resource.api.kind;
        if let Some((kind, watched)) = kinds.iter_mut().find(of_kind) {
            watched.holding.apply(*kind, object);
        }
    }

    fn subscribe(&self, kind: Kind, resource: &Resource) -> watch::Receiver<State> {
        let mut kinds = self.lock();
        if let Some(watched) = kinds.get(&kind) {
            return watched.holding.state.subscribe();
        }
        let (state, receiver) = watch::channel(State::Starting);
        let api = Api::all_with(self.client.clone(), &resource.api);
        let watch = follow(Arc::downgrade(&self.kinds), api, kind, self.resync);
        let watched = Watched {
            holding: Holding::new(state),
            _watch: AbortOnDropHandle::new(tokio::spawn(watch)),
        };
        kinds.insert(kind, watched);
        receiver
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Watched>> {
        lock(&self.kinds)
    }
}

fn lock(kinds: &Mutex<HashMap<Kind, Watched>>) -> MutexGuard<'_, HashMap<Kind, Watched>> {
    kinds.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(kinds: Weak<Mutex<HashMap<Kind, Watched>>>, api: Api<DynamicObject>, kind: Kind, resync: Duration) {
    let mut events = relisting(api, watcher::Config::default(), resync).boxed();
    while let Some(event) = events.next().await {
        let is_refused = event.as_ref().is_err_and(is_forbidden);
        {
            let Some(kinds) = kinds.upgrade() else { return };
            let mut kinds = lock(&kinds);
            let Some(Watched { holding, .. }) = kinds.get_mut(&kind) else {
                return;
            };
            match event {
                Ok(event) => holding.take(kind, event),
                Err(_) if is_refused => holding.take_refusal(kind),
                Err(error) => tracing::warn!(kind = kind.2, error = %chain(&error), "watch interrupted"),
            }
        }
        if is_refused {
            tokio::time::sleep(REFUSED).await;
        }
    }
}

impl Holding {
    fn new(state: watch::Sender<State>) -> Self {
        Self {
            known: HashMap::new(),
            unlisted: BTreeSet::new(),
            state,
        }
    }

    fn take_refusal(&self, kind: Kind) {
        if self.state.send_replace(State::Forbidden) != State::Forbidden {
            tracing::info!(kind = kind.2, "this kind may not be listed; who has a host by it is not seen");
        }
    }

    fn take(&mut self, kind: Kind, event: Event<DynamicObject>) {
        match event {
            Event::Init => self.unlisted = self.known.keys().cloned().collect(),
            Event::InitApply(object) => self.apply(kind, &object),
            Event::InitDone => {
                for key in std::mem::take(&mut self.unlisted) {
                    self.known.remove(&key);
                }
                self.state.send_replace(State::Synced);
            }
            Event::Apply(object) => {
                self.apply(kind, &object);
                self.state.send_replace(State::Synced);
            }
            Event::Delete(object) => {
                let Some(key) = key(kind, &object) else { return };
                if self.known.get(&key).is_some_and(|known| known.version <= version_of(&object)) {
                    self.known.remove(&key);
                }
            }
        }
    }

    /// The newer one counts: an answer to a write can be ahead of the watch.
    fn apply(&mut self, kind: Kind, object: &DynamicObject) {
        let Some(key) = key(kind, object) else { return };
        self.unlisted.remove(&key);
        let version = version_of(object);
        if self.known.get(&key).is_some_and(|known| known.version >= version) {
            return;
        }
        let body = serde_json::to_value(object).unwrap_or_default();
        match holders_of(key.clone(), &body) {
            Some(holder) => drop(self.known.insert(key, Known { version, holder })),
            None => drop(self.known.remove(&key)),
        }
    }
}

fn key(kind: Kind, object: &DynamicObject) -> Option<ObjectKey> {
    Some(key_of(kind, object.metadata.namespace.clone(), object.metadata.name.clone()?))
}

fn version_of(object: &DynamicObject) -> u64 {
    let version = object.metadata.resource_version.as_deref();
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use serde_json::json;

    use super::*;

    const INGRESS: Kind = ("networking.k8s.io", "v1", "Ingress");

    fn ingress(name: &str, version: u64, host: &str) -> DynamicObject {
        let metadata = json!({ "name": name, "namespace": "n", "resourceVersion": version.to_string() });
        serde_json::from_value(json!({ "metadata": metadata, "spec": { "rules": [{ "host": host }] } })).unwrap()
    }

    /// What is known after these events.
    fn known(events: Vec<Event<DynamicObject>>) -> Vec<(String, Claim)> {
        let mut holding = Holding::new(watch::channel(State::Starting).0);
        events.into_iter().for_each(|event| holding.take(INGRESS, event));
        let all = holding.known.values().flat_map(|known| {
            let claims = known.holder.claims.iter();
            claims.map(|claim| (known.holder.key.name.clone(), claim.clone()))
        });
        let mut all: Vec<_> = all.collect();
        all.sort();
        all
    }

    fn host(name: &str, host: &str) -> (String, Claim) {
        (name.to_owned(), Claim::Host(host.to_owned()))
    }

    #[test]
    fn who_has_a_host_follows_the_watch() {
        let listed = || vec![Event::Init, Event::InitApply(ingress("a", 1, "a.example")), Event::InitDone];
        assert_eq!(known(listed()), [host("a", "a.example")]);
        let changed = [listed(), vec![Event::Apply(ingress("a", 2, "b.example"))]].concat();
        assert_eq!(known(changed), [host("a", "b.example")]);
        let gone = [listed(), vec![Event::Delete(ingress("a", 2, "a.example"))]].concat();
        assert_eq!(known(gone), []);
        let given_up = [listed(), vec![Event::Apply(ingress("a", 2, ""))]].concat();
        assert_eq!(known(given_up), [], "it claims nothing any more");
    }

    #[test]
    fn what_a_new_listing_does_not_show_has_nothing_any_more() {
        let events = vec![
            Event::Apply(ingress("a", 1, "a.example")),
            Event::Apply(ingress("b", 2, "b.example")),
            Event::Init,
            Event::InitApply(ingress("b", 2, "b.example")),
            Event::InitDone,
        ];
        assert_eq!(known(events), [host("b", "b.example")]);
    }

    #[test]
    fn a_watch_that_is_late_takes_back_nothing_that_was_written_since() {
        let events = vec![
            Event::Apply(ingress("a", 5, "new.example")),
            Event::Apply(ingress("a", 4, "old.example")),
            Event::Delete(ingress("a", 3, "older.example")),
        ];
        assert_eq!(known(events), [host("a", "new.example")]);
    }
}
