//! What a controller does with plans, and how it dies: write ahead, carry out, absorb, at each write one chance to crash.

use std::collections::BTreeSet;

use super::cluster::Cluster;
use super::*;
use crate::domain::inventory::Entry;
use crate::domain::outcome::{self, Outcome};
use crate::domain::plan::teardown::retain::Kept;
use crate::domain::plan::teardown::{Contents, Next, Pod, Rules, Tier, View, late};
use crate::domain::status;
use crate::domain::status::{Report, summarise_deployment};

/// The process ends at this write of the pass, counted from zero.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    pub at: usize,
    /// Whether the server carried the write out, so that only its answer is lost.
    pub committed: bool,
}

/// All that survives a crash.
#[derive(Debug, Clone, Default)]
pub struct Controller {
    pub stored: Inventory,
    /// Objects that the watch does not show although they are there.
    pub unseen: BTreeSet<ObjectKey>,
    /// What the Project says of teardowns, beside objects of others.
    pub rules: Rules,
    /// What comes into being after it was taken for gone: until a look takes it back, the inventory cannot know.
    pub late: BTreeSet<ObjectKey>,
}

impl Controller {
    /// One pass of a deployment; `None` if it crashed.
    pub fn deploy(&mut self, cluster: &mut Cluster, desired: &Desired, crash: Option<Crash>) -> Option<(Plan, Report)> {
        self.check_inventory(cluster);
        let result = self.try_deploy(cluster, desired, crash);
        self.check_inventory(cluster);
        result
    }

    fn try_deploy(&mut self, cluster: &mut Cluster, desired: &Desired, crash: Option<Crash>) -> Option<(Plan, Report)> {
        let of_inventory: Vec<_> = self.stored.iter().map(|(key, _)| key.clone()).collect();
        let mut observed = cluster.observe(keys(desired).chain(&of_inventory));
        observed.retain(|key, _| !self.unseen.contains(key));
        let plan = super::super::deploy::plan(&environment(), UID, desired, &self.stored, &observed);
        self.stored = plan.write_ahead.clone();
        let outcomes = self.carry_out(cluster, &plan.steps, crash)?;
        let report = summarise_deployment(&plan, &outcomes);
        self.stored = report.inventory.clone();
        Some((plan, report))
    }

    /// One pass of a controller that knows nothing of what an earlier one made.
    pub fn deploy_ignorant(&mut self, cluster: &mut Cluster, desired: &Desired) -> (Plan, Report) {
        self.try_deploy(cluster, desired, None).expect("no crash was asked for")
    }

