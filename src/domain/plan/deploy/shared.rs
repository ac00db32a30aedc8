//! Objects that environments own together. Their content changes once all owners want it to: until then, each owner records on the
//! object what it wants it to be, and the object stays as it is.

use serde_json::Value;

use super::{Planning, not_ours};
use crate::domain::difference::owned_by;
use crate::domain::inventory::{Inventory, Relation, Stage};
use crate::domain::manifest::Manifest;
use crate::domain::manifest::scope::{OWNER_ANNOTATION_PREFIX, OWNER_MANAGER_PREFIX};
use crate::domain::observed::{LiveObject, Share};
use crate::domain::plan::{Because, Fence, Step, Waiting};

/// How many owners a message names: it has to fit in a status.
const NAMED: usize = 3;

impl Planning<'_> {
    /// An object that other environments may own as well, of which this one wants the content with the digest `wanted`.
    pub(super) fn shared_object(&mut self, stage: Stage, manifest: &Manifest, live: &LiveObject, wanted: &str) {
        if !live.is_shared() {
            return self.obstacle(stage, &manifest.key, not_ours(&manifest.key));
        }
        if live.deletion.is_some() {
            return self.wait(live, "is being deleted; it is created anew once it is gone");
        }
        let dissenters: Vec<_> = live
            .other_owners(self.environment)
            .filter(|(_, share)| share.wanted.as_deref() != Some(wanted))
            .collect();
        let has_content = live.shared_content.as_deref() == Some(wanted);
        if has_content || dissenters.is_empty() {
            self.own(stage, manifest, live, has_content);
        } else {
            self.disagree(stage, manifest, live, &dissenters);
        }
    }

    /// The object is as this environment wants it, or all owners want it to become so.
    fn own(&mut self, stage: Stage, manifest: &Manifest, live: &LiveObject, has_content: bool) {
        let because = match self.share(live) {
            None => Because::Shared,
            Some(_) if !self.is_recorded(live) => Because::Unrecorded,
            Some(_) if !has_content => Because::Agreed,
            // A wish for something else that this environment has given up again.
            Some(share) if share.wanted != live.shared_content => Because::Changed,
            Some(_) => return self.reconcile_existing(stage, manifest, live, Relation::Ours),
        };
        if !self.is_recorded(live) {
            self.plan.write_ahead.write_ahead(&manifest.key, stage);
        }
        self.apply(stage, manifest, unchanged(live), live.co_appliers.is_empty(), because);
    }

    /// Other owners want the object to be another. Who is no owner yet has no say in what it becomes.
    fn disagree(&mut self, stage: Stage, manifest: &Manifest, live: &LiveObject, dissenters: &[(&str, &Share)]) {
        let Some(share) = self.share(live) else {
            let reason = self.differs(manifest, dissenters);
            return self.obstacle(stage, &manifest.key, &reason);
        };
        let has_wished = share.wanted.as_deref() == manifest.owner().map(|(_, wanted)| wanted);
        if !self.is_recorded(live) {
            self.plan.write_ahead.write_ahead(&manifest.key, stage);
        }
        if !has_wished || !self.is_recorded(live) {
            self.apply(stage, manifest, unchanged(live), true, Because::Wished);
        }
        if dissenters.iter().any(|(_, share)| share.wanted != live.shared_content) {
            let reason = self.differs(manifest, dissenters);
            return self.obstacle(stage, &manifest.key, &reason);
        }
        self.plan.withheld += 1;
        self.plan.waiting.push(Waiting {
            key: manifest.key.clone(),
            reason: format!(
                "is shared: it becomes what {} of environment {} wants once all of its owners want the same, and {} still wants it \
                 as it is; if that is meant to stay, give it another name",
                manifest.source,
                self.environment,
                environments(dissenters)
            ),
            deletion: None,
            failed: false,
        });
    }

    fn differs(&self, manifest: &Manifest, dissenters: &[(&str, &Share)]) -> String {
        format!(
            "is shared, and {} of environment {} wants it to be another than {} does; make both the same, or give it another name",
            manifest.source,
            self.environment,
            environments(dissenters)
        )
    }

    /// What this environment has of the object, if it has applied it.
    fn share<'l>(&self, live: &'l LiveObject) -> Option<&'l Share> {
        live.shares.get(self.environment).filter(|share| share.ownership.is_some())
    }

    fn is_recorded(&self, live: &LiveObject) -> bool {
        let entry = self.plan.write_ahead.get(&live.key);
        entry.is_some_and(|entry| entry.uid.as_ref() == Some(&live.uid))
    }

    /// Takes every step out of the plan but the recording of wishes.
    pub(super) fn keep_wishes_only(&mut self, inventory: &Inventory) {
        let mut write_ahead = inventory.clone();
        self.plan.steps.retain_mut(|step| match step {
            Step::Delete(_) => false,
            Step::Apply(applies) => {
                applies.retain(|apply| apply.because == Because::Wished);
                for apply in applies.iter() {
                    let entry = self.plan.write_ahead.get(&apply.manifest.key);
                    if entry.is_some_and(|entry| entry.uid.is_none()) {
                        write_ahead.write_ahead(&apply.manifest.key, apply.stage);
                    }
                }
                !applies.is_empty()
            }
        });
        self.plan.write_ahead = write_ahead;
    }
}

/// What an owner applies to record a wish: what any owner has applied of `live`, as it is, and the owner's annotation from `manifest`.
///
/// The owner holds all of the content then, so that none of it goes when the others leave.
pub fn wish(manifest: &Manifest, live: &Value) -> Manifest {
    let mut body = owned_by(live, |manager| manager.starts_with(OWNER_MANAGER_PREFIX));
    if let Some(annotations) = body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with(OWNER_ANNOTATION_PREFIX));
    }
    if let Some((environment, wanted)) = manifest.owner() {
        body["metadata"]["annotations"][format!("{OWNER_ANNOTATION_PREFIX}{environment}")] = wanted.into();
    }
    Manifest::new(manifest.key.clone(), body, manifest.source.clone())
}

/// Whoever else owns the object must not have changed it, nor their minds, since it was looked at.
pub(super) fn unchanged(live: &LiveObject) -> Fence {
    Fence::Unchanged {
        uid: live.uid.clone(),
        version: live.version,
    }
}

fn environments(owners: &[(&str, &Share)]) -> String {
    let names: Vec<_> = owners.iter().take(NAMED).map(|(name, _)| *name).collect();
    let more = match owners.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("environment {}{more}", names.join(", "))
}
