//! What would be done to an environment now, without doing it: the reconcile's own functions over a look with the caller's rights.

pub mod removal;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use tokio::sync::mpsc;

use super::access::{self, Access};
use crate::api::Environment;
use crate::api::convert;
use crate::api::keys;
use crate::cluster::error::chain;
use crate::cluster::kinds::Kinds;
use crate::cluster::live::LiveObjects;
use crate::cluster::observe::Observer;
use crate::cluster::recent::Recent;
use crate::cluster::references::RecentBindings;
use crate::cluster::{self, Connection};
use crate::config::Sources;
use crate::controller::desired::{Bundles, Wish};
use crate::controller::hosts::Hosts;
use crate::domain::bundle::Problem;
use crate::domain::difference::{self, Applier, Difference, Live};
use crate::domain::git::Commit;
use crate::domain::inventory::Inventory;
use crate::domain::name::ObjectName;
use crate::domain::plan::{Obstacle, Plan, deploy, teardown};
use crate::domain::policy::Project;
use crate::domain::render::Layered;
use crate::githost::endpoint::Endpoints;
use crate::metrics::Metrics;
use crate::render::{HelmSettings, Renderer, RendererSettings};

/// What the server would be told by its flags.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where bundles may come from.
    pub sources: Sources,
    /// How charts are rendered.
    pub helm: HelmSettings,
    /// The ClusterRole of deployers.
    pub deployer_role: ObjectName,
    /// The port in environments' URLs.
    pub url_port: Option<u16>,
}

/// What a deployment would change.
#[derive(Debug)]
pub struct Differences {
    /// The objects that it would write or delete, in this order.
    pub objects: Vec<Difference>,
    /// What is in the way: while there is something, nothing is written.
    pub obstacles: Vec<Obstacle>,
}

