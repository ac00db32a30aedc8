//! The namespace and its guardrails, put back where a deployment cannot even read without them.

use super::{Pass, Reconciler};
use crate::api::environment::Environment;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::controller::desired::{Wish, fence_alone};
use crate::domain::inventory::Inventory;
use crate::domain::plan::deploy;
use crate::domain::status::{Phase, Report, summarise_deployment, summarise_refusal};

impl Reconciler {
    /// Somebody removed the binding that lets the deployer work, or the namespace with it: then the record of a run cannot be read, and
    /// without it no plan is made that would put them back.
    ///
    /// # Guarantees
    /// - Nothing of the bundle is written, and nothing is removed.
    /// - As everywhere, what could come into being is in the stored inventory before.
    ///
    /// # Errors
    /// `error`, if that is all in place, or nothing of the environment was ever made: then the deployer has too few rights, and somebody else has to give them.
    pub(super) async fn restore_fence(
        &self,
        environment: &Environment,
        wish: &Wish,
        deployer: &Deployer,
        error: cluster::Error,
    ) -> Result<Pass, cluster::Error> {
        let Some((identity, inventory)) = self.read_own(environment).await? else {
            return Ok(Pass::idle());
        };
        // Whatever was never made has not been removed: it comes with the rest, once that may be written.
        if inventory.iter().all(|(_, entry)| entry.uid.is_none()) {
            return Err(error);
        }
        let desired = fence_alone(wish, &inventory);
        let keys = desired
            .guardrails
            .iter()
            .chain([&desired.namespace])
            .map(|manifest| manifest.key.clone());
        let recorded = keys.filter_map(|key| Some((key.clone(), inventory.get(&key)?.clone())));
        let observed = self.observer.observe(deployer, [], &Inventory::from_entries(recorded)).await?;
        let plan = deploy::plan(&identity.name, &identity.uid, &desired, &inventory, &observed);
        if plan.is_quiet() && plan.waiting.is_empty() && plan.obstacles.is_empty() {
            return Err(error);
        }
        let message = "putting back the namespace or its guardrails, without which nothing can be read";
        let ahead = Report {
            phase: Phase::Deploying,
            ..summarise_refusal("Applying", message, plan.write_ahead.clone(), None)
        };
        let mut environment = environment.clone();
        if !plan.is_quiet() {
            environment = self.publish(&environment, &identity, &ahead, |_| {}).await?;
        }
        let outcomes = self.observer.carry_out(deployer, &plan.steps).await;
        let report = summarise_deployment(&plan, &outcomes);
        let report = match report.phase {
            // All of this is, and the environment is not.
            Phase::Ready => Report {
                inventory: report.inventory,
                ..ahead
            },
            _ => Report { applied: false, ..report },
        };
        self.publish(&environment, &identity, &report, |_| {}).await?;
        Ok(match report.again {
            Some(_) => self.pass(&report),
            None => Pass::again_soon(),
        })
    }
}
