//! The deployer's binding, put back where a teardown needs it.

use super::super::{Pass, Reconciler};
use crate::api::convert::environment::Identity;
use crate::api::environment::Environment;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::domain::guardrails::{self, Fence};
use crate::domain::inventory::{Inventory, Stage};
use crate::domain::outcome::{Outcome, absorb};
use crate::domain::plan::{self, Apply, Because, Step};
use crate::domain::policy::Guardrails;
use crate::domain::status::{Phase, Report, summarise_refusal};

impl Reconciler {
    /// Somebody removed the binding that lets the deployer work: without it nothing can be read or removed any more.
    pub(super) async fn restore_binding(
        &self,
        environment: &Environment,
        (identity, mut inventory): (&Identity, Inventory),
        deployer: &Deployer,
        error: cluster::Error,
    ) -> Result<Pass, cluster::Error> {
        let manifest = guardrails::deployer_binding(&Fence {
            environment: &identity.name,
            environment_uid: &identity.uid,
            branch: identity.branch.as_str(),
            project: &identity.project,
            guardrails: &Guardrails::none(),
            deployer: &deployer.name,
            deployer_role: &self.settings.deployer_role,
        });
        let controller = self.observer.connection.controller();
        if inventory.is_empty() || self.observer.read(controller, &manifest.key).await?.is_some() {
            return Err(error);
        }
        inventory.write_ahead(&manifest.key, Stage::Guardrails);
        let message = format!("restoring {}, which the teardown needs", manifest.key);
        let report = Report {
            phase: Phase::Deleting,
            ..summarise_refusal("Deleting", &message, inventory.clone(), None)
        };
        let environment = &self.publish(environment, identity, &report, |_| {}).await?;
        let apply = Apply {
            manifest,
            stage: Stage::Guardrails,
            fence: plan::Fence::MustNotExist,
            force: false,
            because: Because::Missing,
        };
        let outcomes = self.observer.carry_out(deployer, &[Step::Apply(vec![apply])]).await;
        if !outcomes.iter().all(|outcome| matches!(outcome, Outcome::Applied { .. })) {
            return Err(error);
        }
        absorb(&mut inventory, &outcomes);
        self.publish(environment, identity, &Report { inventory, ..report }, |_| {}).await?;
        Ok(Pass::again_soon())
    }
}
