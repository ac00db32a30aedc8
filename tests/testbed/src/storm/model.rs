//! The reference model: from the operations alone, what must be there at the next quiet point.
//!
//! It knows what the documentation promises and nothing of how it is done. Where the order of things within a group decides, it allows each
//! of the outcomes, and takes the one that it is shown for the truth from then on.

mod environment;
mod judge;
pub mod wish;

use std::collections::{BTreeMap, BTreeSet};

use self::wish::{Bundle, Settings};
use super::observed::{Key, Observed, is_ending, text, uid};
use super::operation::{Branch, Operation, Target};

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// It happened, and what it was about is this: a name, where the operation does not say it.
    Done(String),
    /// There was nothing that it could have happened to.
    Nothing,
    /// It happened, and changes nothing of what must be there.
    Aside,
    /// Branches are there, each at a revision, or are gone.
    Heads(Vec<(Branch, Option<String>)>),
}

/// What is known of one branch.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Where it is now.
    pub(super) head: Option<String>,
    /// Where it was at any time of this epoch.
    pub(super) heads: BTreeSet<String>,
    /// Whether it was not there at some time of this epoch, its beginning included.
    pub(super) was_absent: bool,
    /// Whether it was there and not excluded at some time of this epoch, its beginning included.
    pub(super) was_wanted: bool,
    /// Whether somebody deleted its Environment in this epoch.
    pub(super) removed: bool,
    /// Whether somebody deleted its namespace in this epoch.
    pub(super) namespace_removed: bool,
    /// Whether somebody laid hands on its objects in this epoch.
    pub(super) touched: bool,
    /// Whether it moved in this epoch.
    pub(super) moved: bool,
    /// What others put into its namespace; true: in this epoch.
    pub(super) planted: BTreeMap<String, bool>,
    /// What somebody took our label off, and which may lack it still. A teardown leaves it to them.
    pub(super) unlabelled: BTreeSet<Target>,
    /// The namespace of its environment's name that others made.
    pub(super) foreign_namespace: Option<String>,
    /// The environment as it was at the last quiet point.
    pub(super) last: Option<Last>,
}

/// An environment at the last quiet point.
#[derive(Debug, Clone)]
pub(super) struct Last {
    pub(super) uid: String,
    pub(super) revision: String,
    pub(super) is_ending: bool,
    /// Whether the brake held it.
    pub(super) is_held: bool,
    /// UIDs of what was in its namespace.
    pub(super) objects: BTreeMap<Key, String>,
}

impl Known {
    /// Whether the brake held the environment at the last quiet point, and the branch was not seen since.
    pub(super) fn stays_held(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.is_held) && !self.moved
    }

    /// The environment of the last quiet point, if nothing happened since that may have ended it.
    pub(super) fn lives_on(&self) -> Option<&Last> {
        let may_have_ended = self.was_absent || self.removed;
        self.last.as_ref().filter(|last| !last.is_ending && !may_have_ended)
    }
}

/// What must be there.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub(super) settings: Settings,
    pub(super) bundle: Bundle,
    pub(super) branches: BTreeMap<Branch, Known>,
    /// The highest `maxEnvironments` of this epoch; `None` inside: there was none.
    pub(super) highest_limit: Option<u32>,
    pub(super) was_unlimited: bool,
    /// Whether settings or bundle changed in this epoch, broken templates left out.
    pub(super) changed: bool,
    /// Whether a template was broken at the beginning of this epoch and all the time since.
    pub(super) broken_throughout: bool,
    /// Whether somebody released what the brake held.
    pub(super) released: bool,
}

impl Model {
    /// Nothing but a Project with default settings.
    pub fn new() -> Self {
        let mut model = Self {
            branches: Branch::all().map(|branch| (branch, Known::default())).collect(),
            ..Self::default()
        };
        model.begin_epoch();
        model
    }

    /// What the Project says now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the bundle has now.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Where a branch is now.
    pub fn head(&self, branch: Branch) -> Option<&str> {
        self.branches.get(&branch)?.head.as_deref()
    }

    /// What others put into the namespace of a branch and did not remove.
    pub fn planted(&self, branch: Branch) -> Vec<String> {
        self.known(branch).planted.keys().cloned().collect()
    }

    /// What of a branch's environment may lack our label.
    pub fn unlabelled(&self, branch: Branch) -> Vec<Target> {
        self.known(branch).unlabelled.iter().copied().collect()
    }

    /// Whether others have a namespace of the branch's name.
    pub fn has_foreign_namespace(&self, branch: Branch) -> bool {
        self.known(branch).foreign_namespace.is_some()
    }

    pub(super) fn known(&self, branch: Branch) -> &Known {
        static NOTHING: std::sync::LazyLock<Known> = std::sync::LazyLock::new(Known::default);
        self.branches.get(&branch).unwrap_or(&NOTHING)
    }

    fn change(&mut self, branch: Branch, change: impl FnOnce(&mut Known)) {
        change(self.branches.entry(branch).or_default());
    }

    /// Takes in what came of an operation.
    pub fn happened(&mut self, operation: &Operation, effect: &Effect) {
        match effect {
            Effect::Nothing | Effect::Aside => {}
            Effect::Heads(heads) => heads.iter().for_each(|(branch, head)| self.head_moved(*branch, head.clone())),
            Effect::Done(name) => self.done(operation, name),
        }
        self.note_wishes();
    }

    fn head_moved(&mut self, branch: Branch, head: Option<String>) {
        self.change(branch, |known| {
            known.moved |= known.head != head;
            known.was_absent |= head.is_none();
            known.heads.extend(head.clone());
            known.head = head;
        });
    }

