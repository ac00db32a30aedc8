//! The stage of one cell: a clean control plane, a contender, the clock, and who may use which processors.

use std::path::{Path, PathBuf};

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::argocd::Argocd;
use super::clock::Clock;
use super::commands::{Commands, RELEASES, Tools};
use super::content::{self, COUNT};
use super::floor::{Floor, Mode};
use super::flux::Flux;
use super::graftling::Graftling;
use super::record::{Cell, Series};
use super::script::Script;
use super::task::{Contender, Name, Namer, deployer_role};
use super::{Error, machine, processes};
use crate::subject::{self, objects};
use crate::{ControlPlane, Invocation};

/// The namespace of the account that everybody but graftling works as.
const NAMESPACE: &str = "contest";

/// The programs that the contest does not find by itself.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Graftling.
    pub graftling: PathBuf,
    /// What makes [`super::floor::serve`] of a process, up to and without the path of the kubeconfig.
    pub floor: Invocation,
    /// This very program, which is the generator of deliveries when it is told to `deliver`.
    pub generator: PathBuf,
    /// The file that takes the requests of each measurement one by one, if they are wanted.
    pub requests: Option<PathBuf>,
}

/// Everything of a cell.
pub(super) struct Stage {
    pub(super) plane: &'static ControlPlane,
    pub(super) client: kube::Client,
    pub(super) clock: Clock,
    pub(super) contender: Box<dyn Contender>,
}

impl Stage {
    /// Starts a control plane, the contender on it, and the clock. The control plane goes with this process.
    pub(super) async fn set_up(cell: &Cell, programs: &Programs) -> Result<Stage, Error> {
        let plane = ControlPlane::start().await.map_err(Error::StartPlane)?;
        let plane: &'static ControlPlane = Box::leak(Box::new(plane));
        let (for_server, for_contender) = halves(cell.series);
        let pids: Vec<u32> = plane.pids().into_iter().map(|(_, pid)| pid).collect();
        pin(&pids, &for_server)?;
        let client = plane.client().await;
        define_more(&client, cell.crds).await?;
        let contender = contender(cell, plane, programs, &for_contender).await?;
        let clock = Clock::start(&client, contender.has_environments()).await?;
        Ok(Stage {
            plane,
            client,
            clock,
            contender,
        })
    }

    /// API server and store.
    pub(super) fn server(&self) -> Vec<u32> {
        let servers = ["etcd", "kube-apiserver"];
        let all = self.plane.pids().into_iter();
        all.filter(|(name, _)| servers.contains(name)).map(|(_, pid)| pid).collect()
    }
}

/// The processors of the control plane, and those of the contender; none where everybody may use all.
pub(super) fn halves(series: Series) -> (Vec<usize>, Vec<usize>) {
    match (series, machine::processors().as_slice()) {
        (Series::Pinned, [server, contender, ..]) => (vec![*server], vec![*contender]),
        _ => (Vec::new(), Vec::new()),
    }
}

pub(super) fn pin(pids: &[u32], processors: &[usize]) -> Result<(), Error> {
    if processors.is_empty() {
        return Ok(());
    }
    processes::pin(pids, processors).map_err(Error::io("use", "the processors"))
}

