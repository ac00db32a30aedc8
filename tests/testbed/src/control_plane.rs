//! A running control plane: etcd, API server, controllers, scheduler and fake nodes, on free loopback ports.

mod component;
mod flags;
mod identity;
mod start;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use tokio::sync::OnceCell;

use crate::audit::AuditLog;
use crate::fault_proxy::FaultProxy;
use crate::scratch::Scratch;
use crate::wait::TimedOut;
use crate::{binaries, crypto};
use component::Component;
pub use identity::Error as IdentityError;
use identity::Identities;
pub(crate) use identity::NodeFiles;
pub(crate) use start::{NODE as FAKE_NODE, free_ports, schedulable};

/// How long a token from [`ControlPlane::service_account_kubeconfig`] is valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// A control plane of our own, with one Node `fake-0` on which pods start and become ready at once.
///
/// Pods run nothing: kwok only writes their status. To have them run, start a [`Node`](crate::Node) beside it. There is no network, no DNS and no image. Dropping it stops every
/// process and removes every file; if this process is killed, its supervisors do the same.
#[derive(Debug)]
pub struct ControlPlane {
    url: String,
    kubeconfig: PathBuf,
    identities: Identities,
    audit: AuditLog,
    etcd: Component,
    api_server: Component,
    clients: Vec<Component>,
    scratch: Scratch,
}

