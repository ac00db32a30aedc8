//! To rest and back: the branch is gone, and the environment is kept for a while.

use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use super::paused::turn_away;
use super::run::{Concluded, Site};
use super::{Pass, Reconciler};
use crate::api::convert::environment::Identity;
use crate::api::convert::{grace, progress};
use crate::api::environment::{Environment, EnvironmentStatus};
use crate::api::keys;
use crate::cluster;
use crate::cluster::publish::Announcement;
use crate::controller::desired::Refusal;
use crate::domain::inventory::Inventory;
use crate::domain::plan::rest::{self, Whose};
use crate::domain::plan::{Plan, Waiting};
use crate::domain::readiness::Readiness;
use crate::domain::roster::Grace;
use crate::domain::status::{Phase, Report, kept, summarise_refusal, summarise_rest, summarise_restored, summarise_return};

/// How often it is told at most what an environment waits for that comes up.
const PROGRESS: Duration = Duration::from_secs(1);

/// The mark of an environment that has to rest.
pub(super) fn rests(environment: &Environment) -> Option<Grace> {
    let mark = environment.spec.grace.as_ref();
    mark.map(grace::grace).filter(|mark| mark.state.is_down())
}

/// The mark of an environment that runs by request although its branch is gone.
pub(super) fn restored(environment: &Environment) -> Option<Grace> {
    let mark = environment.spec.grace.as_ref();
    mark.map(grace::grace).filter(|mark| !mark.state.is_down())
}

/// Whether something of it may be scaled to zero.
pub(super) fn is_down(environment: &Environment) -> bool {
    environment.status.as_ref().is_some_and(|status| status.resting)
}

impl Reconciler {
    /// One pass towards rest. It needs neither branch nor bundle, nor a Project that can be read.
    pub(super) async fn rest(&self, environment: &Environment, grace: &Grace) -> Result<Pass, cluster::Error> {
        let environment = &self.with_finalizer(environment).await?;
        let Some((identity, inventory)) = self.read_own(environment).await? else {
            return Ok(Pass::idle());
        };
        if environment.spec.suspend || self.is_project_suspended(environment) {
            return self.suspended(environment, &identity).await;
        }
        let workloads = self.observer.workloads(&inventory).await?;
        let plan = rest::plan(&whose(&identity, &inventory), &workloads);
        let summarise = |outcomes: &[_]| summarise_rest(&identity.branch, grace, &plan, outcomes);
        if plan.is_quiet() {
            let report = summarise(&[]);
            let at_rest = |status: &mut EnvironmentStatus| {
                status.resting = true;
                turn_away(
                    environment,
                    status,
                    "the environment rests: bring it back with `graftling env restore`",
                );
            };
            self.publish(environment, &identity, &report, at_rest).await?;
            return Ok(self.pass(&report));
        }
        // Whatever happens from here on, the way back begins with looking for what was stopped.
        let ahead = Report {
            inventory: inventory.clone(),
            ..summarise(&[])
        };
        let environment = &self.publish(environment, &identity, &ahead, |status| status.resting = true).await?;
        let deployer = Self::recorded_deployer(environment).unwrap_or_else(|| self.default_deployer(&identity));
        let outcomes = self.observer.carry_out(&deployer, &plan.steps).await;
        let report = summarise(&outcomes);
        self.publish(environment, &identity, &report, |_| {}).await?;
        Ok(self.pass(&report))
    }

    fn is_project_suspended(&self, environment: &Environment) -> bool {
        let namespace = environment.namespace().unwrap_or_default();
        let reference = ObjectRef::new(&environment.spec.project_ref.name).within(&namespace);
        self.stores.projects.get(&reference).is_some_and(|project| project.spec.suspend)
    }

    /// What cannot be rendered comes back as it was before its rest; then the refusal is told as ever.
    pub(super) async fn refused_at_rest(
        &self,
        environment: &Environment,
        (identity, inventory): (&Identity, Inventory),
        refusal: &Refusal,
    ) -> Result<Pass, cluster::Error> {
        let mut environment = environment.clone();
        let mut inventory = inventory;
        if is_down(&environment) {
            let workloads = self.observer.workloads(&inventory).await?;
            let plan = rest::plan_return(&whose(identity, &inventory), &workloads);
            let report = self.carry_out_return(&environment, identity, &plan).await;
            let is_back = report.changed == plan.size();
            environment = self
                .publish(&environment, identity, &report, |status| status.resting = !is_back)
                .await?;
            if !is_back {
                return Ok(self.pass(&report));
            }
            self.announce_return(&environment).await;
            inventory = report.inventory;
        }
        match restored(&environment) {
            Some(grace) => self.keep_restored(&environment, (identity, inventory), &grace, refusal).await,
            None => {
                self.refuse(
                    &environment,
                    (identity, inventory),
                    refusal.reason,
                    &refusal.message,
                    Some(refusal.again),
                )
                .await
            }
        }
    }

