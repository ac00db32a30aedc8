//! The live objects of one kind, kept small: a thousand environments have some fifteen thousand of them, and nearly all are alike but for
//! a few short texts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::GroupKind;
use crate::domain::manifest::ObjectKey;
use crate::domain::observed::{Deletion, LiveObject};
use crate::domain::readiness::Readiness;
use crate::domain::retention::Retention;

/// The objects of a group and kind, by where they are.
pub(super) struct Objects {
    of: GroupKind,
    /// By version, namespace and name as one text: see [`place`].
    kept: HashMap<Box<str>, Kept>,
}

struct Kept {
    version: u64,
    /// Whether the watch showed it or we wrote it since the watch last began to list.
    is_current: bool,
    facts: Facts,
}

/// What is known of an object.
enum Facts {
    /// Of one that is ready and has nothing special: its texts, one a line, as [`Texts`] has them.
    Plain(Box<str>),
    /// Of any other: all of it.
    Whole(Box<LiveObject>),
}

/// Stands for an environment that is named as the object's namespace, or as the object itself if that is in none. No label has this value.
const SAME: &str = ".";

impl Objects {
    /// None yet.
    pub(super) fn new(of: GroupKind) -> Self {
        Self { of, kept: HashMap::new() }
    }

    /// The object of `key`.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<LiveObject> {
        let kept = self.kept.get(place(key).as_str())?;
        Some(kept.unpack(|| key.clone()))
    }

    /// The resourceVersion of the object of `key`.
    pub(super) fn version(&self, key: &ObjectKey) -> Option<u64> {
        self.kept.get(place(key).as_str()).map(|kept| kept.version)
    }

    /// The deletion that is under way of the object of `key`.
    pub(super) fn deletion(&self, key: &ObjectKey) -> Option<&Deletion> {
        match &self.kept.get(place(key).as_str())?.facts {
            Facts::Plain(_) => None,
            Facts::Whole(live) => live.deletion.as_ref(),
        }
    }

    /// Takes an object in, in place of what was known of it.
    pub(super) fn insert(&mut self, live: LiveObject) {
        let place = place(&live.key).into();
        let kept = Kept {
            version: live.version,
            is_current: true,
            facts: Facts::of(live),
        };
        self.kept.insert(place, kept);
    }

    /// Takes an object out.
    pub(super) fn remove(&mut self, key: &ObjectKey) {
        self.kept.remove(place(key).as_str());
    }

    /// The watch begins to list: what it does not show from now on, and nobody writes, is gone at its end.
    pub(super) fn begin_listing(&mut self) {
        self.kept.values_mut().for_each(|kept| kept.is_current = false);
    }

    /// The listing shows an object, perhaps as it is known.
    pub(super) fn show(&mut self, key: &ObjectKey) {
        if let Some(kept) = self.kept.get_mut(place(key).as_str()) {
            kept.is_current = true;
        }
    }

    /// Takes out what the listing did not show, and gives the environments that it belonged to.
    pub(super) fn end_listing(&mut self) -> BTreeSet<String> {
        let Self { of, kept } = self;
        let gone = kept.extract_if(|_, kept| !kept.is_current);
        gone.filter_map(|(place, kept)| kept.unpack(|| key_of(of, &place)).environment)
            .collect()
    }
}

impl Kept {
    fn unpack(&self, key: impl FnOnce() -> ObjectKey) -> LiveObject {
        match &self.facts {
            Facts::Plain(texts) => Texts::read(texts).live(key(), self.version),
            Facts::Whole(live) => LiveObject::clone(live),
        }
    }
}

impl Facts {
    fn of(live: LiveObject) -> Self {
        let texts = Texts::of(&live).and_then(|texts| texts.write());
        // What would be read back as something else is kept whole: an empty text is not none, for one.
        match texts.filter(|texts| Texts::read(texts).live(live.key.clone(), live.version) == live) {
            Some(texts) => Self::Plain(texts.into()),
            None => Self::Whole(Box::new(live)),
        }
    }
}

