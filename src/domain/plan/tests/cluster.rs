//! A model of the API server: objects with UIDs, labels, finalizers and field ownership, and how it answers.

use std::collections::BTreeSet;

use super::*;
use serde_json::json;

use crate::domain::observed::secret_digests;
use crate::domain::outcome::{Failure, FailureClass, Outcome};
use crate::domain::plan::teardown::Pod;
use crate::domain::plan::teardown::references::References;
use crate::domain::readiness::Readiness;
use crate::domain::residue::Found;
use crate::domain::retention::Retention;

#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub uid: String,
    pub content: String,
    pub environment: Option<String>,
    pub environment_uid: Option<String>,
    /// The fields that we applied; `None` for what others made.
    pub ownership: Option<String>,
    pub finalizers: Vec<String>,
    pub deleting: bool,
    pub ready: bool,
    /// Whether we made it: the model's own memory, which nothing in the cluster shows.
    pub made_by_us: bool,
    /// The resourceVersion: every write changes it.
    pub version: u64,
    /// The environments that own it together.
    pub shares: Shares,
    /// The UIDs of its owners.
    pub owners: Vec<String>,
    /// Somebody put the annotation on it that keeps it.
    pub retained: bool,
}

impl Object {
    fn retention(&self) -> Retention {
        Retention {
            asked: self.retained,
            from: None,
        }
    }

    /// Whether it must be in our inventory: what other environments own after we let go of it need not.
    pub fn is_ours(&self) -> bool {
        self.made_by_us && (self.shares.is_empty() || self.shares.contains_key(ENVIRONMENT))
    }
}

#[derive(Debug, Clone, Default)]
pub struct Cluster {
    pub objects: BTreeMap<ObjectKey, Object>,
    /// Pods, with the workload that they belong to and the account that they run as. They go one tick after their workload.
    pub pods: Vec<(ObjectKey, Pod)>,
    /// Finalizers that each new object of a kind gets, as a controller would add them; taken off by [`Cluster::tick`].
    pub slow_kinds: BTreeSet<String>,
    /// Objects whose finalizers nobody takes off.
    pub held: BTreeSet<ObjectKey>,
    /// Objects that never become ready.
    pub broken: BTreeSet<ObjectKey>,
    /// Every write that changed something, in order.
    pub log: Vec<Write>,
    /// What counts on accounts of the namespace.
    pub references: References,
    made: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    Create(ObjectKey, Stage),
    Update(ObjectKey, Stage),
    Delete(ObjectKey),
}

impl Cluster {
    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Somebody else makes an object, maybe with our label copied onto it.
    pub fn make_foreign(&mut self, key: &ObjectKey, labelled: bool) {
        let uid = format!("foreign-{}", self.next());
        let object = Object {
            uid,
            content: "foreign".into(),
            environment: labelled.then(|| ENVIRONMENT.to_owned()),
            environment_uid: None,
            ownership: None,
            finalizers: Vec::new(),
            deleting: false,
            ready: true,
            made_by_us: false,
            version: self.made,
            shares: Shares::new(),
            owners: Vec::new(),
            retained: false,
        };
        self.objects.insert(key.clone(), object);
    }

    /// A controller makes an object below another one, and holds it with these finalizers.
    pub fn make_below(&mut self, owner: &ObjectKey, key: &ObjectKey, finalizers: &[&str]) {
        let above = self.objects[owner].uid.clone();
        self.make_foreign(key, false);
        let object = self.objects.get_mut(key).unwrap();
        object.owners = vec![above];
        object.finalizers = finalizers.iter().map(ToString::to_string).collect();
    }

