//! What the store of a kind takes in of what its watch says, and what of that is news. A listing that is made anew shows mostly what is
//! known: held a second time until it is complete, it would double what a thousand environments take.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

use super::Hidden;

/// What has happened to an object.
pub(super) enum News<K> {
    /// It is new or different.
    Now(Arc<K>),
    /// It is gone.
    Gone(Arc<K>),
}

/// The objects of a kind.
///
/// Guarantees: what is told is what the store holds by then. Whatever a complete listing lacks is told to be gone, once.
/// Assumptions: the events are those of one watch in their order; one that begins to list anew has broken off the listing before.
pub(super) struct Kept<K: Resource<DynamicType = ()> + Clone + 'static> {
    store: Store<K>,
    writer: Writer<K>,
    hidden: Hidden,
    /// The UIDs that the listing under way has shown.
    shown: HashSet<String>,
    /// Whether a listing was ever complete.
    has_listed: bool,
}

impl<K: Resource<DynamicType = ()> + Clone + Debug + 'static> Kept<K> {
    /// Takes in what a watch says from its beginning. An object in `hidden` is not told to be gone where a listing lacks it.
    pub(super) fn new(writer: Writer<K>, hidden: Hidden) -> Self {
        Self {
            store: writer.as_reader(),
            writer,
            hidden,
            shown: HashSet::new(),
            has_listed: false,
        }
    }

    /// Takes in an event, and says what is news in it.
    pub(super) fn take(&mut self, event: Event<K>) -> Vec<News<K>> {
        match event {
            Event::Init => {
                self.shown.clear();
                self.unless_listed(&Event::Init);
                Vec::new()
            }
            Event::InitApply(object) => self.list(object),
            Event::InitDone => self.end_listing(),
            Event::Apply(object) => vec![self.apply(object)],
            Event::Delete(object) => vec![self.remove(Arc::new(object))],
        }
    }

    /// The first listing is taken over as a whole: until it is complete, the store is not ready.
    fn unless_listed(&mut self, event: &Event<K>) {
        if !self.has_listed {
            self.writer.apply_watcher_event(event);
        }
    }

    fn list(&mut self, object: K) -> Vec<News<K>> {
        self.shown.extend(object.meta().uid.clone());
        if !self.has_listed {
            self.writer.apply_watcher_event(&Event::InitApply(object));
            return Vec::new();
        }
        match self.store.get(&ObjectRef::from_obj(&object)) {
            Some(known) if is_same(&*known, &object) => Vec::new(),
            // Another one has its name: the one before has ended unseen.
            Some(known) if known.meta().uid != object.meta().uid => vec![self.remove(known), self.apply(object)],
            _ => vec![self.apply(object)],
        }
    }

    fn end_listing(&mut self) -> Vec<News<K>> {
        self.unless_listed(&Event::InitDone);
        let state = self.store.state();
        if !self.has_listed {
            self.has_listed = true;
            return state.into_iter().map(News::Now).collect();
        }
        let unseen = state.into_iter().filter(|object| !self.shown.contains(uid(&**object)));
        let unseen: Vec<_> = unseen.collect();
        self.shown = HashSet::new();
        let mut gone: Vec<_> = unseen.into_iter().map(|object| self.remove(object)).collect();
        gone.retain(|news| !matches!(news, News::Gone(object) if self.hidden.contains(uid(&**object))));
        gone
    }

    fn apply(&mut self, object: K) -> News<K> {
        let now = Arc::new(object.clone());
        self.writer.apply_watcher_event(&Event::Apply(object));
        News::Now(now)
    }

    fn remove(&mut self, object: Arc<K>) -> News<K> {
        self.writer.apply_watcher_event(&Event::Delete(K::clone(&object)));
        News::Gone(object)
    }
}

fn uid<K: Resource>(object: &K) -> &str {
    object.meta().uid.as_deref().unwrap_or_default()
}

fn is_same<K: Resource>(one: &K, other: &K) -> bool {
    let (one, other) = (one.meta(), other.meta());
    one.uid == other.uid && one.resource_version == other.resource_version
}