    fn done(&mut self, operation: &Operation, name: &str) {
        match operation {
            Operation::Values(number) => self.set(|settings| settings.greeting = *number),
            Operation::Quota(number) => self.set(|settings| settings.pods = *number),
            Operation::Domain(number) => self.set(|settings| settings.domain = *number),
            Operation::Exclude(branches) => self.set(|settings| settings.excluded.clone_from(branches)),
            Operation::Suspend(suspended) => self.set(|settings| settings.suspended = *suspended),
            Operation::Limit(most) => self.set(|settings| settings.most = *most),
            Operation::Object(slot, kind, content) => {
                self.changed = true;
                self.bundle.objects.insert(*slot, (*kind, *content));
            }
            Operation::NoObject(slot) => {
                self.changed = true;
                self.bundle.objects.remove(slot);
            }
            Operation::Break => self.bundle.broken = true,
            Operation::Mend => {
                self.broken_throughout = false;
                self.bundle.broken = false;
            }
            _ => self.done_by_hand(operation, name),
        }
    }

    fn done_by_hand(&mut self, operation: &Operation, name: &str) {
        match operation {
            Operation::Edit(branch, _) | Operation::Remove(branch, _) => self.change(*branch, |known| known.touched = true),
            Operation::Unlabel(branch, target) => self.change(*branch, |known| {
                known.touched = true;
                known.unlabelled.insert(*target);
            }),
            Operation::Hold(branch) | Operation::Release(branch) => self.change(*branch, |known| known.touched = true),
            Operation::RemoveNamespace(branch) => self.change(*branch, |known| {
                known.namespace_removed = true;
                // What was in it goes with it, whosever it was.
                known.planted.clear();
            }),
            Operation::RemoveEnvironment(branch) => self.change(*branch, |known| known.removed = true),
            Operation::Plant(branch) => self.change(*branch, |known| {
                known.planted.insert(name.to_owned(), true);
            }),
            Operation::Unplant(branch) => self.change(*branch, |known| {
                known.planted.clear();
                known.unlabelled.clear();
            }),
            Operation::PlantNamespace(branch) => self.change(*branch, |known| known.foreign_namespace = Some(name.to_owned())),
            Operation::ReleaseBrake => self.released = true,
            Operation::UnplantNamespace(branch) => self.change(*branch, |known| known.foreign_namespace = None),
            _ => {}
        }
    }

    fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        self.changed = true;
        change(&mut self.settings);
        self.note_limit();
    }

    fn note_limit(&mut self) {
        match self.settings.most {
            None => self.was_unlimited = true,
            Some(most) => self.highest_limit = Some(self.highest_limit.unwrap_or_default().max(most)),
        }
    }

    fn note_wishes(&mut self) {
        let excluded = self.settings.excluded.clone();
        for (branch, known) in &mut self.branches {
            known.was_wanted |= known.head.is_some() && !excluded.contains(branch);
        }
    }

    /// What is wrong with what is there; nothing if everything is as it must be.
    pub fn complaints(&self, observed: &Observed) -> Vec<String> {
        judge::complaints(self, observed)
    }

    /// Takes what is there for the truth, and begins anew with it. While the Project is suspended nothing is settled, and the epoch goes on.
    pub fn settle(&mut self, observed: &Observed) {
        let suspended = self.settings.suspended;
        for (branch, known) in &mut self.branches {
            let environment = observed.environment(branch.name());
            if suspended && environment.is_some_and(|environment| known.last.as_ref().is_some_and(|last| last.uid == uid(environment))) {
                continue;
            }
            known.last = environment.map(|environment| Last {
                uid: uid(environment).to_owned(),
                revision: text(environment, "/spec/revision").to_owned(),
                is_ending: is_ending(environment),
                is_held: observed.is_held(branch.name()),
                objects: inside(observed, text(environment, "/metadata/name")),
            });
        }
        for (branch, known) in &mut self.branches {
            let namespace = observed
                .environment(branch.name())
                .map(|environment| text(environment, "/metadata/name"));
            let is_there = |name: &String| {
                let key = |namespace: &str| (namespace.to_owned(), "ConfigMap".to_owned(), name.clone());
                namespace.is_some_and(|namespace| observed.objects.contains_key(&key(namespace)))
            };
            known.planted.retain(|name, _| is_there(name));
            let lacks_label = |target: &Target| {
                let (_, kind, name) = target.object();
                let key = |namespace: &str| (namespace.to_owned(), kind.to_owned(), name.to_owned());
                let live = namespace.and_then(|namespace| observed.objects.get(&key(namespace)));
                live.is_some_and(|live| text(live, "/metadata/labels/graftling.dev~1environment").is_empty())
            };
            known.unlabelled.retain(lacks_label);
        }
        if !suspended {
            self.begin_epoch();
        }
    }

    fn begin_epoch(&mut self) {
        for known in self.branches.values_mut() {
            known.heads = known.head.iter().cloned().collect();
            known.was_absent = known.head.is_none();
            known.was_wanted = false;
            known.removed = false;
            known.namespace_removed = false;
            known.touched = false;
            known.moved = false;
            known.planted.values_mut().for_each(|is_new| *is_new = false);
        }
        self.changed = false;
        self.released = false;
        self.broken_throughout = self.bundle.broken;
        self.highest_limit = None;
        self.was_unlimited = false;
        self.note_limit();
        self.note_wishes();
    }
}

/// The UIDs of what is in a namespace.
fn inside(observed: &Observed, namespace: &str) -> BTreeMap<Key, String> {
    observed
        .inside(namespace)
        .map(|(key, object)| (key.clone(), uid(object).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
