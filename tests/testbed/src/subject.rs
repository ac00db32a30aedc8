//! graftling as a black box: the real server with the rights of its chart, over JSON, without a type of its own.
//!
//! For binaries and for tests that judge it from outside. Nothing here depends on the package that is judged.

mod chart;
mod look;
pub mod objects;
pub mod program;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use serde_json::Value;
use tempfile::TempDir;

use crate::fault_proxy::FaultProxy;
use crate::wait::TimedOut;
pub use look::{is_ready, merge, repository_name, said};

use crate::{ControlPlane, Invocation, Release, Running, TestNamespace, command, control_plane, helm, webhook};

/// Long enough for a loaded machine; nothing waits this long when it works. It stays below the two minutes after which a server looks at
/// Secrets again, and gives up an audience that hangs: with more, a test could not tell either from what has to happen by itself.
pub const LONG: Duration = Duration::from_secs(90);

/// The secret that webhooks are signed with.
pub const WEBHOOK_SECRET: &str = "it is a secret";

/// One installation of graftling in a namespace of its own, which it alone watches. Several live beside each other on one control plane.
pub struct Subject {
    plane: &'static ControlPlane,
    client: Client,
    namespace: TestNamespace,
    folder: TempDir,
    settings: Settings,
    server: Mutex<Option<Arc<Server>>>,
    past: Mutex<Vec<String>>,
    /// After the server: it goes with the rights that the server has.
    _installed: Release,
}

/// A running server.
pub struct Server {
    /// The process.
    pub running: Running,
    /// Where it takes webhooks, as `http://127.0.0.1:1234`.
    pub webhook: String,
    /// Where it serves health and metrics.
    pub admin: String,
}

/// What differs between installations.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program: see [`program::graftling`].
    pub program: PathBuf,
    /// The folder of bundles that are shipped with the server.
    pub bundles: PathBuf,
    /// The time between two listings of a repository.
    pub sweep_interval: String,
    /// The time between the two reads that prove the absence of a branch.
    pub absence_confirmation: String,
    /// What the server's requests to the API server go through, if not straight there.
    pub proxy: Option<Arc<FaultProxy>>,
    /// What the server logs. Its own tests want to see much, measurements do not.
    pub log_level: String,
    /// Further arguments of the server.
    pub arguments: Vec<String>,
    /// The processors that the server may use; none are all.
    pub processors: Vec<usize>,
    /// Values of the chart, as `--set` takes them.
    pub chart_values: Vec<String>,
}