    /// As `cluster::apply::carry_out`: stops after the first step in which something did not go as planned.
    fn carry_out(&self, cluster: &mut Cluster, steps: &[Step], crash: Option<Crash>) -> Option<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for step in steps {
            let before = outcomes.len();
            for number in 0..step.len() {
                let dies = crash.filter(|crash| crash.at == outcomes.len());
                if dies.is_some_and(|crash| !crash.committed) {
                    return None;
                }
                outcomes.push(match step {
                    Step::Apply(applies) => cluster.apply(&applies[number]),
                    Step::Delete(deletes) => cluster.delete(&deletes[number]),
                });
                self.check_inventory(cluster);
                if dies.is_some() {
                    return None;
                }
            }
            let goes_on = |outcome: &Outcome| matches!(outcome, Outcome::Applied { .. } | Outcome::Deleting { .. });
            if !outcomes[before..].iter().all(goes_on) {
                break;
            }
        }
        Some(outcomes)
    }

    /// No orphan, ever: whatever we made and is there is in the stored inventory.
    fn check_inventory(&self, cluster: &Cluster) {
        for (key, object) in cluster
            .objects
            .iter()
            .filter(|(key, object)| object.is_ours() && !self.late.contains(key))
        {
            let entry = self.stored.get(key);
            assert!(
                entry.is_some_and(|entry: &Entry| !entry.gone),
                "orphan {key} with {object:?}: {:?}",
                self.stored
            );
        }
    }

    /// Passes until nothing more is planned; time passes between them.
    pub fn settle(&mut self, cluster: &mut Cluster, desired: &Desired) -> Report {
        for _ in 0..40 {
            let (plan, report) = self.deploy(cluster, desired, None).expect("no crash was asked for");
            let over = !matches!(report.phase, status::Phase::Deploying) || !cluster.broken.is_empty() && plan.is_quiet();
            if over && plan.is_quiet() {
                return report;
            }
            self.unseen.clear();
            cluster.tick();
        }
        panic!("still not settled after 40 passes: {:?}", cluster.objects);
    }

    /// One pass of a teardown, as the reconciler makes it; `None` if it crashed.
    pub fn teardown(&mut self, cluster: &mut Cluster, delete_foreign: bool, crash: Option<Crash>) -> Option<Next> {
        let present: Vec<_> = self.stored.present().map(|(key, _)| key.clone()).collect();
        let rules = Rules {
            delete_foreign,
            ..self.rules.clone()
        };
        let mut view = View {
            observed: cluster.observe(&present),
            pods: cluster.pods.iter().map(|(_, pod)| pod.clone()).collect(),
            ..View::default()
        };
        let mut known = self.stored.clone();
        let plan = loop {
            let plan = super::super::teardown::plan(&environment(), &known, &view, &rules);
            known = plan.inventory.clone();
            match plan.next {
                Next::LookForReferences => view.references = Some(cluster.references.clone()),
                Next::LookForForeign => {
                    let found = cluster.contents();
                    let late = cluster.observe(&late::reappeared(&known, &found));
                    view.observed.extend(late::take_back(&environment(), &mut known, late));
                    view.take_in(Contents::of(&known, &found));
                }
                _ => break plan,
            }
        };
        let deletes = match &plan.next {
            Next::Drain { deletes, .. } => deletes.clone(),
            Next::DeleteNamespace(delete) => vec![delete.clone()],
            _ => Vec::new(),
        };
        check_turn(cluster, &deletes, &plan.kept);
        let outcomes = self.carry_out(cluster, &[Step::Delete(deletes)], crash)?;
        let mut inventory = plan.inventory;
        outcome::absorb(&mut inventory, &outcomes);
        self.stored = inventory;
        self.check_inventory(cluster);
        Some(plan.next)
    }

    /// Passes of a teardown until it concludes or stands still; time passes between them.
    pub fn tear_down(&mut self, cluster: &mut Cluster, delete_foreign: bool) -> Next {
        let mut before = None;
        for _ in 0..60 {
            let next = self.teardown(cluster, delete_foreign, None).expect("no crash was asked for");
            let stands = before.as_ref() == Some(&next) && matches!(next, Next::Blocked(_));
            let waits = before.as_ref() == Some(&next) && !cluster.held.is_empty();
            if next == Next::Conclude || stands || waits {
                return next;
            }
            before = Some(next);
            cluster.tick();
        }
        panic!("the teardown goes on for ever: {before:?}");
    }
}

/// Whose turn it is: nothing goes while something of an earlier tier is there, and the namespace after all of them.
fn check_turn(cluster: &Cluster, deletes: &[Delete], kept: &[Kept]) {
    let turn = |key: &ObjectKey, stage| match stage {
        Stage::Namespace => Tier::Namespace,
        Stage::Guardrails => Tier::Guardrail,
        Stage::Deploy => Tier::of(key),
    };
    for delete in deletes {
        let tier = turn(&delete.key, delete.stage);
        let is_guardrail = |key: &ObjectKey| GUARDRAILS.iter().any(|name| super::key(name) == *key);
        let ours = cluster
            .objects
            .iter()
            .filter(|(key, object)| object.is_ours() && !is_guardrail(key))
            .filter(|(key, _)| !kept.iter().any(|kept| kept.key == **key));
        for (key, _) in ours {
            assert!(Tier::of(key) >= tier, "{} goes while {key} is there", delete.key);
        }
        assert!(tier != Tier::Guardrail, "guardrails hold to the end and go with the namespace");
        let used = |pod: &Pod| tier == Tier::Identity && pod.service_account == delete.key.name;
        assert!(!cluster.pods.iter().any(|(_, pod)| used(pod)), "S5: {} is in use", delete.key);
    }
}
