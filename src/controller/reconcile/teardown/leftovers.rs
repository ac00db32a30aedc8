//! What the last look over the cluster found, and what may be concluded from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::ResourceExt;

use super::super::{Pass, Reconciler};
use crate::api::convert::environment::Identity;
use crate::api::environment::Environment;
use crate::api::keys;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::cluster::residue::{Findings, Scanned};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::plan::teardown::retain::Kept;
use crate::domain::residue::Shared;
use crate::domain::residue::evidence::{Trace, Traces, is_kept};
use crate::domain::status::{Phase, Report, summarise_refusal};

/// The garbage collector removes what lost its owner within a second or two; after this the rest is no longer on its way.
const ENDING: Duration = Duration::from_secs(3);
/// What only a person removes, or a server that has to come back.
const PATIENTLY: Duration = Duration::from_secs(30);
/// A look that failed: the API server is in trouble.
const SOON: Duration = Duration::from_secs(5);
/// The answer to a question wakes the environment; this is for the answer that is lost.
const LOST: Duration = Duration::from_secs(20);

/// The reason while what is found may be going by itself.
const RESIDUE_ENDING: &str = "ResidueEnding";
/// The reason while somebody has to remove what is found.
const RESIDUE: &str = "Residue";

/// The reason while something does not answer that may hold anything.
const SCAN_INCOMPLETE: &str = "ScanIncomplete";

/// How many objects a message names.
const NAMED: usize = 5;

impl Reconciler {
    /// The findings of a look that began after everything of the inventory was gone; the end of the pass while there are none.
    pub(super) async fn findings(
        &self,
        environment: &Environment,
        identity: &Identity,
        inventory: &Inventory,
    ) -> Result<Result<Findings, Pass>, cluster::Error> {
        let traces = Traces {
            environment: identity.name.to_string(),
            environment_uid: identity.uid.clone(),
            uids: inventory.iter().filter_map(|(_, entry)| entry.uid.clone()).collect(),
        };
        let wake = (identity.project.namespace.to_string(), identity.name.to_string());
        let report = match self.scanner.scan(&traces, wake) {
            Scanned::Found(findings) => return Ok(Ok(*findings)),
            // Mostly over in a moment: not worth a write.
            Scanned::Asked => return Ok(Err(Pass::later(LOST))),
            Scanned::NotYet => deleting(
                "LookingForResidue",
                "everything is removed; looking over the whole cluster for what may be left",
                inventory,
                LOST,
            ),
            Scanned::Failed(problem) => {
                let message = format!("could not look over the cluster for what may be left: {problem}; trying again");
                deleting("ScanFailed", &message, inventory, SOON)
            }
        };
        self.publish(environment, identity, &report, |_| {}).await?;
        Ok(Err(self.pass(&report)))
    }

    /// Whether the findings are a proof that nothing is left; else what is told instead, and the pass ends.
    pub(super) async fn judge(
        &self,
        environment: &Environment,
        (identity, inventory, deployer): (&Identity, &Inventory, &Deployer),
        (findings, shared, kept): (&Findings, &[Shared], &[Kept]),
    ) -> Result<Option<Pass>, cluster::Error> {
        let is_shared = |key: &ObjectKey| shared.iter().any(|shared| shared.key == *key);
        let uids = kept.iter().filter_map(|kept| kept.uid.as_deref()).collect();
        let proven: Vec<&Trace> = findings
            .traces
            .iter()
            .filter(|trace| trace.evidence.is_proof() && !is_shared(&trace.key))
            .filter(|trace| !is_kept(trace, &findings.traces, &uids))
            .collect();
        self.metrics.residue(proven.len());
        let is_recorded = |trace: &&Trace| inventory.iter().any(|(_, entry)| entry.uid.as_ref() == Some(&trace.uid));
        if !proven.iter().all(is_recorded)
            && let Some(pass) = self.adopt_for_teardown(environment, (identity, inventory), deployer).await?
        {
            return Ok(Some(pass));
        }
        let silent = unaccepted(environment, &findings.cost.silent);
        let report = if !proven.is_empty() {
            residue(environment, inventory, &proven)
        } else if !silent.is_empty() {
            incomplete(environment, inventory, &silent)
        } else {
            return Ok(None);
        };
        self.publish(environment, identity, &report, |_| {}).await?;
        Ok(Some(self.pass(&report)))
    }
}

