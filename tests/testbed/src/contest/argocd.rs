//! Argo CD as a contender: its application controller and its repo-server, with an Application for each environment.
//!
//! Branches hold the plain YAML with everything filled in. The order is the write of the Application, pinned to the commit and with a
//! request to look at it, by the same account that the controller has: nothing waits for an interval.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::gitops::{self, Filled};
use super::task::{Contender, Environment, Namer, Task};
use super::{Error, stage};
use crate::binaries::{self, ArgocdBinaries};
use crate::command::{Invocation, Running};
use crate::control_plane::{self, free_ports};
use crate::subject::objects;

/// The namespace of Applications and of Argo CD's settings.
const NAMESPACE: &str = "argocd";

/// The version of its API.
const API: &str = "argoproj.io/v1alpha1";

/// So many Applications are compared or synchronised at a time; more do not help two processors.
const AT_A_TIME: &str = "50";

/// Whom the API server takes for the owner of Applications.
const MANAGER: &str = "contest";

/// The label without which Argo CD does not see its settings.
const PART: (&str, &str) = ("app.kubernetes.io/part-of", "argocd");

/// What it looks at signatures with, whether or not there are keys to compare them with, and expects on PATH. Here nobody signs.
const VERIFIER: &str = "git-verify-wrapper.sh";

/// What it need not watch, as in its own manifests: objects that are many, change all the time, and are never in Git.
const EXCLUSIONS: &str = r#"[
  { "apiGroups": ["", "discovery.k8s.io"], "kinds": ["Endpoints", "EndpointSlice"] },
  { "apiGroups": ["coordination.k8s.io"], "kinds": ["Lease"] }
]"#;

/// The controller, the repo-server and their store, a repository, and who gives orders.
pub(super) struct Argocd {
    user: String,
    applications: Api<DynamicObject>,
    processes: [Running; 3],
    branches: Filled,
    // The clones of the repo-server are in it.
    _home: TempDir,
}

/// Where the three listen, on loopback.
struct Ports {
    store: u16,
    repositories: u16,
    /// Metrics, which are there when the program has begun to work.
    metrics: [u16; 2],
}

impl Argocd {
    /// Defines its resources and settings as the admin and starts it on some processors, or without any on all.
    pub(super) async fn start(
        admin: &kube::Client,
        kubeconfig: &Path,
        namer: Namer,
        user: String,
        processors: &[usize],
    ) -> Result<Argocd, Error> {
        let programs = control_plane::blocking(binaries::argocd).await.map_err(Error::FindProgram)?;
        gitops::define(admin, &programs.definitions, NAMESPACE).await?;
        for object in settings() {
            stage::apply(admin, object).await?;
        }
        let client = control_plane::client(kubeconfig).await.map_err(Error::StartPlane)?;
        let home = tempfile::tempdir().map_err(Error::io("create", "a home"))?;
        let processes = start(&programs, kubeconfig, home.path(), processors).await?;
        Ok(Argocd {
            user,
            applications: applications(client),
            processes,
            branches: Filled::create(namer)?,
            _home: home,
        })
    }

    async fn order(&self, task: Task, environments: &[Environment]) -> Result<Instant, Error> {
        let order = |environment| async move {
            match task {
                Task::Create | Task::Change => self.synchronise(environment).await,
                Task::Delete => self.delete(&environment.naming.namespace).await,
            }
        };
        gitops::order_all(environments, order).await
    }

    /// Writes the Application. The rest follows from what is found.
    async fn synchronise(&self, environment: &Environment) -> Result<(), Error> {
        let name = &environment.naming.namespace;
        let commit = self.branches.commit(&environment.naming.branch).unwrap_or_default();
        let application = application(name, &self.branches.url(), &commit);
        let params = PatchParams::apply(MANAGER).force();
        let written = self.applications.patch(name, &params, &Patch::Apply(application)).await;
        written.map(drop).map_err(Error::request(format!("order {name}")))
    }

    /// Deletes the Application; what it brought goes before it.
    async fn delete(&self, name: &str) -> Result<(), Error> {
        let deleted = self.applications.delete(name, &DeleteParams::default()).await;
        deleted.map(drop).map_err(Error::request(format!("delete {name}")))
    }
}