/// The texts of a plain object. One that is missing is empty.
struct Texts<'a> {
    uid: &'a str,
    environment: &'a str,
    environment_uid: &'a str,
    ownership: &'a str,
    owners: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    fn of(live: &'a LiveObject) -> Option<Self> {
        let is_plain = live.readiness == Readiness::Ready && live.secret.is_none() && live.deletion.is_none();
        let environment = live.environment.as_deref().unwrap_or_default();
        is_plain.then(|| Self {
            uid: &live.uid,
            environment: if environment == home(&live.key) { SAME } else { environment },
            environment_uid: live.environment_uid.as_deref().unwrap_or_default(),
            ownership: live.ownership.as_deref().unwrap_or_default(),
            owners: live.owners.iter().map(String::as_str).collect(),
        })
    }

    /// As one text, a line for each; `None` if one of them is more than a line.
    fn write(&self) -> Option<String> {
        let mut lines = vec![self.uid, self.environment, self.environment_uid, self.ownership];
        lines.extend(&self.owners);
        let is_exact = !lines.iter().any(|line| line.contains('\n'));
        is_exact.then(|| lines.join("\n"))
    }

    fn read(text: &'a str) -> Self {
        let mut lines = text.split('\n');
        let mut next = || lines.next().unwrap_or_default();
        Self {
            uid: next(),
            environment: next(),
            environment_uid: next(),
            ownership: next(),
            owners: lines.collect(),
        }
    }

    fn live(&self, key: ObjectKey, version: u64) -> LiveObject {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        LiveObject {
            uid: self.uid.to_owned(),
            version,
            deletion: None,
            environment: some(if self.environment == SAME { home(&key) } else { self.environment }),
            environment_uid: some(self.environment_uid),
            ownership: some(self.ownership),
            co_appliers: Vec::new(),
            secret: None,
            readiness: Readiness::Ready,
            owners: self.owners.iter().map(|&owner| owner.to_owned()).collect(),
            shares: BTreeMap::new(),
            shared_content: None,
            retention: Retention::default(),
            key,
        }
    }
}

/// What an environment's objects have in common: their namespace, which bears its name.
fn home(key: &ObjectKey) -> &str {
    key.namespace.as_deref().unwrap_or(&key.name)
}

/// Where an object of a kind is. None of the parts can hold a slash: they are segments of the API's paths.
fn place(key: &ObjectKey) -> String {
    [&key.version, key.namespace.as_deref().unwrap_or_default(), &key.name].join("/")
}

fn key_of(of: &GroupKind, place: &str) -> ObjectKey {
    let mut parts = place.splitn(3, '/').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    ObjectKey {
        group: of.0.clone(),
        kind: of.1.clone(),
        version: next(),
        namespace: Some(next()).filter(|namespace| !namespace.is_empty()),
        name: next(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an object that is not found is the test's failure")]

    use super::*;
    use crate::domain::observed::Share;

    fn plain(namespace: Option<&str>) -> LiveObject {
        let key = ObjectKey {
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: namespace.map(str::to_owned),
            name: "web".to_owned(),
        };
        Texts::read("u\nshop-a\n\n0123456789abcdef").live(key, 7)
    }

    fn kept(live: &LiveObject) -> (LiveObject, bool) {
        let mut objects = Objects::new(("apps".to_owned(), "Deployment".to_owned()));
        objects.insert(live.clone());
        let is_plain = objects.kept.values().all(|kept| matches!(kept.facts, Facts::Plain(_)));
        (objects.get(&live.key).unwrap(), is_plain)
    }

    #[test]
    fn an_object_comes_back_as_it_was_and_a_usual_one_is_kept_in_short() {
        let usual = plain(Some("shop-a"));
        let change = |change: fn(&mut LiveObject)| {
            let mut live = usual.clone();
            change(&mut live);
            live
        };
        let short = [
            usual.clone(),
            plain(None),
            change(|live| live.key.namespace = Some("shop-b".to_owned())),
            change(|live| live.environment = None),
            change(|live| live.ownership = None),
            change(|live| live.environment_uid = Some("e".to_owned())),
            change(|live| live.owners = vec!["a".to_owned(), "b".to_owned()]),
        ];
        let whole = [
            change(|live| live.environment = Some(String::new())),
            change(|live| live.uid = "a\nb".to_owned()),
            change(|live| live.owners = vec!["a\nb".to_owned()]),
            change(|live| {
                live.readiness = Readiness::Progressing {
                    reason: "waits".to_owned(),
                }
            }),
            change(|live| live.co_appliers = vec!["flux".to_owned()]),
            change(|live| live.secret = Some(BTreeMap::new())),
            change(|live| live.shared_content = Some("c".to_owned())),
            change(|live| live.retention.asked = true),
            change(|live| live.shares.extend([("shop-b".to_owned(), Share::default())])),
            change(|live| {
                live.deletion = Some(Deletion {
                    since: "now".to_owned(),
                    finalizers: vec!["f".to_owned()],
                });
            }),
        ];
        for live in short {
            assert_eq!(kept(&live), (live, true));
        }
        for live in whole {
            assert_eq!(kept(&live), (live, false));
        }
    }

    #[test]
    fn objects_of_one_name_in_other_versions_and_namespaces_are_others() {
        let mut objects = Objects::new(("apps".to_owned(), "Deployment".to_owned()));
        let live = plain(Some("shop-a"));
        objects.insert(live.clone());
        let others: [fn(&mut ObjectKey); 3] = [
            |key| key.version = "v2".to_owned(),
            |key| key.namespace = None,
            |key| key.name = "api".to_owned(),
        ];
        for other in others {
            let mut key = live.key.clone();
            other(&mut key);
            assert_eq!(objects.get(&key), None);
        }
        assert_eq!(objects.version(&live.key), Some(7));
        objects.begin_listing();
        assert_eq!(objects.end_listing(), BTreeSet::from(["shop-a".to_owned()]));
        assert_eq!(objects.get(&live.key), None);
    }
}
