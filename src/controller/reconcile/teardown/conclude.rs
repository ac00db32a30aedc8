//! The end of a teardown: the last look, the receipt, and the finalizer.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::super::{Pass, Reconciler, now};
use super::accounts::Proved;
use super::leftovers::place;
use crate::api::convert::environment::Identity;
use crate::api::convert::receipt::{self, Teardown};
use crate::api::convert::removal;
use crate::api::environment::{Environment, Receipt};
use crate::api::receipt::{Mention, Scan};
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::cluster::publish::{Announcement, StoredReceipt};
use crate::cluster::residue::Findings;
use crate::cluster::signing::SigningKey;
use crate::domain::plan::teardown::TeardownPlan;
use crate::domain::plan::teardown::references::dangling;
use crate::domain::residue::Shared;
use crate::domain::residue::evidence::Trace;

impl Reconciler {
    /// Nothing of the inventory is left but what is kept: look everywhere once more, keep the proof, let the object go.
    pub(super) async fn conclude(
        &self,
        environment: &Environment,
        identity: &Identity,
        plan: &TeardownPlan,
        deployer: &Deployer,
    ) -> Result<Pass, cluster::Error> {
        let (inventory, kept) = (&plan.inventory, plan.kept.as_slice());
        self.observer.mark_kept(deployer, identity, kept).await?;
        let volumes = match self.volumes_at_the_end(environment, identity, (inventory, kept)).await? {
            Ok(volumes) => volumes,
            Err(pass) => return Ok(pass),
        };
        let findings = match self.findings(environment, identity, inventory).await? {
            Ok(findings) => findings,
            Err(pass) => return Ok(pass),
        };
        let shared = self.observer.left_to_others(deployer, inventory).await?;
        if let Some(pass) = self
            .judge(environment, (identity, inventory, deployer), (&findings, &shared, kept))
            .await?
        {
            return Ok(pass);
        }
        if findings
            .volumes
            .iter()
            .any(|volume| volumes.iter().all(|known| known.uid != volume.uid))
        {
            // Somebody else removed the namespace before anybody recorded them: they are waited for and told of like the others.
            return self.volumes_found(environment, identity, inventory, &findings.volumes).await;
        }
        let proofs = match self.prove_tokens_dead(environment, identity, inventory, kept).await? {
            Proved::All(proofs) => proofs,
            Proved::NotYet(pass) => return Ok(pass),
        };
        let bindings = self.observer.bindings_elsewhere(&identity.name.namespace()).await?;
        let references = dangling(inventory, kept, &bindings);
        let key = self.signer.key().await;
        // What somebody recorded on it just now, such as a finalizer removed by hand, belongs into the receipt.
        let environment = &self.publisher.read_environment(environment).await?;
        let teardown = Teardown {
            environment,
            identity,
            inventory,
            kept,
            references: &references,
            proofs: &proofs,
            shared: &shared,
            volumes,
            mentions: mentions(&findings, &shared),
            scan: scan(&findings),
            key: key.as_ref().map(SigningKey::id).map_err(Clone::clone),
            at: now(),
        };
        let (summary, text) = receipt::write(teardown);
        let stored = self.sign(identity, &summary, text, &key);
        self.publisher.receipt(environment, &stored, Timestamp::now()).await?;
        self.let_go(environment, summary).await
    }

    /// The receipt as it is stored. Nothing waits for a signature: what cannot be signed says so.
    fn sign(&self, identity: &Identity, summary: &Receipt, text: String, key: &Result<SigningKey, String>) -> StoredReceipt {
        if let Err(because) = key {
            tracing::warn!(environment = %identity.name, because, "the receipt is not signed");
        }
        let signature = key.as_ref().ok().and_then(|key| key.sign(text.as_bytes()));
        self.metrics.receipt(signature.is_some());
        StoredReceipt {
            name: summary.config_map.clone(),
            text,
            signature,
        }
    }

    pub(super) async fn let_go(&self, environment: &Environment, summary: Receipt) -> Result<Pass, cluster::Error> {
        let reason = removal::reason(environment);
        let note = format!(
            "removed {} of {} objects, left {}; receipt in ConfigMap {}; because {reason}",
            summary.removed,
            summary.created,
            summary.left.len(),
            summary.config_map
        );
        let mut status = environment.status.clone().unwrap_or_default();
        status.message = Some(note.clone());
        status.receipt = Some(summary);
        status.inventory.clear();
        let written = self.write_status(environment, &status).await?;
        let announcement = Announcement {
            reason: "Removed",
            warning: false,
            note: note.clone(),
        };
        self.publisher
            .announce(&kube::Resource::object_ref(&written, &()), &announcement)
            .await;
        self.publisher.remove_finalizer(&written).await?;
        self.metrics.retired(reason.cause.into());
        tracing::info!(environment = %environment.name_any(), branch = %environment.spec.branch, "{note}");
        if let Some(deleted) = &environment.metadata.deletion_timestamp {
            let elapsed = Timestamp::now().duration_since(deleted.0);
            self.metrics.time_to_gone(Duration::try_from(elapsed).unwrap_or_default());
        }
        Ok(Pass::idle())
    }
}

fn mentions(findings: &Findings, shared: &[Shared]) -> Vec<Mention> {
    let is_shared = |trace: &Trace| shared.iter().any(|shared| shared.key == trace.key);
    // A volume is told of as a volume.
    let is_volume = |trace: &Trace| findings.volumes.iter().any(|volume| volume.uid == trace.uid);
    let weak = findings.traces.iter().filter(|trace| !trace.evidence.is_proof());
    weak.filter(|trace| !is_shared(trace) && !is_volume(trace))
        .map(|trace| Mention {
            object: place(&trace.key),
            r#where: trace.evidence.to_string(),
        })
        .collect()
}

fn scan(findings: &Findings) -> Scan {
    let cost = &findings.cost;
    Scan {
        kinds: cost.kinds,
        requests: cost.requests,
        objects: cost.objects,
        milliseconds: u64::try_from(cost.duration.as_millis()).unwrap_or(u64::MAX),
        not_visible: cost.not_visible.clone(),
        not_answering: cost.silent.keys().cloned().collect(),
        further_mentions: findings.further_mentions,
    }
}