    async fn carry_out_return(&self, environment: &Environment, identity: &Identity, plan: &Plan) -> Report {
        let deployer = Self::recorded_deployer(environment).unwrap_or_else(|| self.default_deployer(identity));
        let outcomes = self.observer.carry_out(&deployer, &plan.steps).await;
        summarise_return(plan, &outcomes)
    }

    /// Where the branch is gone, its bundle may be too, and that is nobody's fault.
    async fn keep_restored(
        &self,
        environment: &Environment,
        (identity, inventory): (&Identity, Inventory),
        grace: &Grace,
        refusal: &Refusal,
    ) -> Result<Pass, cluster::Error> {
        let deployer = Self::recorded_deployer(environment).unwrap_or_else(|| self.default_deployer(identity));
        let observed = self.observer.observe(&deployer, [], &inventory).await?;
        let waiting: Vec<_> = observed
            .values()
            .filter_map(|live| match &live.readiness {
                Readiness::Ready => None,
                Readiness::Progressing { reason } | Readiness::Failed { reason } => Some(Waiting {
                    key: live.key.clone(),
                    reason: reason.clone(),
                    deletion: live.deletion.clone(),
                    failed: false,
                }),
            })
            .collect();
        let report = summarise_refusal(refusal.reason, &refusal.message, inventory, Some(refusal.again));
        let report = summarise_restored(grace, &refusal.message, &waiting, report);
        self.publish(environment, identity, &report, |_| {}).await?;
        Ok(self.pass(&report))
    }

    /// The end of a deployment: what was at rest is so no more once everything is applied, and who was restored is told until when.
    pub(super) async fn conclude_deployment(&self, site: &Site<'_>, mut concluded: Concluded) -> Result<Pass, cluster::Error> {
        let report = &mut concluded.report;
        if let Some(grace) = restored(&concluded.environment).filter(|_| report.phase == Phase::Ready) {
            report.message = format!("{}; {}", report.message, kept(&grace));
        }
        let is_back = is_down(&concluded.environment) && report.applied;
        let complete = |status: &mut EnvironmentStatus| {
            status.resting &= !is_back;
            site.tell_addresses(status);
            concluded.complete(status);
        };
        let (environment, report) = (&concluded.environment, &concluded.report);
        let status = self.concluded(environment, site.identity, report, complete);
        if let Some(left) = self.is_told_later(environment, &status) {
            self.memory.draft(environment, status);
            return Ok(Pass::later(left));
        }
        let written = self.publish_status(environment, &status, report).await?;
        if is_back {
            self.announce_return(&written).await;
        }
        Ok(self.pass(&concluded.report))
    }

    /// Where nothing has happened but that it comes up, and something was told of it a moment ago: for how long to wait. A workload that
    /// comes up changes many times a second, and mostly is ready before anybody has read what is waited for.
    fn is_told_later(&self, environment: &Environment, status: &EnvironmentStatus) -> Option<Duration> {
        let since = self.memory.since_written(environment.metadata.uid.as_deref()?)?;
        let left = PROGRESS.checked_sub(since)?;
        progress::is_all(environment.status.as_ref()?, status).then_some(left)
    }

    async fn announce_return(&self, environment: &Environment) {
        let branch = &environment.spec.branch;
        let note = match restored(environment) {
            Some(grace) if grace.state.is_of_sleep() => format!(
                "the environment of branch {branch} is back by request; its pull request is still closed, so it sleeps again after {}",
                grace.until
            ),
            Some(grace) => format!(
                "the environment of branch {branch} is back by request; the branch is still gone, so it rests again after {}",
                grace.until
            ),
            None => format!("the environment of branch {branch} is back, with everything that it had"),
        };
        tracing::info!(environment = %environment.name_any(), %branch, "environment back from its rest");
        let announcement = Announcement {
            reason: "Restored",
            warning: false,
            note,
        };
        self.publisher.announce(&environment.object_ref(&()), &announcement).await;
    }
}

fn whose<'a>(identity: &'a Identity, inventory: &'a Inventory) -> Whose<'a> {
    Whose {
        environment: &identity.name,
        inventory,
        field_manager: keys::FIELD_MANAGER,
    }
}