fn applications(client: kube::Client) -> Api<DynamicObject> {
    let (group, version) = API.split_once('/').unwrap_or_default();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, "Application"));
    Api::namespaced_with(client, NAMESPACE, &resource)
}

/// What Argo CD reads of its namespace.
fn settings() -> [Value; 5] {
    let part = |kind: &str, name: &str| {
        let mut object = objects::named("v1", kind, Some(NAMESPACE), name);
        object["metadata"]["labels"] = json!({ PART.0: PART.1 });
        object
    };
    let mut general = part("ConfigMap", "argocd-cm");
    general["data"] = json!({
        // Without a label: the fourteen objects are compared with what is expected of everybody.
        "application.resourceTrackingMethod": "annotation",
        "resource.customizations.ignoreResourceUpdates.all": "jsonPointers: [/status]",
        "resource.exclusions": EXCLUSIONS,
    });
    let mut secret = part("Secret", "argocd-secret");
    // Nobody logs in, but it has to be there.
    secret["stringData"] = json!({ "server.secretkey": "contest" });
    let mut project = objects::named(API, "AppProject", Some(NAMESPACE), "default");
    project["spec"] = json!({
        "sourceRepos": ["*"],
        "destinations": [{ "server": "*", "namespace": "*" }],
        "clusterResourceWhitelist": [{ "group": "*", "kind": "*" }],
    });
    [
        objects::named("v1", "Namespace", None, NAMESPACE),
        general,
        secret,
        part("ConfigMap", "argocd-rbac-cm"),
        project,
    ]
}

/// Starts all three, what is needed before what needs it, and waits until each listens.
async fn start(programs: &ArgocdBinaries, kubeconfig: &Path, home: &Path, processors: &[usize]) -> Result<[Running; 3], Error> {
    let [store, repositories, first, second] = free_ports().map_err(Error::StartPlane)?;
    let ports = Ports {
        store,
        repositories,
        metrics: [first, second],
    };
    let path = verifier(home)?;
    let run = |program: Invocation| program.on(processors).start().map_err(Error::StartProgram);
    let store = run(program(programs, home, "store").arguments([format!("127.0.0.1:{store}")]))?;
    gitops::await_listening("Argo CD", &store, ports.store).await?;
    let repositories = run(repo_server(
        program(programs, home, "argocd-repo-server").environment("PATH", path),
        home,
        &ports,
    ))?;
    gitops::await_listening("Argo CD", &repositories, ports.repositories).await?;
    let controller = program(programs, home, "argocd-application-controller").environment("KUBECONFIG", kubeconfig);
    let controller = run(application_controller(controller, &ports))?;
    gitops::await_listening("Argo CD", &controller, ports.metrics[1]).await?;
    Ok([controller, repositories, store])
}

/// Writes the program that has nothing to say of signatures, and says with which PATH it is found.
fn verifier(home: &Path) -> Result<OsString, Error> {
    let programs = home.join("bin");
    let file = programs.join(VERIFIER);
    let written = fs::create_dir(&programs).and_then(|()| fs::write(&file, "#!/bin/sh\n"));
    let executable = written.and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o755)));
    executable.map_err(Error::io("write", &file))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(programs).chain(std::env::split_paths(&path));
    std::env::join_paths(path).map_err(|error| Error::Understand(error.to_string()))
}

/// What all of them are told.
fn program(programs: &ArgocdBinaries, home: &Path, part: &str) -> Invocation {
    Invocation::new(&programs.program)
        .arguments([part])
        .environment("HOME", home)
        .environment("TMPDIR", home)
        .environment("NO_PROXY", "127.0.0.1")
}

