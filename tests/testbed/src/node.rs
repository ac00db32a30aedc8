//! A real node: kubelet, containerd and runc beside a control plane, in namespaces of its own. Pods really run on it.
//!
//! It needs root and changes nothing of the machine: its mounts and processes are in private namespaces, its cgroups below one
//! branch of its own, and the settings that a kubelet would change are hidden from it behind files. Whatever ends this
//! process ends all of that.
//!
//! What there is not: a network. A pod reaches nothing but itself, and whoever is outside reaches a pod by its address in
//! 127.0.0.0/8 (see `tests/node/pods`). There is no DNS, no address of a Service answers, and the API server's proxy refuses addresses on
//! loopback. NetworkPolicies are not enforced.

mod available;
mod cgroups;
mod configuration;
pub mod image;
mod start;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

pub use available::Unavailable;
use tokio::sync::OnceCell;

use crate::control_plane::{self, ControlPlane, IdentityError};
use crate::process::Supervised;
use crate::scratch::Scratch;
use crate::wait::TimedOut;
use crate::{binaries, crypto};

/// The name of the Node. kwok leaves the Node of this name alone.
pub const NAME: &str = "real-0";

/// How long the server of a pod may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A running node. Dropping it ends its pods and everything else of it, and leaves the Node in the API as it is.
#[derive(Debug)]
pub struct Node {
    // Before the files, which it uses.
    keeper: Supervised,
    scratch: Scratch,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine, or this user, cannot have one.
    #[error("a real node cannot run here")]
    Unavailable(#[source] Unavailable),
    /// Its programs could not be built.
    #[error("the programs of a real node are not available")]
    Binaries(#[source] binaries::Error),
    /// No private temporary folder could be made.
    #[error("cannot create a temporary folder")]
    CreateFolder(#[source] std::io::Error),
    /// No free port could be found.
    #[error("cannot find a port for the node")]
    FindPort(#[source] control_plane::Error),
    /// A certificate or kubeconfig could not be made.
    #[error("cannot create the identity of the node")]
    CreateIdentity(#[source] IdentityError),
    /// A file of its configuration, an image or a cgroup could not be made.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A program of the images could not be read or asked for what it can do.
    #[error("cannot put {} into an image", path.display())]
    BuildImage {
        /// The program.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The shell that keeps the node could not be started.
    #[error("cannot start the node")]
    Spawn(#[source] std::io::Error),
    /// A request to the API server failed.
    #[error("cannot {action}")]
    Request {
        /// What the request was to do.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// It ended while it was needed.
    #[error("the node ended ({status}); its logs end with:\n{log}")]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its logs.
        log: String,
    },
    /// It runs but does not become ready.
    #[error("the node is not ready; its logs end with:\n{log}")]
    NotReady {
        /// The last lines of its logs.
        log: String,
        /// What was waited for, and for how long.
        #[source]
        source: TimedOut,
    },
}

impl Node {
    /// Whether a node can run here, or why not. Blocks: once in a process it tries out namespaces, mounts and cgroups, and once on a
    /// machine it builds the programs, which takes minutes and says so on standard error.
    pub fn available() -> Result<(), Unavailable> {
        available::check()
    }

    /// Starts a node beside `control_plane`, which takes about two seconds; on a new machine its programs are built first.
    ///
    /// When it returns, the Node [`NAME`] is ready and the fake node takes no new pods: pods go to the real node by themselves, and a
    /// pod that is to be simulated sets `spec.nodeName` to `fake-0`.
    pub async fn start(control_plane: &ControlPlane) -> Result<Node, Error> {
        crypto::install();
        start::node(control_plane).await
    }

    /// The folder with its logs: `kubelet.log`, `containerd.log`, `registry.log`.
    pub fn folder(&self) -> &Path {
        self.scratch.folder()
    }

    /// The pid of the process that keeps it: when that ends, everything of the node is gone.
    pub fn pid(&self) -> u32 {
        self.keeper.pid()
    }
}

impl ControlPlane {
    /// The control plane with a real node that all tests of this process share, started on first use. Where no node can run,
    /// it says on standard error, past the capture of the test harness, that the calling test is skipped, and why.
    ///
    /// # Panics
    ///
    /// When it could run and does not start; then for every caller, without another attempt.
    pub async fn with_node() -> Option<&'static ControlPlane> {
        static SHARED: OnceCell<Result<(ControlPlane, Node), String>> = OnceCell::const_new();
        let available = control_plane::blocking(Node::available).await;
        if let Err(reason) = available {
            let thread = std::thread::current();
            let _ = writeln!(std::io::stderr(), "SKIPPED: {}: {reason}", thread.name().unwrap_or("a test"));
            return None;
        }
        let start = || async {
            let control_plane = ControlPlane::start().await.map_err(|error| crate::error_chain(&error))?;
            let node = Node::start(&control_plane).await.map_err(|error| crate::error_chain(&error))?;
            Ok((control_plane, node))
        };
        match SHARED.get_or_init(start).await {
            Ok((control_plane, _)) => Some(control_plane),
            Err(reason) => panic!("the shared control plane with a node did not start: {reason}"),
        }
    }
}

/// What answers at a URL of a pod; anything but a success is an error, in words.
pub async fn get(url: &str) -> Result<String, String> {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER).build();
    let client = client.map_err(|error| crate::error_chain(&error))?;
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(|error| crate::error_chain(&error))?;
    answer.text().await.map_err(|error| crate::error_chain(&error))
}
