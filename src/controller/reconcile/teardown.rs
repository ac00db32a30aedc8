//! Towards nothing: drain, then delete, then prove it.

mod accounts;
mod binding;
mod conclude;
mod definition;
mod leftovers;
mod volumes;
mod waiting;

use std::time::Instant;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use self::waiting::Halt;
use super::run::{Before, Leaving};
use super::{Pass, Reconciler};
use crate::api::convert::environment::Identity;
use crate::api::convert::project;
use crate::api::environment::{Environment, EnvironmentStatus};
use crate::api::keys;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::cluster::teardown::{FRESH, Seen};
use crate::domain::inventory::Inventory;
use crate::domain::outcome::{FailureClass, Outcome};
use crate::domain::plan::Step;
use crate::domain::plan::teardown::references::{self, References};
use crate::domain::plan::teardown::{self, Contents, Next, Rules, TeardownPlan, late};
use crate::domain::residue::Found;
use crate::domain::status::summarise_teardown;

/// Each round empties a tier or finds it empty; what is left after so many waits for somebody.
const ROUNDS: usize = 12;

/// How many objects of others a status and a receipt name.
const NAMED: usize = 200;

/// A look at everything in the namespace that this pass has made.
type Looked = Option<(Contents, Instant)>;

impl Reconciler {
    /// One pass of a teardown: as many steps as need no waiting.
    pub(super) async fn teardown(&self, environment: &Environment) -> Result<Pass, cluster::Error> {
        if !environment.finalizers().iter().any(|finalizer| finalizer == keys::FINALIZER) {
            return Ok(Pass::idle());
        }
        if let Some(pass) = self.let_go_with_definition(environment).await? {
            return Ok(pass);
        }
        let Some((identity, inventory)) = self.read_own(environment).await? else {
            return Ok(Pass::idle());
        };
        if let Some(receipt) = environment.status.as_ref().and_then(|status| status.receipt.clone()) {
            // Everything was proven and written before; only the end of the object is missing.
            return self.let_go(environment, receipt).await;
        }
        let deployer = Self::recorded_deployer(environment).unwrap_or_else(|| self.default_deployer(&identity));
        let leaving = Leaving {
            environment,
            identity: &identity,
            deployer: &deployer,
            inventory: &inventory,
        };
        let environment = match self.before_removal(&leaving).await {
            Ok(Before::Over(environment)) => *environment,
            Ok(Before::Waits(pass)) => return Ok(pass),
            Err(error) if error.class() == FailureClass::Forbidden => {
                return self.restore_binding(environment, (&identity, inventory), &deployer, error).await;
            }
            Err(error) => return Err(error),
        };
        self.drain(environment, &identity, inventory, &deployer).await
    }

    /// Removes what there is, as far as nothing has to be waited for.
    async fn drain(
        &self,
        mut environment: Environment,
        identity: &Identity,
        mut inventory: Inventory,
        deployer: &Deployer,
    ) -> Result<Pass, cluster::Error> {
        let watched = self.observer.live.watched_kinds();
        let (mut looked, mut seen) = (None, Seen::default());
        for _ in 0..ROUNDS {
            let own = (&environment, identity, &inventory);
            let planned = self.plan_teardown(own, deployer, &mut looked, &mut seen).await;
            let (plan, references) = match planned {
                Err(error) if error.class() == FailureClass::Forbidden => {
                    return self.restore_binding(&environment, (identity, inventory), deployer, error).await;
                }
                planned => planned?,
            };
            if plan.next == Next::Conclude {
                return self.conclude(&environment, identity, &plan, deployer).await;
            }
            environment = self.record_foreign(&environment, identity, &plan, &looked).await?;
            environment = self.record_volumes(&environment, identity, &plan).await?;
            environment = self.record_references(&environment, identity, &plan, references.as_ref()).await?;
            self.witness_accounts(&environment, deployer, &plan).await;
            let outcomes = self.carry_out_teardown(deployer, &plan, &mut seen).await;
            let report = summarise_teardown(&plan, &outcomes);
            if outcomes.is_empty() || outcomes.iter().any(|outcome| !matches!(outcome, Outcome::Deleting { .. })) {
                let halt = Halt {
                    environment: &environment,
                    identity,
                    deployer,
                    plan: &plan,
                    outcomes: &outcomes,
                    watched: &watched,
                };
                let (report, stuck) = self.examine(&halt, report).await;
                let tell = |status: &mut EnvironmentStatus| {
                    status.stuck = stuck;
                    if let Some((contents, _)) = &looked {
                        status.foreign = names(contents);
                    }
                };
                self.publish(&environment, identity, &report, tell).await?;
                return Ok(self.pass(&report));
            }
            inventory = report.inventory;
        }
        Ok(Pass::again_soon())
    }

