//! The cluster: a control plane of our own on this machine, or the one of a context of the kubeconfig.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use testbed::{AuditLog, ControlPlane, Node};

use crate::chart::{self, NAMESPACE};
use crate::objects;
use crate::screen::{Mark, Screen};
use crate::story::LIMIT;

/// A cluster that we may do anything in.
pub struct Cluster {
    /// As its administrator.
    pub client: Client,
    /// What to tell kubectl and graftling so that they find it.
    pub flags: String,
    kubeconfig: Kubeconfig,
    // Before the control plane, which it talks to.
    node: Option<Node>,
    plane: Option<ControlPlane>,
    /// What we made, in that order.
    made: Vec<Value>,
}

/// As long as `--keep` may stay up.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

impl Cluster {
    /// Starts a control plane on this machine; builds it first if it never was.
    pub async fn start(screen: &mut Screen) -> anyhow::Result<Self> {
        screen.remark("etcd, kube-apiserver, controllers, scheduler and kwok; built from source once, which takes minutes");
        // Not under the live line: a build shows a progress of its own.
        tokio::task::spawn_blocking(|| testbed::binaries::control_plane().and_then(|_| testbed::binaries::helm())).await??;
        let plane = screen.during("starting the control plane", ControlPlane::start()).await?;
        // Should this process be killed, then the janitor of the control plane removes our files as well.
        let _ = tempfile::env::override_temp_dir(plane.folder());
        screen.line(Mark::Done, format!("control plane at {}", plane.url()));
        let node = node(&plane, screen).await?;
        let path = plane.kubeconfig();
        Ok(Self {
            client: plane.client().await,
            flags: format!("--kubeconfig {}", path.display()),
            kubeconfig: Kubeconfig::read_from(path)?,
            node,
            plane: Some(plane),
            made: Vec::new(),
        })
    }

    /// Connects to the cluster of a context. Nothing is changed yet.
    pub async fn connect(context: &str, screen: &mut Screen) -> anyhow::Result<Self> {
        let mut kubeconfig = Kubeconfig::read().context("could not read the kubeconfig (KUBECONFIG, else ~/.kube/config)")?;
        kubeconfig.current_context = Some(context.to_owned());
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await;
        let config = config.with_context(|| format!("could not use the context {context}; `kubectl config get-contexts` lists all"))?;
        let cluster = Self {
            client: Client::try_from(config)?,
            flags: format!("--context {context}"),
            kubeconfig,
            node: None,
            plane: None,
            made: Vec::new(),
        };
        let version = cluster.client.apiserver_version().await;
        let version = version.with_context(|| format!("could not reach the cluster of the context {context}"))?;
        screen.line(Mark::Done, format!("context {context}: Kubernetes {}", version.git_version));
        cluster.is_free().await?;
        Ok(cluster)
    }

    /// Two servers would work on the same Projects, and what somebody made is not ours to remove.
    async fn is_free(&self) -> anyhow::Result<()> {
        let servers: Api<Deployment> = Api::all(self.client.clone());
        let ours = ListParams::default().labels("app.kubernetes.io/name=graftling");
        if let Some(server) = servers.list(&ours).await.context("could not look for graftling")?.items.first() {
            let namespace = server.namespace().unwrap_or_default();
            bail!("graftling runs in this cluster already, in namespace {namespace}; use a cluster without it");
        }
        if objects::exists(&self.client, &namespace()).await? {
            bail!(
                "namespace {NAMESPACE} exists already; if it is left over from a demo, remove it: kubectl {} delete namespace {NAMESPACE}",
                self.flags
            );
        }
        Ok(())
    }

