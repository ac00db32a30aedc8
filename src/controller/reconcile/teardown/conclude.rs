//! The end of a teardown: the last look, the receipt, and the finalizer.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::super::{Pass, Reconciler, now};
use super::accounts::Proved;
use crate::api::convert::environment::Identity;
use crate::api::convert::receipt::{self, Teardown};
use crate::api::convert::removal;
use crate::api::environment::{Environment, Receipt};
use crate::api::receipt::Scan;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::cluster::publish::Announcement;
use crate::domain::inventory::Inventory;
use crate::domain::plan::teardown::TeardownPlan;
use crate::domain::plan::teardown::references::dangling;
use crate::domain::residue::{self, Found};
use crate::domain::status::{Phase, Report, summarise_refusal};

impl Reconciler {
    /// Nothing of the inventory is left but what is kept: look everywhere once more, keep the proof, let the object go.
    pub(super) async fn conclude(
        &self,
        environment: &Environment,
        identity: &Identity,
        plan: &TeardownPlan,
        deployer: &Deployer,
    ) -> Result<Pass, cluster::Error> {
        let (inventory, kept) = (&plan.inventory, &plan.kept);
        self.observer.mark_kept(deployer, identity, kept).await?;
        let look = self.observer.residue(&identity.name).await?;
        let uids = kept.iter().filter_map(|kept| kept.uid.as_deref()).collect();
        let is_residue = |object: &&Found| !residue::is_kept(object, &look.found, &uids);
        let found: Vec<_> = look.found.iter().filter(is_residue).cloned().collect();
        if !found.is_empty() {
            return self.residue_found(environment, identity, inventory, &found).await;
        }
        let proofs = match self.prove_tokens_dead(environment, identity, inventory, kept).await? {
            Proved::All(proofs) => proofs,
            Proved::NotYet(pass) => return Ok(pass),
        };
        let bindings = self.observer.bindings_elsewhere(&identity.name.namespace()).await?;
        let references = dangling(inventory, kept, &bindings);
        // What somebody recorded on it just now, such as a finalizer removed by hand, belongs into the receipt.
        let environment = &self.publisher.read_environment(environment).await?;
        let shared = self.observer.left_to_others(deployer, inventory).await?;
        let teardown = Teardown {
            environment,
            identity,
            inventory,
            kept,
            references: &references,
            proofs: &proofs,
            shared: &shared,
            volumes: Vec::new(),
            mentions: Vec::new(),
            scan: Scan {
                not_visible: look.unseen.clone(),
                ..Scan::default()
            },
            key: Err("this version signs nothing".to_owned()),
            at: now(),
        };
        let (summary, text) = receipt::write(teardown);
        self.publisher
            .receipt(environment, &summary.config_map, &text, Timestamp::now())
            .await?;
        self.let_go(environment, summary).await
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
        let written = self.publisher.environment_status(environment, &status).await?;
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

    async fn residue_found(
        &self,
        environment: &Environment,
        identity: &Identity,
        inventory: &Inventory,
        found: &[Found],
    ) -> Result<Pass, cluster::Error> {
        self.metrics.residue(found.len());
        let names: Vec<_> = found.iter().take(5).map(|object| object.key.to_string()).collect();
        let message = format!(
            "{} objects still bear the label of this environment: {}; remove them or the label",
            found.len(),
            names.join(", ")
        );
        let refusal = summarise_refusal("Residue", &message, inventory.clone(), Some(Duration::from_secs(30)));
        let report = Report {
            phase: Phase::Blocked,
            ..refusal
        };
        self.publish(environment, identity, &report, |_| {}).await?;
        Ok(self.pass(&report))
    }
}