/// Why something could not be done with an installation, or was not done by it in time.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Helm did not render the chart.
    #[error("cannot render the chart")]
    Render(#[source] helm::Error),
    /// The file of definitions cannot be read.
    #[error("cannot read {}", path.display())]
    ReadDefinitions {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A manifest is no YAML.
    #[error("cannot parse a manifest")]
    ParseManifest(#[source] Box<serde_saphyr::Error>),
    /// A kind is not served.
    #[error("cannot find the kind {kind}")]
    Discover {
        /// The kind.
        kind: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// An object was refused.
    #[error("cannot apply {what}")]
    Apply {
        /// Kind and name.
        what: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// Another request failed.
    #[error("cannot {action}")]
    Request {
        /// What the request was to do.
        action: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// No folder for its files.
    #[error("cannot create a temporary folder")]
    CreateFolder(#[source] std::io::Error),
    /// The server has no identity.
    #[error("cannot give the server its identity")]
    Identify(#[source] control_plane::Error),
    /// The server did not start, or did not end.
    #[error("the server does not do as told")]
    Run(#[source] command::Error),
    /// A delivery could not be sent.
    #[error("cannot send a delivery")]
    Deliver(#[source] webhook::Error),
    /// No server runs.
    #[error("no server runs")]
    NotRunning,
    /// Something did not happen in time.
    #[error("waited in vain")]
    Wait(#[source] TimedOut),
}

/// Installs the definitions in a control plane, unless it has them, and waits until they are served.
///
/// # Errors
/// [`Error`] if the API server refuses.
pub async fn define(client: &Client) -> Result<(), Error> {
    chart::define(client).await
}

/// Installs the definitions whatever a control plane still says that it has: of one that was just removed it says so for a moment.
///
/// # Errors
/// [`Error`] if the API server refuses.
pub async fn define_anew(client: &Client) -> Result<(), Error> {
    chart::define_anew(client).await
}

/// Applies the chart for the release `name` in the namespace of the same name, as far as a cluster without images goes. `values` are those
/// beyond what each installation needs, as `--set` takes them.
///
/// # Errors
/// [`Error`] if helm or the API server refuses.
pub async fn install(client: &Client, name: &str, values: &[String]) -> Result<(), Error> {
    chart::install(client, name, values).await
}

/// All objects of the chart, as [`install`] takes them.
///
/// # Errors
/// [`Error`] if helm refuses.
pub fn chart(name: &str, values: &[String]) -> Result<Vec<Value>, Error> {
    chart::objects_of(name, values)
}

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

// === impl Settings ===

impl Settings {
    /// The settings of the tests: quick, with the bundles of the tests.
    pub fn new(program: impl Into<PathBuf>) -> Settings {
        Settings {
            program: program.into(),
            bundles: root().join("tests/bundles"),
            sweep_interval: "1s".to_owned(),
            absence_confirmation: "1s".to_owned(),
            proxy: None,
            log_level: "info,graftling=debug".to_owned(),
            arguments: Vec::new(),
            processors: Vec::new(),
            chart_values: Vec::new(),
        }
    }
}

// === impl Subject ===

impl Subject {
    /// Makes a namespace `<name>-<random>`, applies the definitions and the chart, and starts nothing yet.
    ///
    /// # Errors
    /// [`Error`] if helm or the API server refuses.
    pub async fn install(plane: &'static ControlPlane, name: &str, settings: Settings) -> Result<Subject, Error> {
        let client = plane.client().await;
        chart::define(&client).await?;
        let namespace = plane.namespace(name).await;
        let installed = plane.release(namespace.name());
        chart::install(&client, namespace.name(), &settings.chart_values).await?;
        Ok(Subject {
            plane,
            client,
            namespace,
            folder: tempfile::tempdir().map_err(Error::CreateFolder)?,
            settings,
            server: Mutex::new(None),
            past: Mutex::new(Vec::new()),
            _installed: installed,
        })
    }

    /// The control plane that it is installed on.
    pub fn plane(&self) -> &'static ControlPlane {
        self.plane
    }

    /// A client of the admin.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The namespace of the installation and of its custom resources, and the name of the release and of its ServiceAccount.
    pub fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// The user name of the server in the audit log.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{0}:{0}", self.namespace())
    }

    /// Starts the server and waits until it listens. One that runs already is forgotten and ends.
    ///
    /// # Errors
    /// [`Error::Identify`] and [`Error::Run`].
    pub async fn start(&self) -> Result<Arc<Server>, Error> {
        let running = self.launch().await?;
        let listening = running.wait_for_line("that it listens", LONG, |line| line.contains("listening"));
        let line = listening.await.map_err(Error::Run)?;
        let server = Arc::new(Server {
            webhook: format!("http://{}", field(&line, "webhook")),
            admin: format!("http://{}", field(&line, "admin")),
            running,
        });
        *self.server_place() = Some(Arc::clone(&server));
        Ok(server)
    }

    async fn launch(&self) -> Result<Running, Error> {
        let kubeconfig = self.folder.path().join("server.kubeconfig");
        let (plane, name) = (self.plane, self.namespace());
        let written = match &self.settings.proxy {
            Some(proxy) => plane.service_account_kubeconfig_through(proxy, name, name, &kubeconfig).await,
            None => plane.service_account_kubeconfig(name, name, &kubeconfig).await,
        };
        written.map_err(Error::Identify)?;
        Invocation::new(&self.settings.program)
            .arguments(["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
            .arguments([
                "--log-format=text".to_owned(),
                format!("--log-level={}", self.settings.log_level),
                format!("--bundles={}", self.settings.bundles.display()),
                format!("--sweep-interval={}", self.settings.sweep_interval),
                format!("--absence-confirmation={}", self.settings.absence_confirmation),
                format!("--watch-namespaces={name}"),
                format!("--deployer-cluster-role={name}-deployer"),
                format!("--approval-policy={name}-approvals"),
                format!("--key-name={name}-receipt-key"),
                format!("--key-namespace={name}"),
            ])
            .arguments(&self.settings.arguments)
            .environment("KUBECONFIG", &kubeconfig)
            // Its log is judged, so it is without colours.
            .environment("NO_COLOR", "1")
            .on(&self.settings.processors)
            .start()
            .map_err(Error::Run)
    }

    /// Ends the server by SIGKILL, as a crash of the machine would, and waits until it is gone.
    ///
    /// # Errors
    /// [`Error::NotRunning`] and [`Error::Run`].
    pub async fn kill(&self) -> Result<(), Error> {
        let server = self.take()?;
        let ended = server.running.kill_hard().await;
        self.remember(&server);
        ended.map(drop).map_err(Error::Run)
    }

    /// Ends the server by SIGTERM and waits until it is gone.
    ///
    /// # Errors
    /// [`Error::NotRunning`] and [`Error::Run`].
    pub async fn stop(&self) -> Result<(), Error> {
        let server = self.take()?;
        let ended = server.running.terminate(LONG).await;
        self.remember(&server);
        ended.map(drop).map_err(Error::Run)
    }

    /// The running server.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn server(&self) -> Result<Arc<Server>, Error> {
        self.server_place().clone().ok_or(Error::NotRunning)
    }

    /// The lines of all servers of this installation, the ended ones first.
    pub fn log(&self) -> Vec<String> {
        let mut lines = self.past.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lines.extend(self.server().map(|server| server.running.lines()).unwrap_or_default());
        lines
    }

    fn take(&self) -> Result<Arc<Server>, Error> {
        self.server_place().take().ok_or(Error::NotRunning)
    }

    fn remember(&self, server: &Server) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.extend(server.running.lines());
    }

    fn server_place(&self) -> MutexGuard<'_, Option<Arc<Server>>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of `name=value` in a line of the log.
fn field(line: &str, name: &str) -> String {
    let value = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default().trim_matches('"').to_owned()
}
