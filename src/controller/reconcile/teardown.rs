//! Towards nothing: drain, then delete, then prove it.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::{Pass, Reconciler, now};
use crate::api::convert::environment::Identity;
use crate::api::convert::receipt::{self, Teardown};
use crate::api::environment::Environment;
use crate::api::keys;
use crate::api::project::ForeignObjects;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::cluster::publish::Announcement;

use crate::domain::inventory::{Inventory, Stage};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Step;
use crate::domain::plan::teardown::{self, Next, TeardownPlan};
use crate::domain::residue::{self, Found};
use crate::domain::status::{Report, summarise_refusal, summarise_teardown};

/// Each round empties a tier or finds it empty; what is left after so many waits for somebody.
const ROUNDS: usize = 12;

impl Reconciler {
    /// One pass of a teardown: as many steps as need no waiting.
    pub(super) async fn teardown(&self, environment: &Environment) -> Result<Pass, cluster::Error> {
        if !environment.finalizers().iter().any(|finalizer| finalizer == keys::FINALIZER) {
            return Ok(Pass::idle());
        }
        let Some((identity, mut inventory)) = self.read_own(environment).await? else {
            return Ok(Pass::idle());
        };
        let deployer = Self::recorded_deployer(environment).unwrap_or_else(|| self.default_deployer(&identity));
        for _ in 0..ROUNDS {
            let plan = self.plan_teardown(environment, &identity, &inventory, &deployer).await?;
            if plan.next == Next::Conclude {
                return self.conclude(environment, &identity, &plan.inventory).await;
            }
            let outcomes = self.carry_out_teardown(&deployer, &plan).await;
            let report = summarise_teardown(&plan, &outcomes);
            if outcomes.is_empty() || outcomes.iter().any(|outcome| !matches!(outcome, Outcome::Deleting { .. })) {
                self.publish(environment, &identity, &report, |_| {}).await?;
                return Ok(self.pass(&report));
            }
            inventory = report.inventory;
        }
        Ok(Pass::again_soon())
    }

    async fn plan_teardown(
        &self,
        environment: &Environment,
        identity: &Identity,
        inventory: &Inventory,
        deployer: &Deployer,
    ) -> Result<TeardownPlan, cluster::Error> {
        let namespace = identity.name.namespace();
        let delete_foreign = self.deletes_foreign(environment);
        let mut view = self.observer.view(deployer, &namespace, inventory).await?;
        let plan = teardown::plan(&identity.name, inventory, &view, delete_foreign);
        if plan.next != Next::LookForForeign {
            return Ok(plan);
        }
        let as_deployer = self.observer.connection.deployer(deployer)?;
        let contents = self.observer.contents(&as_deployer, &namespace).await?;
        view.foreign = Some(residue::foreign(&plan.inventory, &contents.found));
        Ok(teardown::plan(&identity.name, &plan.inventory, &view, delete_foreign))
    }

    async fn carry_out_teardown(&self, deployer: &Deployer, plan: &TeardownPlan) -> Vec<Outcome> {
        let deletes = match &plan.next {
            Next::Drain { deletes, .. } => deletes.clone(),
            Next::DeleteNamespace(delete) => vec![delete.clone()],
            Next::LookForForeign | Next::AwaitNamespace(_) | Next::Conclude | Next::Blocked(_) => Vec::new(),
        };
        self.observer.carry_out(deployer, &[Step::Delete(deletes)]).await
    }

    /// Nothing of the inventory is left: look everywhere once more, keep the proof, let the object go.
    async fn conclude(&self, environment: &Environment, identity: &Identity, inventory: &Inventory) -> Result<Pass, cluster::Error> {
        let look = self.observer.residue(&identity.name).await?;
        if !look.found.is_empty() {
            return self.residue_found(environment, identity, inventory, &look.found).await;
        }
        let accounts: Vec<String> = inventory
            .iter()
            .filter(|(key, entry)| key.kind == "ServiceAccount" && entry.stage == Stage::Deploy)
            .map(|(key, _)| key.name.clone())
            .collect();
        let references = match accounts.is_empty() {
            true => Vec::new(),
            false => self.observer.references(&identity.name.namespace(), &accounts).await?,
        };
        let teardown = Teardown {
            environment,
            identity,
            inventory,
            references: &references,
            unseen: &look.unseen,
            at: now(),
        };
        let (summary, text) = receipt::write(&teardown);
        self.publisher
            .receipt(environment, &summary.config_map, &text, Timestamp::now())
            .await?;
        self.let_go(environment, summary).await
    }

    async fn let_go(&self, environment: &Environment, summary: crate::api::environment::Receipt) -> Result<Pass, cluster::Error> {
        let note = format!(
            "removed {} of {} objects, left {}; receipt in ConfigMap {}",
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
            phase: crate::domain::status::Phase::Blocked,
            ..refusal
        };
        self.publish(environment, identity, &report, |_| {}).await?;
        Ok(self.pass(&report))
    }

    fn deletes_foreign(&self, environment: &Environment) -> bool {
        let namespace = environment.namespace().unwrap_or_default();
        let reference = ObjectRef::new(&environment.spec.project_ref.name).within(&namespace);
        let project = self.stores.projects.get(&reference);
        project.is_some_and(|project| project.spec.policy.foreign_objects == ForeignObjects::Delete)
    }

    /// Nothing was recorded, so nothing was ever written as a deployer: any will do for looking.
    fn default_deployer(&self, identity: &Identity) -> Deployer {
        Deployer {
            namespace: identity.project.namespace.clone(),
            name: self.settings.deployer_role.clone(),
        }
    }
}