    async fn plan_teardown(
        &self,
        (environment, identity, inventory): (&Environment, &Identity, &Inventory),
        deployer: &Deployer,
        looked: &mut Looked,
        seen: &mut Seen,
    ) -> Result<(TeardownPlan, Option<References>), cluster::Error> {
        let rules = self.teardown_rules(environment);
        let mut view = self.observer.view(deployer, identity, inventory, seen).await?;
        let mut found = None;
        looked.take_if(|(_, at)| at.elapsed() > FRESH);
        if let Some((contents, _)) = looked {
            view.take_in(contents.clone());
        }
        let mut plan = teardown::plan(&identity.name, inventory, &view, &rules);
        loop {
            match plan.next {
                Next::LookForReferences => {
                    let references = self.observer.references(deployer, &identity.name.namespace()).await?;
                    found = Some(references::relevant(&identity.name, &plan, &view, &references));
                    view.references = Some(references);
                }
                Next::LookForForeign => {
                    let found = self.look_inside(identity, deployer).await?;
                    let late = late::reappeared(&plan.inventory, &found);
                    let late = self.observer.read_inside(deployer, &plan.inventory, late).await?;
                    let ours = late::take_back(&identity.name, &mut plan.inventory, late);
                    view.observed.extend(ours);
                    let contents = Contents::of(&plan.inventory, &found);
                    view.take_in(contents.clone());
                    *looked = Some((contents, Instant::now()));
                }
                _ => return Ok((plan, found)),
            }
            plan = teardown::plan(&identity.name, &plan.inventory, &view, &rules);
        }
    }

    /// Looks at everything that the namespace holds.
    async fn look_inside(&self, identity: &Identity, deployer: &Deployer) -> Result<Vec<Found>, cluster::Error> {
        let found = self.look(identity, deployer).await?;
        // Whoever sees no Secrets sees nothing of what only the deployer may list.
        if found.unseen.iter().any(|kind| kind == "Secret") {
            return Err(cluster::Error::LookForForeign {
                namespace: identity.name.namespace().to_string(),
                kinds: found.unseen.join(", "),
            });
        }
        Ok(found.found)
    }

    /// What of others goes with the namespace is recorded before it goes.
    async fn record_foreign(
        &self,
        environment: &Environment,
        identity: &Identity,
        plan: &TeardownPlan,
        looked: &Looked,
    ) -> Result<Environment, cluster::Error> {
        let names = looked.as_ref().map(|(contents, _)| names(contents)).unwrap_or_default();
        let recorded = environment
            .status
            .as_ref()
            .map(|status| status.foreign.as_slice())
            .unwrap_or_default();
        if !matches!(plan.next, Next::DeleteNamespace(_)) || names == recorded {
            return Ok(environment.clone());
        }
        let report = summarise_teardown(plan, &[]);
        self.publish(environment, identity, &report, |status| status.foreign = names).await
    }

    async fn carry_out_teardown(&self, deployer: &Deployer, plan: &TeardownPlan, seen: &mut Seen) -> Vec<Outcome> {
        let deletes = match &plan.next {
            Next::Drain { deletes, .. } => deletes.clone(),
            Next::DeleteNamespace(delete) => vec![delete.clone()],
            Next::LookForForeign | Next::LookForReferences | Next::AwaitNamespace(_) | Next::Conclude | Next::Blocked(_) => Vec::new(),
        };
        for delete in &deletes {
            seen.doubt(&delete.key);
        }
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

/// The objects of others as a status and a receipt hold them.
fn names(contents: &Contents) -> Vec<String> {
    let mut names: Vec<_> = contents.foreign.iter().take(NAMED).map(ToString::to_string).collect();
    if contents.foreign.len() > NAMED {
        names.push(format!("and {} more", contents.foreign.len() - NAMED));
    }
    names
}
