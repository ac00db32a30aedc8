//! Towards nothing: drain, then delete, then prove it.

mod accounts;
mod binding;
mod conclude;
mod definition;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::{Pass, Reconciler};
use crate::api::convert::environment::Identity;
use crate::api::convert::project;
use crate::api::environment::Environment;
use crate::api::keys;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::outcome::{FailureClass, Outcome};
use crate::domain::plan::Step;
use crate::domain::plan::teardown::references::{self, References};
use crate::domain::plan::teardown::{self, Next, Rules, TeardownPlan};
use crate::domain::residue;
use crate::domain::status::summarise_teardown;

/// Each round empties a tier or finds it empty; what is left after so many waits for somebody.
const ROUNDS: usize = 12;

/// What a pass found beside the inventory.
#[derive(Default)]
struct FoundElsewhere {
    /// Objects of others in the namespace.
    foreign: Vec<ObjectKey>,
    /// What counts on the accounts that are about to go.
    references: Option<References>,
}

impl Reconciler {
    /// One pass of a teardown: as many steps as need no waiting.
    pub(super) async fn teardown(&self, environment: &Environment) -> Result<Pass, cluster::Error> {
        if !environment.finalizers().iter().any(|finalizer| finalizer == keys::FINALIZER) {
            return Ok(Pass::idle());
        }
        if let Some(pass) = self.let_go_with_definition(environment).await? {
            return Ok(pass);
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
            let (plan, found) = match planned {
                Err(error) if error.class() == FailureClass::Forbidden => {
                    let own = (&identity, inventory);
                    return self.restore_binding(&environment, own, &deployer, error).await;
                }
                planned => planned?,
            };
            if plan.next == Next::Conclude {
                return self.conclude(&environment, &identity, &plan, &deployer).await;
            }
            environment = self.record_foreign(&environment, &identity, &plan, &found.foreign).await?;
            environment = self
                .record_references(&environment, &identity, &plan, found.references.as_ref())
                .await?;
            self.witness_accounts(&environment, &deployer, &plan).await;
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
    ) -> Result<(TeardownPlan, FoundElsewhere), cluster::Error> {
        let namespace = identity.name.namespace();
        let rules = self.teardown_rules(environment);
        let mut view = self.observer.view(deployer, identity, inventory).await?;
        let mut found = FoundElsewhere::default();
        let mut plan = teardown::plan(&identity.name, inventory, &view, &rules);
        if plan.next == Next::LookForReferences {
            let references = self.observer.references(deployer, &namespace).await?;
            found.references = Some(references::relevant(&identity.name, &plan.inventory, &view, &references));
            view.references = Some(references);
            plan = teardown::plan(&identity.name, &plan.inventory, &view, &rules);
        }
        if plan.next != Next::LookForForeign {
            return Ok((plan, found));
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
        view.retained = residue::retained(&contents.found);
        found.foreign = foreign;
        let plan = teardown::plan(&identity.name, &plan.inventory, &view, &rules);
        Ok((plan, found))
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
            Next::LookForForeign | Next::LookForReferences | Next::AwaitNamespace(_) | Next::Conclude | Next::Blocked(_) => Vec::new(),
        };
        self.observer.carry_out(deployer, &[Step::Delete(deletes)]).await
    }

    /// What the Project says of teardowns; the careful defaults, if it is gone.
    fn teardown_rules(&self, environment: &Environment) -> Rules {
        let namespace = environment.namespace().unwrap_or_default();
        let reference = ObjectRef::new(&environment.spec.project_ref.name).within(&namespace);
        let project = self.stores.projects.get(&reference);
        project.map(|project| project::teardown_rules(&project)).unwrap_or_default()
    }

    /// Nothing was recorded, so nothing was ever written as a deployer: any will do for looking.
    pub(super) fn default_deployer(&self, identity: &Identity) -> Deployer {
        Deployer {
            namespace: identity.project.namespace.clone(),
            name: self.settings.deployer_role.clone(),
        }
    }
}
