//! Flux as a contender: its source-controller and kustomize-controller, with a GitRepository and a Kustomization for each branch.
//!
//! Branches hold the plain YAML with everything filled in. The order is the write of the two resources with a new request to reconcile, by
//! the same account that the controllers have: nothing waits for an interval.

use std::path::Path;
use std::time::Instant;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all, try_join};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::branches;
use super::content;
use super::git_host::GitHost;
use super::task::{Contender, Environment, Namer, Task};
use super::{Error, stage};
use crate::binaries::{self, FluxBinaries};
use crate::command::{Invocation, Running};
use crate::control_plane::{self, free_ports};
use crate::subject::LONG;
use crate::{Repository, wait};

/// The file in the repository.
const FILE: &str = "e14.yaml";

/// The namespace of the resources.
const NAMESPACE: &str = "contest";

/// So many are reconciled at a time; more do not help two processors.
const AT_A_TIME: &str = "16";

/// So many orders are under way at a time.
const ORDERS: usize = 64;

/// So seldom Flux looks by itself: it is told of everything, and would only be disturbed.
const INTERVAL: &str = "10m";

/// Whom the API server takes for the owner of the two resources.
const MANAGER: &str = "contest";

/// The annotation that asks for a reconciliation.
const REQUESTED: &str = "reconcile.fluxcd.io/requestedAt";

/// The controllers, a repository over HTTP, and who gives orders.
pub(super) struct Flux {
    namer: Namer,
    user: String,
    sources: Api<DynamicObject>,
    kustomizations: Api<DynamicObject>,
    controllers: [Running; 2],
    repository: Repository,
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
        define(admin, &programs.definitions).await?;
        let client = control_plane::client(kubeconfig).await.map_err(Error::StartPlane)?;
        let repository = Repository::create().map_err(Error::ChangeRepository)?;
        let host = GitHost::start(repository.path()).await?;
        let home = tempfile::tempdir().map_err(Error::io("create", "a home"))?;
        let controllers = start(&programs, kubeconfig, home.path(), processors).await?;
        Ok(Flux {
            namer,
            user,
            sources: api(client.clone(), "source.toolkit.fluxcd.io", "GitRepository", "gitrepositories"),
            kustomizations: api(client, "kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations"),
            controllers,
            repository,
            host,
            _home: home,
        })
    }

    /// Commits the content of environments to their branches.
    fn push(&self, environments: &[Environment]) -> Result<(), Error> {
        let texts: Vec<String> = environments
            .iter()
            .map(|environment| content::text(&environment.naming))
            .collect::<Result<_, _>>()?;
        let files: Vec<[(&str, &str); 1]> = texts.iter().map(|text| [(FILE, text.as_str())]).collect();
        let names = branches::of(environments);
        let commits: Vec<(&str, &[(&str, &str)])> = names.into_iter().zip(files.iter().map(|files| &files[..])).collect();
        self.repository.push_many(&commits).map(drop).map_err(Error::ChangeRepository)
    }

    async fn order(&self, task: Task, environments: &[Environment]) -> Result<Instant, Error> {
        let begin = Instant::now();
        let orders = environments.iter().map(|environment| async move {
            match task {
                Task::Create | Task::Change => self.reconcile(environment).await,
                Task::Delete => self.delete(&environment.naming.namespace).await,
            }
        });
        let orders: Vec<_> = orders.collect();
        stream::iter(orders).buffer_unordered(ORDERS).try_collect::<()>().await?;
        Ok(begin)
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

/// Writes the definitions and waits until their resources are served: a controller that starts before looks again only after seconds.
async fn define(admin: &kube::Client, file: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(file).map_err(Error::io("read", file))?;
    let definitions = content::parse(&text)?;
    for definition in &definitions {
        stage::apply(admin, definition.clone()).await?;
    }
    let served = definitions.iter().map(|definition| async move {
        let field = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let plural = field("/spec/names/plural");
        let api = api(admin.clone(), field("/spec/group"), field("/spec/names/kind"), plural);
        let look = || async { api.list(&ListParams::default().limit(1)).await.map(drop) };
        wait::try_until(format!("served {plural}"), LONG, look).await.map_err(Error::Wait)
    });
    join_all(served).await.into_iter().collect()
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
        let healthy = || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(drop) };
        let waited = wait::try_until("controller of Flux that listens", LONG, healthy).await;
        waited.map_err(|error| match controller.exited() {
            Some(status) => Error::Command {
                command: format!("a controller of Flux ({status})"),
                output: controller.lines().join("\n"),
            },
            None => Error::Wait(error),
        })?;
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
        async {
            let environments = branches.iter().map(|branch| self.namer.environment(branch));
            let environments = environments.collect::<Result<Vec<_>, _>>()?;
            self.push(&environments)?;
            Ok(environments)
        }
        .boxed()
    }

    fn advance<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async {
            let next = environments.iter().map(|before| self.namer.next(before));
            let next = next.collect::<Result<Vec<_>, _>>()?;
            self.push(&next)?;
            Ok(next)
        }
        .boxed()
    }

    fn leave<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<(), Error>> {
        async {
            let branches = branches::of(environments);
            self.repository.delete_branches(&branches).map_err(Error::ChangeRepository)
        }
        .boxed()
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