fn repo_server(program: Invocation, home: &Path, ports: &Ports) -> Invocation {
    program
        .arguments([
            "--loglevel=error",
            "--disable-tls",
            "--client-ca-path=",
            "--address=127.0.0.1",
            "--metrics-address=127.0.0.1",
        ])
        .arguments([
            format!("--port={}", ports.repositories),
            format!("--metrics-port={}", ports.metrics[0]),
            format!("--redis=127.0.0.1:{}", ports.store),
        ])
        // No limit.
        .arguments(["--parallelismlimit=0"])
        .environment("ARGOCD_GPG_ENABLED", "false")
        .environment("ARGOCD_ASK_PASS_SOCK", home.join("ask-pass"))
}

fn application_controller(program: Invocation, ports: &Ports) -> Invocation {
    program
        .arguments(["--loglevel=error", "--namespace", NAMESPACE, "--repo-server-plaintext"])
        .arguments([
            format!("--repo-server=127.0.0.1:{}", ports.repositories),
            format!("--metrics-port={}", ports.metrics[1]),
            format!("--redis=127.0.0.1:{}", ports.store),
        ])
        .arguments(["--status-processors", AT_A_TIME, "--operation-processors", AT_A_TIME])
        // It is told of everything: no limit, no looks by itself, no events that nobody reads.
        .arguments([
            "--kubectl-parallelism-limit=0",
            "--app-resync=0",
            "--app-resync-jitter=0",
            "--enable-k8s-event=none",
        ])
        // Otherwise it takes what it has not yet seen of its own writes for somebody's change, and synchronises at once once more.
        .arguments(["--self-heal-timeout-seconds=5", "--self-heal-backoff-timeout-seconds=0"])
        .environment("ARGOCD_K8S_CLIENT_QPS", "1000")
        .environment("ARGOCD_K8S_CLIENT_BURST", "2000")
        .environment("ARGOCD_SYNC_WAVE_DELAY", "0")
        // The cluster that it is in is the one that KUBECONFIG names.
        .environment("ARGOCD_FAKE_IN_CLUSTER", "true")
}

fn application(name: &str, url: &str, commit: &str) -> Value {
    json!({
        "apiVersion": API,
        "kind": "Application",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "annotations": { "argocd.argoproj.io/refresh": "normal", "argocd.argoproj.io/compare-options": "ServerSideDiff=false" },
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "default",
            "source": { "repoURL": url, "targetRevision": commit, "path": "." },
            "destination": { "server": "https://kubernetes.default.svc", "namespace": name },
            "syncPolicy": {
                "automated": { "prune": true, "selfHeal": true },
                "syncOptions": ["CreateNamespace=false", "ServerSideApply=true", "Validate=false"],
            },
        },
    })
}

impl Contender for Argocd {
    fn users(&self) -> Vec<String> {
        vec![self.user.clone()]
    }

    fn processes(&self) -> Vec<u32> {
        self.processes.iter().map(Running::pid).collect()
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
    fn an_application_is_pinned_to_its_commit_looked_at_at_once_and_takes_away_what_it_brought() {
        let application = application("shop-a", "file:///r.git", "0123");
        assert_eq!(application["spec"]["source"]["targetRevision"], "0123");
        assert_eq!(application["spec"]["destination"]["namespace"], "shop-a");
        assert_eq!(application["spec"]["syncPolicy"]["automated"]["prune"], true);
        assert_eq!(application["metadata"]["annotations"]["argocd.argoproj.io/refresh"], "normal");
        assert_eq!(application["metadata"]["finalizers"][0], "resources-finalizer.argocd.argoproj.io");
    }

    #[test]
    fn the_namespace_of_the_settings_comes_before_them_and_settings_have_the_label_that_they_are_found_by() {
        let [namespace, settings @ ..] = settings();
        assert_eq!(namespace["metadata"]["name"], NAMESPACE);
        assert!(settings.iter().all(|object| object["metadata"]["namespace"] == NAMESPACE));
        let core = settings.iter().filter(|object| object["apiVersion"] == "v1");
        assert!(core.clone().count() == 3 && core.clone().all(|object| object["metadata"]["labels"][PART.0] == PART.1));
    }

    #[test]
    fn what_is_not_watched_is_written_as_a_list() {
        let exclusions: Value = serde_json::from_str(EXCLUSIONS).unwrap_or_default();
        assert_eq!(exclusions.as_array().map(Vec::len), Some(2));
    }
}
