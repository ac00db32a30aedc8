//! Flux as a contender: its source-controller and kustomize-controller, with a GitRepository and a Kustomization for each branch.
//!
//! Branches hold the plain YAML with everything filled in. The order is the write of the two resources with a new request to reconcile, by
//! the same account that the controllers have: nothing waits for an interval.

use std::path::Path;
use std::time::Instant;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Error;
use super::git_host::GitHost;
use super::gitops::{self, Filled};
use super::task::{Contender, Environment, Namer, Task};
use crate::binaries::{self, FluxBinaries};
use crate::command::{Invocation, Running};
use crate::control_plane::{self, free_ports};

/// The namespace of the resources.
const NAMESPACE: &str = "contest";

/// So many are reconciled at a time; more do not help two processors.
const AT_A_TIME: &str = "16";

/// So seldom Flux looks by itself: it is told of everything, and would only be disturbed.
const INTERVAL: &str = "10m";

/// Whom the API server takes for the owner of the two resources.
const MANAGER: &str = "contest";

/// The annotation that asks for a reconciliation.
const REQUESTED: &str = "reconcile.fluxcd.io/requestedAt";

/// The controllers, a repository over HTTP, and who gives orders.
pub(super) struct Flux {
    user: String,
    sources: Api<DynamicObject>,
    kustomizations: Api<DynamicObject>,
    controllers: [Running; 2],
    branches: Filled,
    host: GitHost,
    // What the controllers store is in it.
    _home: TempDir,
}

impl Flux {
    /// Defines its resources as the admin and starts its controllers on some processors, or without any on all.
    pub(super) async fn start(
        admin: &kube::Client,
        kubeconfig: &Path,
        namer: Namer,
        user: String,
        processors: &[usize],
    ) -> Result<Flux, Error> {
        let programs = control_plane::blocking(binaries::flux).await.map_err(Error::FindProgram)?;
        gitops::define(admin, &programs.definitions, NAMESPACE).await?;
        let client = control_plane::client(kubeconfig).await.map_err(Error::StartPlane)?;
        let branches = Filled::create(namer)?;
        let host = GitHost::start(branches.path()).await?;
        let home = tempfile::tempdir().map_err(Error::io("create", "a home"))?;
        let controllers = start(&programs, kubeconfig, home.path(), processors).await?;
        Ok(Flux {
            user,
            sources: api(client.clone(), "source.toolkit.fluxcd.io", "GitRepository", "gitrepositories"),
            kustomizations: api(client, "kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations"),
            controllers,
            branches,
            host,
            _home: home,
        })
    }

    async fn order(&self, task: Task, environments: &[Environment]) -> Result<Instant, Error> {
        let order = |environment| async move {
            match task {
                Task::Create | Task::Change => self.reconcile(environment).await,
                Task::Delete => self.delete(&environment.naming.namespace).await,
            }
        };
        gitops::order_all(environments, order).await
    }

    /// Writes both resources. Where they are there, that only asks for a look at the branch; the rest follows from what is found.
    async fn reconcile(&self, environment: &Environment) -> Result<(), Error> {
        let (name, branch) = (&environment.naming.namespace, &environment.naming.branch);
        let now = jiff::Timestamp::now().to_string();
        let params = PatchParams::apply(MANAGER).force();
        let (source, files) = (source(name, branch, &self.host.url(), &now), kustomization(name));
        let (source, files) = (Patch::Apply(source), Patch::Apply(files));
        let written = try_join(
            self.sources.patch(name, &params, &source),
            self.kustomizations.patch(name, &params, &files),
        );
        written.await.map(drop).map_err(Error::request(format!("order {name}")))
    }

    /// Deletes both resources; what the Kustomization brought goes with it.
    async fn delete(&self, name: &str) -> Result<(), Error> {
        let params = DeleteParams::default();
        let deleted = try_join(
            self.kustomizations.delete(name, &params).map(|deleted| deleted.map(drop)),
            self.sources.delete(name, &params).map(|deleted| deleted.map(drop)),
        );
        deleted.await.map(drop).map_err(Error::request(format!("delete {name}")))
    }
}