    /// Installs the definitions and the chart's rights.
    pub async fn install(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        let rights = tokio::task::spawn_blocking(chart::rights).await??;
        let definitions = chart::definitions()?;
        if self.plane.is_none() {
            screen.remark(format!(
                "to be made now, and removed at the end: namespace {NAMESPACE}, custom resource definitions"
            ));
            screen.remark("unless they are there, and the accounts, roles and admission policies of the Helm chart");
        }
        for body in &definitions {
            if !objects::exists(&self.client, body).await? {
                self.make(body).await?;
            }
        }
        self.make(&namespace()).await?;
        for body in &rights {
            self.make(body).await?;
        }
        chart::served(&self.client).await?;
        let count = rights.len();
        screen.line(
            Mark::Done,
            format!(
                "Helm chart: {} definitions, {count} accounts, roles and policies",
                definitions.len()
            ),
        );
        Ok(())
    }

    async fn make(&mut self, body: &Value) -> anyhow::Result<()> {
        self.made.push(body.clone());
        objects::apply(&self.client, body).await
    }

    /// Removes what was made, the last first, and waits until the namespace is gone. Tells the first thing that could not be removed.
    pub async fn clean_up(&mut self) -> anyhow::Result<()> {
        let mut first = Ok(());
        while let Some(body) = self.made.pop() {
            let deleted = objects::delete(&self.client, &body).await;
            first = first.and(deleted);
        }
        first?;
        let gone = || async { objects::exists(&self.client, &namespace()).await.is_ok_and(|exists| !exists) };
        testbed::wait::try_until("end of the namespace", LIMIT, gone).await?;
        Ok(())
    }

    /// Whether the cluster is somebody else's, so that things have to be removed one by one.
    pub fn is_borrowed(&self) -> bool {
        self.plane.is_none()
    }

    /// Whether pods really run, on a node of ours that has only images of ours.
    pub fn has_real_node(&self) -> bool {
        self.node.is_some()
    }

    /// What the API server was asked, where it tells: a cluster of somebody else keeps that to itself.
    pub fn audit(&self) -> Option<AuditLog> {
        self.plane.as_ref().map(ControlPlane::audit)
    }

    /// Writes a kubeconfig that holds nothing but the identity of a ServiceAccount of the demo's namespace.
    pub async fn write_kubeconfig_of(&self, account: &str, path: &Path) -> anyhow::Result<()> {
        let token = self.token(account).await?;
        let context = self.kubeconfig.current_context.as_deref().unwrap_or_default();
        let named = self.kubeconfig.contexts.iter().find(|named| named.name == context);
        let cluster = named
            .and_then(|named| named.context.as_ref())
            .map(|context| context.cluster.clone());
        let cluster = self.kubeconfig.clusters.iter().find(|named| Some(&named.name) == cluster.as_ref());
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster.context("the kubeconfig has no cluster for its context")?],
            "users": [{ "name": account, "user": { "token": token } }],
            "contexts": [{ "name": "demo", "context": { "cluster": cluster.map(|named| &named.name), "user": account, "namespace": NAMESPACE } }],
            "current-context": "demo",
        });
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| file.write_all(text.to_string().as_bytes()));
        written.with_context(|| format!("could not write {}", path.display()))
    }

    async fn token(&self, account: &str) -> anyhow::Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), NAMESPACE);
        let request: TokenRequest = serde_json::from_value(json!({ "spec": { "audiences": [], "expirationSeconds": TOKEN_SECONDS } }))?;
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
        let answer = answer.with_context(|| format!("could not get a token of ServiceAccount {account}"))?;
        Ok(answer.status.context("the answer holds no token")?.token)
    }
}

/// A real node, where one can run.
async fn node(plane: &ControlPlane, screen: &mut Screen) -> anyhow::Result<Option<Node>> {
    if let Err(reason) = tokio::task::spawn_blocking(Node::available).await? {
        screen.remark(format!("its pods are simulated, as a real node cannot run here: {reason}"));
        return Ok(None);
    }
    let node = screen.during("starting a node", Node::start(plane)).await?;
    screen.line(Mark::Done, "real node beside it: kubelet, containerd and runc, so pods really run");
    Ok(Some(node))
}

fn namespace() -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } })
}
