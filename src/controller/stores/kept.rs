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

/// What is kept beside the store of a kind, in step with it.
pub(super) trait Beside<K>: Send {
    /// Takes in the first listing: `complete` makes the store ready and answers with all that is in it.
    fn fill(&mut self, complete: impl FnOnce() -> Vec<Arc<K>>) -> Vec<Arc<K>>;

    /// An object is another version now, new, or gone.
    fn replace(&mut self, before: Option<&K>, now: Option<Arc<K>>);
}

/// Nothing.
impl<K> Beside<K> for () {
    fn fill(&mut self, complete: impl FnOnce() -> Vec<Arc<K>>) -> Vec<Arc<K>> {
        complete()
    }

    fn replace(&mut self, _: Option<&K>, _: Option<Arc<K>>) {}
}

/// The objects of a kind.
///
/// Guarantees: what is told is what the store holds by then. Whatever a complete listing lacks is told to be gone, once.
/// Assumptions: the events are those of one watch in their order; one that begins to list anew has broken off the listing before.
pub(super) struct Kept<K: Resource<DynamicType = ()> + Clone + 'static, B> {
    store: Store<K>,
    writer: Writer<K>,
    beside: B,
    hidden: Hidden,
    /// The UIDs that the listing under way has shown, if it is not the first.
    shown: HashSet<String>,
    /// Whether a listing was ever complete.
    has_listed: bool,
}

impl<K: Resource<DynamicType = ()> + Clone + Debug + 'static, B: Beside<K>> Kept<K, B> {
    /// Takes in what a watch says from its beginning. An object in `hidden` is not told to be gone where a listing lacks it.
    pub(super) fn new(writer: Writer<K>, beside: B, hidden: Hidden) -> Self {
        Self {
            store: writer.as_reader(),
            writer,
            beside,
            hidden,
            shown: HashSet::new(),
            has_listed: false,
        }
    }

    /// Takes in an event, and says what is news in it.
    pub(super) fn take(&mut self, event: Event<K>) -> Vec<News<K>> {
        match event {
            Event::Init => {
                self.begin_listing();
                Vec::new()
            }
            Event::InitApply(object) => self.list(object),
            Event::InitDone => self.end_listing(),
            Event::Apply(object) => vec![self.apply(object)],
            Event::Delete(object) => vec![self.remove(Arc::new(object))],
        }
    }

    /// The first listing is taken over as a whole: until it is complete, the store is not ready.
    fn begin_listing(&mut self) {
        self.shown.clear();
        if !self.has_listed {
            self.writer.apply_watcher_event(&Event::Init);
        }
    }

    fn list(&mut self, object: K) -> Vec<News<K>> {
        if !self.has_listed {
            self.writer.apply_watcher_event(&Event::InitApply(object));
            return Vec::new();
        }
        self.shown.extend(object.meta().uid.clone());
        match self.store.get(&ObjectRef::from_obj(&object)) {
            Some(known) if is_same(&*known, &object) => Vec::new(),
            // Another one has its name: the one before has ended unseen.
            Some(known) if known.meta().uid != object.meta().uid => vec![self.remove(known), self.apply(object)],
            _ => vec![self.apply(object)],
        }
    }

    fn end_listing(&mut self) -> Vec<News<K>> {
        if !self.has_listed {
            self.has_listed = true;
            let complete = || {
                self.writer.apply_watcher_event(&Event::InitDone);
                self.store.state()
            };
            return self.beside.fill(complete).into_iter().map(News::Now).collect();
        }
        let shown = std::mem::take(&mut self.shown);
        let mut gone = Vec::new();
        for object in self.store.state() {
            if shown.contains(uid(&*object)) {
                continue;
            }
            let is_hidden = self.hidden.contains(uid(&*object));
            let news = self.remove(object);
            if !is_hidden {
                gone.push(news);
            }
        }
        gone
    }

    fn apply(&mut self, object: K) -> News<K> {
        let reference = ObjectRef::from_obj(&object);
        let before = self.store.get(&reference);
        let now = Arc::new(object.clone());
        self.writer.apply_watcher_event(&Event::Apply(object));
        // That of the store, so that it is there once.
        self.beside.replace(before.as_deref(), self.store.get(&reference));
        News::Now(now)
    }

    fn remove(&mut self, object: Arc<K>) -> News<K> {
        self.writer.apply_watcher_event(&Event::Delete(K::clone(&object)));
        self.beside.replace(Some(&object), None);
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