fn api(client: kube::Client, group: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
    Api::namespaced_with(client, NAMESPACE, &resource)
}

/// Starts both controllers and waits until they say that they are well.
async fn start(programs: &FluxBinaries, kubeconfig: &Path, home: &Path, processors: &[usize]) -> Result<[Running; 2], Error> {
    let [artifacts, source_health, kustomize_health] = free_ports().map_err(Error::StartPlane)?;
    let artifacts = format!("127.0.0.1:{artifacts}");
    let source = controller(&programs.source_controller, kubeconfig, home, source_health)
        .arguments(["--storage-path", &home.to_string_lossy()])
        .arguments(["--storage-addr", &artifacts, "--storage-adv-addr", &artifacts]);
    let kustomize =
        controller(&programs.kustomize_controller, kubeconfig, home, kustomize_health).arguments(["--concurrent-ssa", AT_A_TIME]);
    let run = |controller: Invocation| controller.on(processors).start().map_err(Error::StartProgram);
    let running = [run(source)?, run(kustomize)?];
    for (controller, port) in running.iter().zip([source_health, kustomize_health]) {
        gitops::await_listening("Flux", controller, port).await?;
    }
    Ok(running)
}

/// What both controllers are told.
fn controller(program: &Path, kubeconfig: &Path, home: &Path, health: u16) -> Invocation {
    Invocation::new(program)
        .arguments(["--watch-all-namespaces=true", "--enable-leader-election=false", "--log-level=error"])
        .arguments(["--concurrent", AT_A_TIME, "--kube-api-qps=1000", "--kube-api-burst=2000"])
        .arguments([
            "--requeue-dependency=1s",
            "--min-retry-delay=100ms",
            "--interval-jitter-percentage=0",
        ])
        .arguments(["--metrics-addr=0", &format!("--health-addr=127.0.0.1:{health}")])
        .environment("KUBECONFIG", kubeconfig)
        .environment("RUNTIME_NAMESPACE", NAMESPACE)
        .environment("HOME", home)
        .environment("TMPDIR", home)
        .environment("NO_PROXY", "127.0.0.1")
}

fn source(name: &str, branch: &str, url: &str, now: &str) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": { "name": name, "namespace": NAMESPACE, "annotations": { REQUESTED: now } },
        "spec": { "url": url, "interval": INTERVAL, "ref": { "branch": branch } },
    })
}

fn kustomization(name: &str) -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": {
            "interval": INTERVAL,
            "retryInterval": "1s",
            "path": "./",
            "prune": true,
            "wait": false,
            "sourceRef": { "kind": "GitRepository", "name": name },
        },
    })
}

impl Contender for Flux {
    fn users(&self) -> Vec<String> {
        vec![self.user.clone()]
    }

    fn processes(&self) -> Vec<u32> {
        self.controllers.iter().map(Running::pid).collect()
    }

    fn enter<'a>(&'a self, branches: &'a [String]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async { self.branches.enter(branches) }.boxed()
    }

    fn advance<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async { self.branches.advance(environments) }.boxed()
    }

    fn leave<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<(), Error>> {
        async { self.branches.leave(environments) }.boxed()
    }

    fn carry_out<'a>(&'a self, task: Task, environments: &'a [Environment]) -> BoxFuture<'a, Result<Instant, Error>> {
        self.order(task, environments).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_resources_of_a_branch_belong_together_and_take_away_what_they_brought() {
        let source = source("shop-a", "feature/a", "http://127.0.0.1/r.git", "2026-01-01T00:00:00Z");
        let files = kustomization("shop-a");
        assert_eq!(source["spec"]["ref"]["branch"], "feature/a");
        assert_eq!(source["metadata"]["annotations"][REQUESTED], "2026-01-01T00:00:00Z");
        assert_eq!(files["spec"]["sourceRef"]["name"], source["metadata"]["name"]);
        assert_eq!(files["spec"]["sourceRef"]["kind"], source["kind"]);
        assert_eq!(files["spec"]["prune"], true);
    }
}
