//! Towards what the environment should be.

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::rest::{is_down, restored};
use super::{Pass, Reconciler, convert, now};
use crate::api::convert::environment::Identity;
use crate::api::convert::{first_deploy, project};
use crate::api::environment::{DeployerStatus, Environment, EnvironmentStatus};
use crate::api::keys;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::controller::desired::{Addresses, Refusal, Wish};
use crate::domain::inventory::Inventory;
use crate::domain::plan::{Plan, deploy};
use crate::domain::policy::Project;
use crate::domain::status::{self, Phase, Report, StageReport, summarise_deployment};

impl Reconciler {
    /// One pass towards what the environment should be.
    pub(super) async fn deploy(&self, environment: &Environment) -> Result<Pass, cluster::Error> {
        // What cannot be read is never touched, so it needs no finalizer, and could never lose one.
        let Some((identity, inventory)) = self.read_own(environment).await? else {
            return Ok(Pass::idle());
        };
        let environment = &self.with_finalizer(environment).await?;
        if Self::only_takes_over(environment) {
            return self.take_over(environment, &identity, inventory).await;
        }
        // Validate and render: no client.
        let wish = match self.wish(environment, &identity) {
            Ok(Some(wish)) => wish,
            Ok(None) => return self.suspended(environment, &identity).await,
            Err(refusal) => return self.refused(environment, &identity, inventory, &refusal).await,
        };
        let desired = match self.bundles.desired(&wish).await {
            Ok(desired) => desired,
            Err(refusal) => return self.refused(environment, &identity, inventory, &refusal).await,
        };
        let deployer = deployer(&wish.project);
        if let Some(refusal) = self.precheck(&deployer, &identity, &desired, &inventory).await? {
            return self.refused(environment, &identity, inventory, &refusal).await;
        }
        // Observe.
        let observed = self.observer.observe(&deployer, desired.keys(), &inventory).await?;
        // Plan: pure.
        let mut plan = deploy::plan(&identity.name, &identity.uid, &desired.objects, &inventory, &observed);
        let held = self.hold_loops(&identity, &mut plan, &inventory);
        let own = (&identity, &inventory);
        if let Some(pass) = self.adopt_for_deployment(environment, own, &plan, &observed, &deployer).await? {
            return Ok(pass);
        }
        // Act: the inventory first.
        let complete = |status: &mut EnvironmentStatus| {
            complete(status, &desired.addresses, &deployer);
            first_deploy::record(status, &identity.revision);
        };
        let environment = &self.write_ahead(environment, &identity, &inventory, &plan, complete).await?;
        let outcomes = self.observer.carry_out(&deployer, &plan.steps).await;
        let undone = self.count_loops(&identity, &plan, &inventory, &outcomes);
        // Summarise: pure. Publish.
        let mut report = summarise_deployment(&plan, &outcomes);
        report.again = undone.or(report.again);
        let report = self.explained(&identity, &deployer, &status::waiting(&plan, &outcomes), report).await;
        let report = self.loops_told(&identity, &deployer, &held, report).await;
        self.conclude_deployment(environment, &identity, report).await
    }

    pub(super) async fn with_finalizer(&self, environment: &Environment) -> Result<Environment, cluster::Error> {
        if environment.finalizers().iter().any(|finalizer| finalizer == keys::FINALIZER) {
            return Ok(environment.clone());
        }
        let written = self.publisher.add_finalizer(environment).await?;
        self.memory.remember(&written);
        Ok(written)
    }

    /// What is asked for; `None` while the environment or its Project is suspended.
    fn wish(&self, environment: &Environment, identity: &Identity) -> Result<Option<Wish>, Refusal> {
        let reference = ObjectRef::new(identity.project.name.as_str()).within(identity.project.namespace.as_str());
        let Some(stored) = self.stores.projects.get(&reference) else {
            return Err(Refusal::new(
                "ProjectNotFound",
                format!("Project {} does not exist; the environment stays as it is", identity.project.name),
            ));
        };
        let project = project::project(&stored).map_err(|problems| {
            Refusal::new(
                "InvalidProject",
                format!("Project {}: {}", identity.project.name, problems.join("; ")),
            )
        })?;
        if environment.spec.suspend || project.suspended {
            return Ok(None);
        }
        let settings = &self.settings;
        let wish = Wish::new(environment, identity, project, settings.deployer_role.clone(), settings.url_port);
        Ok(Some(wish.at(project::default_branch(&stored))))
    }

    /// Says that nothing is applied; what is there, and the phase that it is in, stay as they are.
    pub(super) async fn suspended(&self, environment: &Environment, identity: &Identity) -> Result<Pass, cluster::Error> {
        let whose = match environment.spec.suspend {
            true => "this Environment".to_owned(),
            false => format!("Project {}", identity.project.name),
        };
        let message = format!("spec.suspend of {whose} is true; nothing is applied");
        let status = convert::suspended(environment, identity, &message, &now());
        let written = self.publisher.environment_status(environment, &status).await?;
        self.memory.remember(&written);
        Ok(Pass::idle())
    }

    async fn refused(
        &self,
        environment: &Environment,
        identity: &Identity,
        inventory: Inventory,
        refusal: &Refusal,
    ) -> Result<Pass, cluster::Error> {
        if is_down(environment) || restored(environment).is_some() {
            return self.refused_at_rest(environment, (identity, inventory), refusal).await;
        }
        self.refuse(
            environment,
            (identity, inventory),
            refusal.reason,
            &refusal.message,
            Some(refusal.again),
        )
        .await
    }

    /// Stores old ∪ new, the URL and the deployer before anything is created. Writes nothing if that is stored already.
    async fn write_ahead(
        &self,
        environment: &Environment,
        identity: &Identity,
        inventory: &Inventory,
        plan: &Plan,
        complete: impl Fn(&mut EnvironmentStatus),
    ) -> Result<Environment, cluster::Error> {
        let mut stored = environment.status.clone().unwrap_or_default();
        complete(&mut stored);
        let known = environment.status.as_ref() == Some(&stored);
        // What is only forgotten may be lost: the next look comes to the same.
        if known && (plan.is_quiet() || plan.write_ahead == *inventory) {
            return Ok(environment.clone());
        }
        let report = Report {
            phase: Phase::Deploying,
            reason: "Applying",
            message: format!("applying {} objects", plan.size()),
            stages: Vec::<StageReport>::new(),
            inventory: plan.write_ahead.clone(),
            applied: false,
            changed: 0,
            again: None,
        };
        self.publish(environment, identity, &report, complete).await
    }
}

fn complete(status: &mut EnvironmentStatus, addresses: &Addresses, deployer: &Deployer) {
    status.url = Some(addresses.url.clone());
    status.urls.clone_from(&addresses.urls);
    status.deployer = Some(DeployerStatus {
        namespace: deployer.namespace.to_string(),
        name: deployer.name.to_string(),
    });
}

fn deployer(project: &Project) -> Deployer {
    Deployer {
        namespace: project.key.namespace.clone(),
        name: project.deployer.clone(),
    }
}
