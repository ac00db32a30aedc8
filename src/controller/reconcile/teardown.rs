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

use crate::domain::guardrails::{self, Fence};
use crate::domain::inventory::{Inventory, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::outcome::{FailureClass, Outcome, absorb};
use crate::domain::plan::teardown::{self, Next, TeardownPlan};
use crate::domain::plan::{self, Apply, Because, Step};
use crate::domain::policy::Guardrails;
use crate::domain::residue::{self, Found};
use crate::domain::status::{Phase, Report, summarise_refusal, summarise_teardown};

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
        if let Some(receipt) = environment.status.as_ref().and_then(|status| status.receipt.clone()) {
            // Everything was proven and written before; only the end of the object is missing.
            return self.let_go(environment, receipt).await;
        }
        let deployer = Self::recorded_deployer(environment).unwrap_or_else(|| self.default_deployer(&identity));
        let mut environment = environment.clone();
        for _ in 0..ROUNDS {
            let planned = self.plan_teardown(&environment, &identity, &inventory, &deployer).await;
            let (plan, foreign) = match planned {
                Err(error) if error.class() == FailureClass::Forbidden => {
                    let own = (&identity, inventory);
                    return self.restore_binding(&environment, own, &deployer, error).await;
                }
                planned => planned?,
            };
            if plan.next == Next::Conclude {
                return self.conclude(&environment, &identity, &plan.inventory, &deployer).await;
            }
            environment = self.record_foreign(&environment, &identity, &plan, &foreign).await?;
            let outcomes = self.carry_out_teardown(&deployer, &plan).await;
            let report = summarise_teardown(&plan, &outcomes);
            if outcomes.is_empty() || outcomes.iter().any(|outcome| !matches!(outcome, Outcome::Deleting { .. })) {
                self.publish(&environment, &identity, &report, |_| {}).await?;
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
    ) -> Result<(TeardownPlan, Vec<ObjectKey>), cluster::Error> {
        let namespace = identity.name.namespace();
        let delete_foreign = self.deletes_foreign(environment);
        let mut view = self.observer.view(deployer, identity, inventory).await?;
        let plan = teardown::plan(&identity.name, inventory, &view, delete_foreign);
        if plan.next != Next::LookForForeign {
            return Ok((plan, Vec::new()));
        }
        let connection = &self.observer.connection;
        let clients = [connection.controller(), connection.deployer(deployer)?];
        let contents = self.observer.contents(&clients, &namespace).await?;
        // Whoever sees no Secrets sees nothing of what only the deployer may list.
        if contents.unseen.iter().any(|kind| kind == "Secret") {
            return Err(cluster::Error::LookForForeign {
                namespace: namespace.to_string(),
                kinds: contents.unseen.join(", "),
            });
        }
        let foreign = residue::foreign(&plan.inventory, &contents.found);
        view.foreign = Some(foreign.clone());
        let plan = teardown::plan(&identity.name, &plan.inventory, &view, delete_foreign);
        Ok((plan, foreign))
    }

    /// Somebody removed the binding that lets the deployer work: without it nothing can be read or removed any more.
    async fn restore_binding(
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

    /// What of others goes with the namespace is recorded before it goes.
    async fn record_foreign(
        &self,
        environment: &Environment,
        identity: &Identity,
        plan: &TeardownPlan,
        foreign: &[ObjectKey],
    ) -> Result<Environment, cluster::Error> {
        if !matches!(plan.next, Next::DeleteNamespace(_)) || foreign.is_empty() {
            return Ok(environment.clone());
        }
        let report = summarise_teardown(plan, &[]);
        let names = foreign.iter().map(ToString::to_string).collect();
        self.publish(environment, identity, &report, |status| status.foreign = names).await
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
    async fn conclude(
        &self,
        environment: &Environment,
        identity: &Identity,
        inventory: &Inventory,
        deployer: &Deployer,
    ) -> Result<Pass, cluster::Error> {
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
        let shared = self.observer.left_to_others(deployer, inventory).await?;
        let teardown = Teardown {
            environment,
            identity,
            inventory,
            references: &references,
            shared: &shared,
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
            phase: Phase::Blocked,
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