async fn contender(
    cell: &Cell,
    plane: &'static ControlPlane,
    programs: &Programs,
    processors: &[usize],
) -> Result<Box<dyn Contender>, Error> {
    if cell.contender == Name::Graftling {
        return Ok(Box::new(
            Graftling::start(plane, programs.graftling.clone(), processors.to_vec()).await?,
        ));
    }
    let kubeconfig = plane.folder().join("contender.kubeconfig");
    account(plane, &kubeconfig).await?;
    let user = format!("system:serviceaccount:{NAMESPACE}:contender");
    let namer = Namer::new(NAMESPACE);
    let floor = |mode| {
        let program = programs.floor.clone().arguments([&kubeconfig]).on(processors);
        Floor::start(program, mode, Namer::new(NAMESPACE), user.clone())
    };
    Ok(match cell.contender {
        Name::FloorApply => Box::new(floor(Mode::Apply).await?),
        Name::FloorPost => Box::new(floor(Mode::Post).await?),
        Name::FloorDeployer => {
            grant(&plane.client().await).await?;
            Box::new(floor(Mode::Deployer).await?)
        }
        Name::FloorEnvironment => {
            let client = plane.client().await;
            subject::define(&client).await.map_err(Error::UseGraftling)?;
            grant(&client).await?;
            Box::new(floor(Mode::Environment).await?)
        }
        Name::WebhookScript => {
            let daemon = Script::available().map_err(Error::Understand)?;
            let tools = Tools::find(&kubeconfig).await?;
            Box::new(Script::start(&daemon, tools, namer, user, processors).await?)
        }
        Name::Flux => Box::new(Flux::start(&plane.client().await, &kubeconfig, namer, user, processors).await?),
        Name::Argocd => Box::new(Argocd::start(&plane.client().await, &kubeconfig, namer, user, processors).await?),
        name => {
            let tools = Tools::find(&kubeconfig).await?;
            Box::new(Commands::new(name, tools, namer, user, processors.to_vec()))
        }
    })
}

/// Makes the role of the deployer that the floor writes as.
async fn grant(client: &kube::Client) -> Result<(), Error> {
    apply(client, content::deployer_role(&deployer_role(NAMESPACE))).await
}

/// Who could not take part on this machine, and why.
pub fn absent(contender: Name) -> Option<String> {
    match contender {
        Name::WebhookScript => Script::available().err(),
        _ => None,
    }
}

/// An account that may do everything, but to which priority and fairness apply as to graftling: to `admin` they do not.
async fn account(plane: &ControlPlane, kubeconfig: &Path) -> Result<(), Error> {
    let client = plane.client().await;
    for namespace in [NAMESPACE, RELEASES] {
        apply(&client, objects::named("v1", "Namespace", None, namespace)).await?;
    }
    apply(&client, objects::named("v1", "ServiceAccount", Some(NAMESPACE), "contender")).await?;
    let mut binding = objects::named("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, "contender");
    binding["roleRef"] = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" });
    binding["subjects"] = json!([{ "kind": "ServiceAccount", "name": "contender", "namespace": NAMESPACE }]);
    apply(&client, binding).await?;
    let written = plane.service_account_kubeconfig(NAMESPACE, "contender", kubeconfig).await;
    written.map_err(Error::StartPlane)
}

/// Applies an object, by force.
pub(super) async fn apply(client: &kube::Client, body: Value) -> Result<(), Error> {
    objects::apply(client, &body).await.map(drop).map_err(Error::UseGraftling)
}

/// Defines custom resources that nobody uses: clusters have hundreds, and whoever asks which kinds there are has to read them.
async fn define_more(client: &kube::Client, count: u32) -> Result<(), Error> {
    let numbers: Vec<u32> = (0..count).collect();
    for some in numbers.chunks(COUNT) {
        try_join_all(some.iter().map(|number| apply(client, definition(*number)))).await?;
    }
    Ok(())
}

fn definition(number: u32) -> Value {
    let (plural, group) = (format!("things{number}"), format!("group{}.example.com", number % 50));
    let name = format!("{plural}.{group}");
    let mut definition = objects::named("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, &name);
    let schema = json!({ "openAPIV3Schema": { "type": "object", "properties": {
        "spec": { "type": "object", "properties": { "size": { "type": "integer" }, "name": { "type": "string" } } },
    } } });
    definition["spec"] = json!({
        "group": group,
        "scope": "Namespaced",
        "names": { "kind": format!("Thing{number}"), "plural": plural, "singular": format!("thing{number}") },
        "versions": [{ "name": "v1", "served": true, "storage": true, "schema": schema }],
    });
    definition
}
