//! A world for one test: the real control plane, a real repository, and the real server with exactly the rights of its chart.
#![allow(dead_code, reason = "each test uses its part of the world")]
#![allow(clippy::unwrap_used, reason = "a world that cannot be made is the test's failure")]

mod look;
mod node;
pub mod objects;
mod proxied;
mod servers;

use std::path::{Path, PathBuf};

use graftling::api::environment::Phase;
use graftling::api::{Environment, GitHost, Project};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::fault_proxy::FaultProxy;
use testbed::subject;
pub use testbed::subject::{LONG, WEBHOOK_SECRET, merge, repository_name};
use testbed::wait;
use testbed::webhook::Response;
use testbed::{ControlPlane, Release, Repository, Running, TestNamespace};

pub use look::{ready_reason, without_main};

/// One test's world.
pub struct World {
    pub plane: &'static ControlPlane,
    pub namespace: TestNamespace,
    pub client: Client,
    pub folder: TempDir,
    pub release: String,
    pub server: Option<Server>,
    proxy: Option<FaultProxy>,
    options: Options,
    /// After the server: it goes with the rights that the server has.
    _installed: Release,
}

/// A running server.
pub struct Server {
    pub running: Running,
    pub webhook: String,
    pub admin: String,
}

/// What differs between worlds.
#[derive(Clone)]
pub struct Options {
    /// Extra arguments of the server.
    pub arguments: Vec<String>,
    pub sweep_interval: &'static str,
    pub absence_confirmation: &'static str,
    pub bundles: PathBuf,
    /// Values of the chart beyond those of every world, as `--set` takes them.
    pub chart_values: Vec<String>,
    /// What servers find in their environment.
    pub environment: Vec<(String, String)>,
    /// Whether servers reach the API server through a proxy of the world's own.
    pub proxied: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            arguments: Vec::new(),
            sweep_interval: "1s",
            absence_confirmation: "1s",
            bundles: root().join("tests/bundles"),
            chart_values: Vec::new(),
            environment: Vec::new(),
            proxied: false,
        }
    }
}