/// Why a control plane did not start, or could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its programs are missing and could not be built.
    #[error("the programs of the control plane are not available")]
    Binaries(#[source] binaries::Error),
    /// No private temporary folder could be made.
    #[error("cannot create a temporary folder")]
    CreateFolder(#[source] std::io::Error),
    /// Certificates, keys or kubeconfig files could not be made.
    #[error("cannot create the identities of the control plane")]
    CreateIdentities(#[source] IdentityError),
    /// No free port could be found.
    #[error("cannot find a free port on 127.0.0.1")]
    FindPort(#[source] std::io::Error),
    /// A program could not be started at all.
    #[error("cannot start {component}")]
    Spawn {
        /// Its name.
        component: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A program ended while it was needed.
    #[error("{component} ended ({status}); its log ends with:\n{log}")]
    Exited {
        /// Its name.
        component: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// A program runs but does not become ready.
    #[error("{component} is not ready; its log ends with:\n{log}")]
    NotReady {
        /// Its name.
        component: &'static str,
        /// The last lines of its log.
        log: String,
        /// What was waited for, and for how long.
        #[source]
        source: TimedOut,
    },
    /// The kubeconfig just written cannot be used.
    #[error("cannot use the kubeconfig {}", path.display())]
    UseKubeconfig {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// A request to the API server failed.
    #[error("cannot {action}")]
    Request {
        /// What the request was to do.
        action: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server gave no token.
    #[error("the token of ServiceAccount {namespace}/{name} is missing in the response")]
    NoToken {
        /// Namespace of the account.
        namespace: String,
        /// Name of the account.
        name: String,
    },
}

impl ControlPlane {
    /// Starts a private control plane, which takes about three seconds; on a new machine its programs are built first,
    /// which takes minutes and says so on standard error.
    ///
    /// When it returns, the Node is ready and the default ServiceAccount exists in the namespace `default`.
    pub async fn start() -> Result<ControlPlane, Error> {
        crypto::install();
        let programs = blocking(binaries::control_plane).await.map_err(Error::Binaries)?;
        start::control_plane(&programs).await
    }

    /// The control plane that all tests of this process share. Started on first use, stopped when the process ends.
    ///
    /// # Panics
    ///
    /// When it does not start; then for every caller, without another attempt.
    pub async fn shared() -> &'static ControlPlane {
        static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();
        let shared = SHARED.get_or_init(|| async { ControlPlane::start().await.map_err(|error| crate::error_chain(&error)) });
        match shared.await {
            Ok(control_plane) => control_plane,
            Err(reason) => panic!("the shared control plane did not start: {reason}"),
        }
    }

    /// The address of the API server, such as `https://127.0.0.1:34567`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority that the API server's certificate is from, as PEM.
    pub fn certificate_authority(&self) -> String {
        self.identities.authority()
    }

    /// A kubeconfig file of user `admin` in `system:masters`: RBAC and priority and fairness do not apply to it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A new client of user `admin`. Not shared, because a client belongs to the tokio runtime that made it.
    ///
    /// # Panics
    ///
    /// When our own kubeconfig cannot be used, which would be a bug here.
    pub async fn client(&self) -> kube::Client {
        match client(&self.kubeconfig).await {
            Ok(client) => client,
            Err(error) => panic!("{}", crate::error_chain(&error)),
        }
    }

    /// Writes to `path` a kubeconfig that holds exactly the identity of an existing ServiceAccount, for two hours.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str, path: &Path) -> Result<(), Error> {
        let token = self.service_account_token(namespace, name).await?;
        let authority = self.certificate_authority();
        identity::write_token_kubeconfig(&token, namespace, &self.url, &authority, path).map_err(Error::CreateIdentities)
    }

    /// As [`service_account_kubeconfig`](Self::service_account_kubeconfig), for a client that goes through a proxy.
    pub async fn service_account_kubeconfig_through(
        &self,
        proxy: &FaultProxy,
        namespace: &str,
        name: &str,
        path: &Path,
    ) -> Result<(), Error> {
        let token = self.service_account_token(namespace, name).await?;
        let authority = proxy.certificate_authority();
        identity::write_token_kubeconfig(&token, namespace, proxy.url(), authority, path).map_err(Error::CreateIdentities)
    }

    /// A bearer token of an existing ServiceAccount, valid for two hours.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> Result<String, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(client(&self.kubeconfig).await?, namespace);
        let spec = TokenRequestSpec {
            expiration_seconds: Some(TOKEN_LIFETIME.as_secs() as i64),
            ..Default::default()
        };
        let request = TokenRequest {
            spec,
            ..Default::default()
        };
        let failed = |source| Error::Request {
            action: format!("request a token of ServiceAccount {namespace}/{name}"),
            source: Box::new(source),
        };
        let response = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .map_err(failed)?;
        match response.status {
            Some(status) => Ok(status.token),
            None => Err(Error::NoToken {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
        }
    }

    /// Writes into `folder` what the kubelet of the node `name` needs.
    pub(crate) fn node_files(&self, name: &str, folder: &Path) -> Result<NodeFiles, IdentityError> {
        self.identities.write_node(name, &self.url, folder)
    }

    /// What the API server was asked, by whom, and what it answered.
    pub fn audit(&self) -> AuditLog {
        self.audit.clone()
    }

    /// Name and pid of every running program, in the order of starting.
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        let all = [&self.etcd, &self.api_server].into_iter().chain(&self.clients);
        all.filter_map(|component| Some((component.name(), component.pid()?))).collect()
    }

    /// The private folder of this control plane, on disk: logs, certificates, the audit log. It goes with it.
    pub fn folder(&self) -> &Path {
        self.scratch.folder()
    }

    /// The folder of the store's data, in memory where the platform allows. It goes too.
    pub fn data_folder(&self) -> &Path {
        self.scratch.memory()
    }

    /// Stops everything in reverse order and removes the files.
    pub async fn stop(self) -> Result<(), Error> {
        blocking(move || drop(self)).await;
        Ok(())
    }

    /// Begins an outage: stops the API server and leaves everything else running. Blocks for about a second.
    pub fn stop_api_server(&self) {
        self.api_server.stop();
    }

    /// Ends an outage: starts the API server on the same port and waits until it is ready.
    pub async fn start_api_server(&self) -> Result<(), Error> {
        self.api_server.start(&self.scratch)?;
        start::await_api_server(&self.api_server, &self.kubeconfig).await
    }

    /// An outage of a few seconds.
    pub async fn restart_api_server(&self) -> Result<(), Error> {
        self.stop_api_server();
        self.start_api_server().await
    }
}

/// Stops in reverse order of starting; the clients of the API server go together. The files go after that.
impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.clients.iter().for_each(Component::release);
        self.clients.iter().for_each(Component::stop);
        self.api_server.stop();
        self.etcd.stop();
    }
}

/// How a client of a kubeconfig file reaches its server, for a test that changes something of it: whom it impersonates, say. Proxy settings
/// of the environment do not apply to loopback.
///
/// # Panics
///
/// When the file cannot be used.
pub async fn configuration(kubeconfig: &Path) -> kube::Config {
    match try_configuration(kubeconfig).await {
        Ok(configuration) => configuration,
        Err(error) => panic!("{}", crate::error_chain(&error)),
    }
}

/// A client for a kubeconfig file.
pub(crate) async fn client(path: &Path) -> Result<kube::Client, Error> {
    let configuration = try_configuration(path).await?;
    kube::Client::try_from(configuration).map_err(|source| Error::Request {
        action: format!("make a client from {}", path.display()),
        source: Box::new(source),
    })
}

async fn try_configuration(path: &Path) -> Result<kube::Config, Error> {
    crypto::install();
    let unusable = |source| Error::UseKubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    let configuration = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut configuration = configuration.map_err(unusable)?;
    configuration.proxy_url = None;
    Ok(configuration)
}

/// Runs blocking work without holding up the runtime, and passes its panic on.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
