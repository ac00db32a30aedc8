//! Towards what the environment should be.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::rest::{is_down, restored};
use super::run::Site;
use super::{Pass, Reconciler};
use crate::api::convert::environment::Identity;
use crate::api::convert::requests::open_request;
use crate::api::convert::run::run as run_of;
use crate::api::convert::{first_deploy, project};
use crate::api::environment::{DeployerStatus, Environment, EnvironmentStatus, Phase};
use crate::api::keys;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::cluster::records::{RecordError, Records};
use crate::controller::desired::{Addresses, Desired, Refusal, Wish};
use crate::domain::inventory::Inventory;
use crate::domain::outcome::FailureClass;
use crate::domain::plan::deploy;
use crate::domain::policy::Project;
use crate::domain::run::request::Action;
use crate::domain::run::{Run, Source};

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
        let deployer = deployer(&wish.project);
        match self.deploy_as(environment, &wish, &deployer, inventory).await {
            Err(error) if error.class() == FailureClass::Forbidden => self.restore_fence(environment, &wish, &deployer, error).await,
            done => done,
        }
    }

    async fn deploy_as(
        &self,
        environment: &Environment,
        wish: &Wish,
        deployer: &Deployer,
        inventory: Inventory,
    ) -> Result<Pass, cluster::Error> {
        let identity = &wish.identity;
        let desired = match self.bundles.desired(wish).await {
            Ok(desired) => desired,
            Err(refusal) => match self.desired_of_record(environment, wish, deployer, &inventory).await? {
                Some(desired) => desired,
                // Nothing is wrong with what runs. A restarted server, which has no files yet, sees the old commit before the new one.
                None if refusal.is_outdated && is_ready(environment) => return Ok(Pass::later(refusal.again)),
                None => return self.refused(environment, identity, inventory, &refusal).await,
            },
        };
        if let Some(refusal) = self.precheck(deployer, identity, &desired, &inventory).await? {
            return self.refused(environment, identity, inventory, &refusal).await;
        }
        let site = Site {
            environment,
            identity,
            wish,
            desired: &desired,
            deployer,
            tools_image: &self.settings.tools_image,
            now: Timestamp::now(),
        };
        self.run(&site, inventory).await
    }

    /// Observes, and goes on with the run under way.
    async fn run(&self, site: &Site<'_>, inventory: Inventory) -> Result<Pass, cluster::Error> {
        let (environment, identity, desired) = (site.environment, site.identity, site.desired);
        let observed = self.observer.observe(site.deployer, desired.keys(), &inventory).await?;
        let work = match self.work(site, &inventory).await? {
            Ok(work) => work,
            Err(refusal) => return self.refused(environment, identity, inventory, &refusal).await,
        };
        // What is in the way of everything is looked for over everything.
        let plan = deploy::plan(&identity.name, &identity.uid, &desired.objects, &inventory, &observed);
        let own = (identity, &inventory);
        if let Some(pass) = self.adopt_for_deployment(environment, own, &plan, &observed, site.deployer).await? {
            return Ok(pass);
        }
        let mut work = self.take_request(environment, site, work, &inventory).await?;
        self.compare_commits(site, &mut work).await;
        let mut concluded = self.go_on(site, work, (inventory, observed)).await?;
        concluded.report = self.url_told(site, concluded.report);
        self.conclude_deployment(site, concluded).await
    }

    /// What the environment should be although nothing can be rendered: where a rollback shows what an earlier run had, or somebody asks for
    /// one.
    async fn desired_of_record(
        &self,
        environment: &Environment,
        wish: &Wish,
        deployer: &Deployer,
        inventory: &Inventory,
    ) -> Result<Option<Desired>, cluster::Error> {
        let status = environment.status.as_ref();
        let Some(run) = run_of(status).unwrap_or_default() else {
            return Ok(None);
        };
        let asked = open_request(&environment.spec, status).and_then(Result::ok);
        let is_asked = asked.is_some_and(|request| matches!(request.action, Action::Rollback { .. }));
        let number = match run.source {
            Source::Record(number) if run.revision == wish.identity.revision.as_str() => number,
            _ if is_asked => run.number,
            _ => return Ok(None),
        };
        let records = Records {
            environment: &wish.identity.name,
            deployer,
            inventory,
        };
        match self.observer.read_record(&records, number).await {
            Ok(record) => Ok(Desired::of_record(wish, &run, &record.contents).ok()),
            Err(RecordError::Read { source, .. }) => Err(*source),
            Err(_) => Ok(None),
        }
    }

    pub(super) async fn with_finalizer(&self, environment: &Environment) -> Result<Environment, cluster::Error> {
        if environment.finalizers().iter().any(|finalizer| finalizer == keys::FINALIZER) {
            return Ok(environment.clone());
        }
        let written = self.publisher.add_finalizer(environment).await?;
        self.remember(&written);
        Ok(written)
    }

    /// What is asked for; `None` while the environment or its Project is suspended.
    fn wish(&self, environment: &Environment, identity: &Identity) -> Result<Option<Wish>, Refusal> {
        let wish = self.wish_in_any_case(environment, identity)?;
        let suspended = environment.spec.suspend || wish.project.suspended;
        Ok((!suspended).then_some(wish))
    }

    /// What is asked for, also where it has to wait.
    pub(super) fn wish_in_any_case(&self, environment: &Environment, identity: &Identity) -> Result<Wish, Refusal> {
        let reference = ObjectRef::new(identity.project.name.as_str()).within(identity.project.namespace.as_str());
        let Some(stored) = self.stores.projects.get(&reference) else {
            return Err(Refusal::new(
                "ProjectNotFound",
                format!("Project {} does not exist; the environment stays as it is", identity.project.name),
            ));
        };
        let project = self.stores.policies.of(&stored).map_err(|problems| {
            Refusal::new(
                "InvalidProject",
                format!("Project {}: {}", identity.project.name, problems.join("; ")),
            )
        })?;
        let settings = &self.settings;
        let wish = Wish::new(environment, identity, project, settings.deployer_role.clone(), settings.url_port);
        Ok(wish.at(project::default_branch(&stored)))
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
}

impl Site<'_> {
    /// What is known before anything is written.
    pub(super) fn complete(&self, status: &mut EnvironmentStatus, run: &Run) {
        self.tell_addresses(status);
        status.deployer = Some(DeployerStatus {
            namespace: self.deployer.namespace.to_string(),
            name: self.deployer.name.to_string(),
        });
        // A newer commit may be wished already, which nothing was written for yet.
        if run.revision == self.identity.revision.as_str() {
            first_deploy::record(status, &self.identity.revision);
        }
    }

    /// Where it is found: a Project's new domain changes that even where no object says it, and nothing has to be done.
    pub(super) fn tell_addresses(&self, status: &mut EnvironmentStatus) {
        let Addresses { url, urls } = &self.desired.addresses;
        status.url = Some(url.clone());
        status.urls.clone_from(urls);
    }
}

fn is_ready(environment: &Environment) -> bool {
    environment.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Ready))
}

fn deployer(project: &Project) -> Deployer {
    Deployer {
        namespace: project.key.namespace.clone(),
        name: project.deployer.clone(),
    }
}