/// Why no plan could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An object could not be read.
    #[error("could not read what the plan is made of")]
    Access(#[source] access::Error),
    /// The environment's objects could not be observed.
    #[error("could not observe the environment")]
    Observe(#[source] cluster::Error),
    /// What is asked for is wrong: the server would say the same in the status.
    #[error("{0}")]
    Refused(String),
}

/// Plans what would bring `environment` to what it should be.
///
/// # Errors
/// See [`Error`]. Nothing is written in any case.
pub async fn deployment(access: &Access, environment: &Environment, settings: &Settings) -> Result<Plan, Error> {
    Ok(prepare(access, environment, settings).await?.plan)
}

/// What bringing `environment` to what it should be would change, object by object; and what is in the way.
///
/// # Errors
/// As [`deployment`].
pub async fn differences(access: &Access, environment: &Environment, settings: &Settings) -> Result<Differences, Error> {
    let prepared = prepare(access, environment, settings).await?;
    let (plan, client) = (&prepared.plan, prepared.observer.connection.controller());
    let stale: Vec<_> = deploy::stale(&prepared.inventory, &prepared.desired)
        .filter(|(key, _)| !plan.retained.contains(key))
        .map(|(key, _)| key.clone())
        .collect();
    let keys: BTreeSet<_> = plan.applies().map(|apply| &apply.manifest.key).chain(&stale).collect();
    let mut live = Live::new();
    for key in keys {
        let object = prepared.observer.read_whole(client.clone(), key).await.map_err(Error::Observe)?;
        live.extend(object.map(|object| (key.clone(), object)));
    }
    let applier = Applier {
        field_manager: keys::FIELD_MANAGER,
        environment: &environment.name_any(),
    };
    Ok(Differences {
        objects: difference::differences(plan, &stale, &live, applier),
        obstacles: prepared.plan.obstacles,
    })
}

/// What a deployment is about to do, with everything that it was concluded from.
struct Prepared {
    observer: Observer,
    desired: deploy::Desired,
    inventory: Inventory,
    plan: Plan,
}

async fn prepare(access: &Access, environment: &Environment, settings: &Settings) -> Result<Prepared, Error> {
    let (identity, inventory) = read(environment)?;
    let (project, default_branch) = project(access, &identity).await?;
    let wish = Wish::new(environment, &identity, project, settings.deployer_role.clone(), settings.url_port).at(default_branch);
    let observer = observer(access)?;
    let bundles = bundles(&observer, &settings.sources, settings.helm.clone())?;
    let desired = bundles.desired(&wish).await.map_err(|refusal| Error::Refused(refusal.message))?;
    let objection = observer.check_claims(&identity.name, &desired.objects.objects, &inventory).await;
    if let Some(objection) = objection.map_err(Error::Observe)? {
        return Err(Error::Refused(objection.message));
    }
    let keys: BTreeSet<_> = desired.keys().chain(inventory.iter().map(|(key, _)| key.clone())).collect();
    let client = observer.connection.controller();
    let observed = observer.read_all(&client, keys).await.map_err(Error::Observe)?;
    let run = convert::run::run(environment.status.as_ref()).map_err(Error::Refused)?;
    let wanted = deploy::Desired {
        held: run.map(|run| run.kept_beside(&inventory)).unwrap_or_default(),
        ..desired.objects
    };
    let plan = deploy::plan(&identity.name, &identity.uid, &wanted, &inventory, &observed);
    Ok(Prepared {
        observer,
        desired: wanted,
        inventory,
        plan,
    })
}

/// The values that `environment` is rendered with, and what its bundle does not accept of them.
///
/// # Errors
/// As [`deployment`].
pub async fn values(access: &Access, environment: &Environment, sources: &Sources) -> Result<(Layered, Vec<Problem>), Error> {
    let (identity, _) = read(environment)?;
    let (project, default_branch) = project(access, &identity).await?;
    // No value depends on the role or the port.
    let role = project.deployer.clone();
    let wish = Wish::new(environment, &identity, project, role, None).at(default_branch);
    let bundles = bundles(&observer(access)?, sources, HelmSettings::default())?;
    bundles.values(&wish).await.map_err(|refusal| Error::Refused(refusal.message))
}

/// Plans the teardown of `environment`, step by step to its end.
///
/// # Errors
/// As [`deployment`].
pub async fn teardown(access: &Access, environment: &Environment) -> Result<Vec<teardown::TeardownPlan>, Error> {
    let (identity, inventory) = read(environment)?;
    let project = access
        .project(&identity.project.namespace, &identity.project.name)
        .await
        .map_err(Error::Access)?;
    let rules = project.as_ref().map(convert::project::teardown_rules).unwrap_or_default();
    let observer = observer(access)?;
    let client = observer.connection.controller();
    let keys = inventory.present().map(|(key, _)| key.clone());
    let observed = observer.read_all(&client, keys).await.map_err(Error::Observe)?;
    let contents = observer
        .contents(std::slice::from_ref(&client), &identity.name.namespace())
        .await
        .map_err(Error::Observe)?;
    let references = observer.references_as(&client, &identity.name.namespace()).await;
    let mut view = teardown::View {
        observed,
        // Whoever may not list bindings still sees the rest of the plan.
        references: references.ok(),
        ..teardown::View::default()
    };
    view.take_in(teardown::Contents::of(&inventory, &contents.found));
    Ok(teardown::forecast(&identity.name, &inventory, &view, &rules))
}

/// The bundles, fetched with the caller's own rights: a repository's bundle needs the credentials of its GitHost.
fn bundles(observer: &Observer, sources: &Sources, helm: HelmSettings) -> Result<Bundles, Error> {
    let client = observer.connection.controller();
    let hosts = Hosts::new(client.clone(), Endpoints::default(), None);
    let sources = super::sources::connect(sources, client, hosts).map_err(|error| Error::Refused(chain(&error)))?;
    let renderer = Renderer::new(RendererSettings {
        helm,
        ..RendererSettings::for_one_command()
    });
    Ok(Bundles::new(sources, renderer, Metrics::new()))
}

async fn project(access: &Access, identity: &convert::environment::Identity) -> Result<(Arc<Project>, Option<Commit>), Error> {
    let project = access
        .project(&identity.project.namespace, &identity.project.name)
        .await
        .map_err(Error::Access)?;
    let project = project.ok_or_else(|| Error::Refused(format!("Project {} does not exist", identity.project.name)))?;
    let default_branch = convert::project::default_branch(&project);
    let project = convert::project::project(&project)
        .map_err(|problems| Error::Refused(format!("Project {}: {}", identity.project.name, problems.join("; "))))?;
    Ok((Arc::new(project), default_branch))
}

pub(super) fn read(environment: &Environment) -> Result<(convert::environment::Identity, Inventory), Error> {
    let identity = convert::environment::identity(environment).map_err(Error::Refused)?;
    let inventory = convert::environment::inventory(environment.status.as_ref()).map_err(Error::Refused)?;
    Ok((identity, inventory))
}

/// Observes with the caller's own rights; nothing is watched.
pub(super) fn observer(access: &Access) -> Result<Observer, Error> {
    let connection = Connection::new(access.config()).map_err(Error::Observe)?;
    let (unused, _) = mpsc::channel(1);
    Ok(Observer {
        kinds: Kinds::new(connection.controller()),
        recent: Recent::default(),
        bindings: RecentBindings::default(),
        live: LiveObjects::new(connection.controller(), unused, Duration::MAX),
        holders: None,
        connection,
    })
}