    /// The garbage collector: what lost all of its owners is deleted.
    fn collect_garbage(&mut self) {
        let lost = self.objects.iter().filter(|(_, object)| self.is_lost(object));
        for key in lost.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.objects.get_mut(&key).unwrap().deleting = true;
        }
    }

    fn is_lost(&self, object: &Object) -> bool {
        let is_there = |owner: &String| self.objects.values().any(|object| object.uid == *owner);
        !object.owners.is_empty() && !object.owners.iter().any(is_there)
    }

    /// Another environment becomes an owner of a shared object, which it makes if it is not there.
    pub fn join(&mut self, key: &ObjectKey, owner: &str, content: &str) {
        if !self.objects.contains_key(key) {
            self.make_foreign(key, false);
        }
        let version = self.next();
        let object = self.objects.get_mut(key).unwrap();
        object.version = version;
        object.content = content.into();
        object.shares.insert(owner.into(), share(content));
    }

    /// Another environment lets go of a shared object; the last one deletes it.
    pub fn leave(&mut self, key: &ObjectKey, owner: &str) {
        let version = self.next();
        let Some(object) = self.objects.get_mut(key) else { return };
        object.version = version;
        if object.shares.remove(owner).is_some() && object.shares.is_empty() {
            self.objects.remove(key);
        }
    }

    pub fn foreign(&self) -> BTreeMap<ObjectKey, Object> {
        let foreign = self.objects.iter().filter(|(_, object)| !object.made_by_us);
        foreign.map(|(key, object)| (key.clone(), object.clone())).collect()
    }

    pub fn live(&self, key: &ObjectKey) -> Option<LiveObject> {
        let object = self.objects.get(key)?;
        Some(LiveObject {
            key: key.clone(),
            uid: object.uid.clone(),
            version: object.version,
            deletion: object.deleting.then(|| Deletion {
                since: "2026-01-01T00:00:00Z".into(),
                finalizers: object.finalizers.clone(),
            }),
            environment: object.environment.clone(),
            environment_uid: object.environment_uid.clone(),
            ownership: object.ownership.clone(),
            co_appliers: Vec::new(),
            secret: secret_digests(key, &json!({"stringData": {"content": object.content}})),
            readiness: match object.ready {
                true => Readiness::Ready,
                false => Readiness::Progressing {
                    reason: "is starting".into(),
                },
            },
            owners: Vec::new(),
            shares: object.shares.clone(),
            shared_content: (!object.shares.is_empty()).then(|| format!("digest of {}", object.content)),
            retention: object.retention(),
        })
    }

    pub fn observe<'a>(&self, keys: impl IntoIterator<Item = &'a ObjectKey>) -> Observed {
        keys.into_iter()
            .filter_map(|key| self.live(key))
            .map(|live| (live.key.clone(), live))
            .collect()
    }

    /// What the namespace holds, beside pods.
    pub fn contents(&self) -> Vec<Found> {
        let inside = self.objects.iter().filter(|(key, _)| key.namespace.as_deref() == Some(ENVIRONMENT));
        inside
            .map(|(key, object)| Found {
                key: key.clone(),
                uid: object.uid.clone(),
                environment: object.environment.clone(),
                owners: object.owners.clone(),
                owner_kinds: Vec::new(),
                lost: self.is_lost(object),
                finalizers: object.finalizers.clone(),
                deleting_since: object.deleting.then(|| "2026-01-01T00:00:00Z".to_owned()),
                retention: object.retention(),
            })
            .collect()
    }

    pub fn apply(&mut self, apply: &Apply) -> Outcome {
        let key = &apply.manifest.key;
        if let Some(failure) = self.refuses_creation(key) {
            return Outcome::Failed(failure);
        }
        let (uid, made_by_us) = match (self.objects.get(key), &apply.fence) {
            (Some(_), Fence::MustNotExist) => {
                let live = Box::new(self.live(key).unwrap());
                return Outcome::Exists { live };
            }
            (Some(object), Fence::Uid(uid)) if object.uid == *uid => (uid.clone(), object.made_by_us),
            (Some(object), Fence::Unchanged { uid, version }) if object.uid == *uid && object.version == *version => {
                (uid.clone(), object.made_by_us)
            }
            (Some(object), Fence::Unchanged { uid, .. }) if object.uid == *uid => {
                let live = Box::new(self.live(key).unwrap());
                return Outcome::Exists { live };
            }
            (_, Fence::Uid(_) | Fence::Unchanged { .. }) => return Outcome::Vanished { key: key.clone() },
            (None, Fence::MustNotExist) => (format!("uid-{}", self.next()), true),
        };
        let old = self.objects.get(key).cloned();
        let version = self.next();
        self.log.push(match old {
            None => Write::Create(key.clone(), apply.stage),
            Some(_) => Write::Update(key.clone(), apply.stage),
        });
        let object = Object {
            version,
            ..self.applied(apply, uid, made_by_us, old)
        };
        self.objects.insert(key.clone(), object);
        Outcome::Applied {
            stage: apply.stage,
            digest: apply.manifest.recorded_digest(),
            live: Box::new(self.live(key).unwrap().seen_by(ENVIRONMENT)),
        }
    }

    fn applied(&self, apply: &Apply, uid: String, made_by_us: bool, old: Option<Object>) -> Object {
        let key = &apply.manifest.key;
        let text = |pointer: &str| {
            apply
                .manifest
                .body
                .pointer(pointer)
                .and_then(|value| value.as_str())
                .map(str::to_owned)
        };
        let slow = self.slow_kinds.contains(&key.kind) || self.held.contains(key);
        let instant = matches!(key.kind.as_str(), "Namespace" | "RoleBinding" | "ResourceQuota");
        let content = match &old {
            Some(old) if apply.because == Because::Wished => old.content.clone(),
            _ => text("/content").unwrap(),
        };
        let old_retained = old.as_ref().is_some_and(|old| old.retained);
        let mut shares = old.as_ref().map(|old| old.shares.clone()).unwrap_or_default();
        let owner = apply.manifest.owner();
        let is_shared = owner.is_some();
        if let Some((environment, wanted)) = owner {
            let wanted = Some(wanted.to_owned());
            let share = Share { wanted, ..share(&content) };
            shares.insert(environment.to_owned(), share);
        }
        Object {
            version: 0,
            shares,
            uid,
            environment: text("/metadata/labels/graftling.dev~1environment"),
            environment_uid: text("/metadata/annotations/graftling.dev~1environment-uid"),
            ownership: (!is_shared).then(|| format!("fields of {content}")),
            finalizers: if slow { vec!["example.com/hold".into()] } else { Vec::new() },
            deleting: old.as_ref().is_some_and(|old| old.deleting),
            ready: instant || old.is_some_and(|old| old.ready && old.content == content),
            retained: old_retained,
            content,
            made_by_us,
            owners: Vec::new(),
        }
    }

    fn refuses_creation(&self, key: &ObjectKey) -> Option<Failure> {
        key.namespace.as_ref()?;
        let class = match self.objects.get(&namespace_key()) {
            None => FailureClass::Transient,
            Some(namespace) if namespace.deleting && !self.objects.contains_key(key) => FailureClass::NamespaceEnding,
            Some(_) => return None,
        };
        Some(Failure {
            key: key.clone(),
            class,
            message: "the namespace does not take it".into(),
        })
    }

    pub fn delete(&mut self, delete: &Delete) -> Outcome {
        let key = &delete.key;
        let outcome = Outcome::Deleting { key: key.clone() };
        let Some(object) = self.objects.get_mut(key).filter(|object| object.uid == delete.uid) else {
            return outcome;
        };
        match &delete.removal {
            Removal::DeleteUnchanged { version } | Removal::Release { version, .. } if *version != object.version => {
                return Outcome::Failed(Failure {
                    key: key.clone(),
                    class: FailureClass::Transient,
                    message: "somebody changed it".into(),
                });
            }
            Removal::Release { environment, .. } => {
                object.shares.remove(environment);
                object.version += 1;
                return outcome;
            }
            Removal::Delete | Removal::DeleteUnchanged { .. } => {}
        }
        self.log.push(Write::Delete(key.clone()));
        let has_pods = self.pods.iter().any(|(owner, _)| owner == key);
        object.deleting = true;
        if object.finalizers.is_empty() && !has_pods && key.kind != "Namespace" {
            self.objects.remove(key);
        }
        outcome
    }

    /// Time passes: controllers do their work.
    pub fn tick(&mut self) {
        let ending = self.objects.get(&namespace_key()).is_some_and(|namespace| namespace.deleting);
        for (key, object) in &mut self.objects {
            object.ready |= !self.broken.contains(key);
            object.deleting |= ending && key.namespace.is_some();
        }
        self.collect_garbage();
        let objects = &self.objects;
        self.pods
            .retain(|(owner, _)| objects.get(owner).is_some_and(|object| !object.deleting) && !ending);
        let held = &self.held;
        self.objects
            .retain(|key, object| !(object.deleting && key.kind != "Namespace" && !held.contains(key)));
        let empty = !self.objects.keys().any(|key| key.namespace.is_some());
        if ending && empty {
            self.objects.remove(&namespace_key());
        }
    }

    /// Everything except UIDs: what a crash must not change.
    pub fn shape(&self) -> BTreeMap<ObjectKey, (String, Option<String>, Option<String>)> {
        let shape = |object: &Object| (object.content.clone(), object.environment.clone(), object.ownership.clone());
        self.objects.iter().map(|(key, object)| (key.clone(), shape(object))).collect()
    }
}

fn share(content: &str) -> Share {
    Share {
        wanted: Some(format!("digest of {content}")),
        ownership: Some(format!("fields of {content}")),
    }
}