impl Options {
    /// The sweep is an hour away: whatever happens within seconds was caused by a delivery.
    pub fn without_sweeps() -> Self {
        Self {
            sweep_interval: "1h",
            absence_confirmation: "1h",
            ..Self::default()
        }
    }
}

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl World {
    /// A world with a running server.
    pub async fn start(name: &str) -> Self {
        Self::with(name, Options::default()).await
    }

    /// A world with a running server and other options.
    pub async fn with(name: &str, options: Options) -> Self {
        let mut world = Self::without_server(name, options).await;
        world.start_server().await;
        world
    }

    /// A world in which everything is installed and nothing runs yet.
    pub async fn without_server(name: &str, options: Options) -> Self {
        let plane = ControlPlane::shared().await;
        subject::define(&plane.client().await).await.unwrap();
        Self::on(plane, name, options).await
    }

    /// A world on a control plane of the test's own, which goes with the process.
    pub async fn apart(name: &str, options: Options) -> Self {
        let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await.unwrap()));
        subject::define(&plane.client().await).await.unwrap();
        Self::on(plane, name, options).await
    }

    async fn on(plane: &'static ControlPlane, name: &str, options: Options) -> Self {
        let client = plane.client().await;
        let namespace = plane.namespace(name).await;
        let release = namespace.name().to_owned();
        subject::install(&client, &release, &options.chart_values).await.unwrap();
        let proxy = match options.proxied {
            true => Some(FaultProxy::before_api_server(plane).await.unwrap()),
            false => None,
        };
        Self {
            plane,
            namespace,
            client,
            folder: tempfile::tempdir().unwrap(),
            _installed: plane.release(&release),
            release,
            server: None,
            proxy,
            options,
        }
    }

    /// Starts the server as the ServiceAccount of the chart.
    pub async fn start_server(&mut self) {
        let server = self.another_server("server", &[]).await;
        self.server = Some(server);
    }

    /// Starts a server with further arguments, without making it the world's own.
    pub async fn another_server(&self, name: &str, arguments: &[&str]) -> Server {
        let kubeconfig = self.folder.path().join(format!("{name}.kubeconfig"));
        self.write_kubeconfig(&kubeconfig).await;
        self.server_by(&kubeconfig, arguments, []).await
    }

    /// The running server.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("the server runs")
    }

    /// The user name of the server in the audit log.
    pub fn server_user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace.name(), self.release)
    }

    /// Makes a GitHost for plain Git over the directory of `repository`, with a webhook secret, and a Project with the sample bundle.
    pub async fn project(&self, name: &str, repository: &Repository, rest: Value) -> Project {
        self.git_host("git", repository).await;
        self.project_at("git", name, &repository_name(repository), rest).await
    }

    /// Makes a Project at an existing GitHost. `rest` is merged over the spec.
    pub async fn project_at(&self, host: &str, name: &str, repository: &str, rest: Value) -> Project {
        let mut spec = json!({
            "gitHostRef": { "name": host },
            "repository": repository,
            "bundle": { "name": "mini" },
            "domain": "preview.example.com",
        });
        let bundle = rest.get("bundle").cloned();
        merge(&mut spec, rest);
        // One source takes the place of another; both at once are refused.
        if let Some(bundle) = bundle {
            spec["bundle"] = bundle;
        }
        self.apply("Project", name, json!({ "spec": spec })).await
    }

    /// Makes a GitHost for plain Git over the directory that holds `repository`.
    pub async fn git_host(&self, name: &str, repository: &Repository) {
        self.secret("webhook", "secret", WEBHOOK_SECRET).await;
        let parent = repository.path().parent().unwrap().display().to_string();
        let spec = json!({
            "provider": "git",
            "url": format!("file://{parent}"),
            "webhook": { "secret": { "name": "webhook" } },
        });
        let _: GitHost = self.apply("GitHost", name, json!({ "spec": spec })).await;
    }

    /// Makes a Secret with one key.
    pub async fn secret(&self, name: &str, key: &str, value: &str) {
        let body = json!({ "stringData": { key: value } });
        objects::apply(&self.client, "v1", "Secret", Some(self.namespace.name()), name, body).await;
    }

    /// Applies one of our custom resources in the world's namespace.
    pub async fn apply<K>(&self, kind: &str, name: &str, body: Value) -> K
    where
        K: serde::de::DeserializeOwned,
    {
        let object = objects::apply(
            &self.client,
            "graftling.dev/v1alpha1",
            kind,
            Some(self.namespace.name()),
            name,
            body,
        )
        .await;
        serde_json::from_value(object).unwrap()
    }

    /// The Environments of the world.
    pub fn environments(&self) -> Api<Environment> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// The Projects of the world.
    pub fn projects(&self) -> Api<Project> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// The GitHosts of the world.
    pub fn git_hosts(&self) -> Api<GitHost> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// The Environment of a branch, if there is one.
    pub async fn environment(&self, branch: &str) -> Option<Environment> {
        let params = ListParams::default().fields(&format!("spec.branch={branch}"));
        self.environments().list(&params).await.unwrap().items.into_iter().next()
    }

    /// Waits until the Environment of a branch is in `phase` and shows `revision`.
    pub async fn wait_for(&self, branch: &str, phase: Phase, revision: &str) -> Environment {
        wait::until(&format!("{branch} to be {phase:?} at {revision}"), LONG, || async {
            let environment = self.environment(branch).await.ok_or("no Environment".to_owned())?;
            let status = environment.status.clone().unwrap_or_default();
            let applied = status.revision.as_ref().and_then(|revision| revision.applied.clone());
            if status.phase == Some(phase) && (phase == Phase::Failed || applied.as_deref() == Some(revision)) {
                Ok(environment)
            } else {
                Err(format!("{:?}: {}", status.phase, status.message.unwrap_or_default()))
            }
        })
        .await
    }

    /// Waits for the look at the repository that every new Project gets: from then on deliveries are accepted.
    pub async fn first_look(&self) {
        self.wait_synced("shop").await;
    }

    /// Waits until a Project says that it is synced.
    pub async fn wait_synced(&self, project: &str) {
        self.wait_for_project(project, "that is synced", |status| ready_reason(&status.conditions) == "Synced")
            .await;
    }

    /// Waits until a branch has no Environment any more.
    pub async fn wait_gone(&self, branch: &str) {
        wait::until(&format!("the environment of {branch} to be gone"), LONG, || async {
            match self.environment(branch).await {
                None => Ok(()),
                Some(environment) => {
                    let status = environment.status.unwrap_or_default();
                    Err(format!("{:?}: {}", status.phase, status.message.unwrap_or_default()))
                }
            }
        })
        .await;
    }

    /// The text of an environment's receipt.
    pub async fn receipt(&self, environment: &Environment) -> String {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.namespace.name());
        let receipt = api.get(&receipt_name(environment)).await.unwrap();
        receipt.data.unwrap()["receipt.yaml"].clone()
    }

    /// Whether a namespace exists.
    pub async fn namespace_exists(&self, name: &str) -> bool {
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.get_opt(name).await.unwrap().is_some()
    }

    /// Sends a signed delivery of our own hook's form about one ref.
    pub async fn hint(&self, host: &str, repository: &str, reference: &str, before: &str, after: &str) -> Response {
        let body = json!({
            "version": 1,
            "repository": repository,
            "updates": [{ "ref": reference, "before": before, "after": after }],
        });
        self.signed_hint(host, serde_json::to_vec(&body).unwrap()).await
    }

    /// Signs a body as our own hook does and sends it.
    pub async fn signed_hint(&self, host: &str, body: Vec<u8>) -> Response {
        let url = format!("{}/hooks/{}/{host}", self.server().webhook, self.namespace.name());
        let signature = testbed::webhook::signature(WEBHOOK_SECRET.as_bytes(), &body);
        let headers = [
            ("content-type", "application/json"),
            ("x-graftling-event", "push"),
            ("x-graftling-delivery", "test"),
            ("x-graftling-signature-256", signature.as_str()),
        ];
        testbed::webhook::post(&url, &headers, body).await.unwrap()
    }

    /// Creates any object as the admin.
    pub async fn create(&self, api_version: &str, kind: &str, namespace: Option<&str>, name: &str, body: Value) -> Value {
        objects::apply(&self.client, api_version, kind, namespace, name, body).await
    }

    /// Changes an Environment's or Project's annotations as the admin.
    pub async fn annotate_project(&self, name: &str, key: &str, value: &str) {
        let patch = json!({ "metadata": { "annotations": { key: value } } });
        self.projects()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Creates a namespace as somebody else.
    pub async fn foreign_namespace(&self, name: &str) -> Namespace {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let body: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        api.create(&PostParams::default(), &body).await.unwrap()
    }
}

/// The name of the ConfigMap with an environment's receipt.
pub fn receipt_name(environment: &Environment) -> String {
    graftling::api::receipt::config_map_name(&environment.name_any(), &environment.uid().unwrap())
}