/// What stays is told to somebody; what may be going by itself gets a moment first.
fn residue(environment: &Environment, inventory: &Inventory, proven: &[&Trace]) -> Report {
    let names: Vec<_> = proven
        .iter()
        .take(NAMED)
        .map(|trace| format!("{} {}", place(&trace.key), trace.evidence))
        .collect();
    let more = match proven.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let found = format!("left over: {}{more}", names.join(", "));
    if ![RESIDUE_ENDING, RESIDUE].iter().any(|reason| told(environment, reason)) {
        return deleting(
            RESIDUE_ENDING,
            &format!("{found}; waiting a moment for it to go"),
            inventory,
            ENDING,
        );
    }
    let message = format!("{found}; remove it, or the mark if it is not of this environment: the look is repeated by itself");
    let refusal = summarise_refusal(RESIDUE, &message, inventory.clone(), Some(PATIENTLY));
    Report {
        phase: Phase::Blocked,
        ..refusal
    }
}

/// What did not answer may hold anything. It is waited for, unless somebody says not to.
fn incomplete(environment: &Environment, inventory: &Inventory, silent: &BTreeMap<&String, &String>) -> Report {
    let groups: Vec<_> = silent.keys().map(|group| group.as_str()).collect();
    let first = silent.iter().next().map(|(group, answer)| format!("{group}: {answer}"));
    let message = format!(
        "everything is removed, but whether anything is left in {} cannot be seen; repair or remove its APIService, or accept a \
         receipt without it: kubectl annotate -n {} environments.graftling.dev {} {}={} ({})",
        groups.join(", "),
        environment.namespace().unwrap_or_default(),
        environment.name_any(),
        keys::CONCLUDE_WITHOUT_ANNOTATION,
        groups.join(","),
        first.unwrap_or_default(),
    );
    // A kind that has just been defined or is just going answers a moment later.
    if !told(environment, SCAN_INCOMPLETE) {
        return deleting(SCAN_INCOMPLETE, &message, inventory, ENDING);
    }
    let refusal = summarise_refusal(SCAN_INCOMPLETE, &message, inventory.clone(), Some(PATIENTLY));
    Report {
        phase: Phase::Blocked,
        ..refusal
    }
}

fn deleting(reason: &'static str, message: &str, inventory: &Inventory, again: Duration) -> Report {
    Report {
        phase: Phase::Deleting,
        ..summarise_refusal(reason, message, inventory.clone(), Some(again))
    }
}

/// Whether the status gives this reason.
fn told(environment: &Environment, reason: &str) -> bool {
    let conditions = environment.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.reason == reason)
}

/// What did not answer and nobody has accepted.
fn unaccepted<'a>(environment: &Environment, silent: &'a BTreeMap<String, String>) -> BTreeMap<&'a String, &'a String> {
    let accepted: BTreeSet<&str> = environment
        .annotations()
        .get(keys::CONCLUDE_WITHOUT_ANNOTATION)
        .map(|groups| groups.split(',').map(str::trim).collect())
        .unwrap_or_default();
    silent.iter().filter(|(group, _)| !accepted.contains(group.as_str())).collect()
}

/// `v1 ConfigMap namespace/name`: what is left may be anywhere.
pub(super) fn place(key: &ObjectKey) -> String {
    match &key.namespace {
        Some(namespace) => format!("{} {} {namespace}/{}", key.api_version(), key.kind, key.name),
        None => key.to_string(),
    }
}
