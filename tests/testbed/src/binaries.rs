//! Finds the programs the testbed starts, or builds them once into a cache of the user.
//!
//! Looked for in this order: the folder that `KUBEBUILDER_ASSETS` names, `PATH`, the cache. What is in none of them is built
//! from the pinned Go modules in `tests/controlplane`, which are embedded here, so a read-only checkout is enough.
//! The cache is `$GRAFTLING_TESTBED_CACHE`, else `$XDG_CACHE_HOME/graftling/testbed`, else `~/.cache/graftling/testbed`.

mod argocd;
mod build;
mod cache;
mod debian;
mod flux;
mod gitea;
mod module;
mod node;
mod program;
mod progress;
mod search;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use argocd::{ArgocdBinaries, argocd};
use cache::Cache;
pub use flux::{FluxBinaries, flux};
pub use gitea::{GiteaBinaries, gitea, gitea_obstacle};
use module::Module;
pub(crate) use node::folder as cache_folder;
pub use node::{NodeBinaries, node, node_obstacle};
pub use program::Program;
pub(crate) use search::on_path;

/// The Go version that builds the pinned modules; an older Go with `GOTOOLCHAIN=auto` fetches it by itself.
pub const GO_VERSION: &str = "1.26";

/// The file that holds kwok's stages. It must lie beside a `kwok` that is to be used.
pub const KWOK_STAGES: &str = "kwok-stages.yaml";

/// The programs of a control plane.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The store.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// The controllers of Deployments, namespaces, ServiceAccounts and so on.
    pub kube_controller_manager: PathBuf,
    /// The scheduler, which gives pods their node.
    pub kube_scheduler: PathBuf,
    /// The fake kubelets.
    pub kwok: PathBuf,
    /// kwok's configuration: when a fake node is initialised and a fake pod starts, completes and goes.
    pub kwok_stages: PathBuf,
}

/// A program and where it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which program.
    pub program: Program,
    /// Its file.
    pub path: PathBuf,
    /// How it got there.
    pub origin: Origin,
}

/// Where a program came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The folder named by `KUBEBUILDER_ASSETS`.
    Assets,
    /// A folder of `PATH`.
    Path,
    /// The cache, built earlier or by another process.
    Cache,
    /// The cache, built now.
    Built,
}

/// Why a program could be neither found nor built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Go, and something has to be built.
    #[error(
        "cannot find {missing} ({searched}), and there is no Go toolchain on PATH to build them from source: install Go {GO_VERSION} \
         or newer, or let KUBEBUILDER_ASSETS name a folder that holds them"
    )]
    NoToolchain {
        /// The programs, comma separated.
        missing: String,
        /// Where they were looked for and why they were refused.
        searched: String,
        /// Why `go` does not start.
        #[source]
        source: io::Error,
    },
    /// No variable says where the cache is.
    #[error("cannot tell where the cache is: set GRAFTLING_TESTBED_CACHE, XDG_CACHE_HOME or HOME")]
    NoCacheFolder,
    /// A file or folder of the cache could not be read, written or locked.
    #[error("cannot {action} {}", path.display())]
    Cache {
        /// What was tried, such as `lock`.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A package of Debian that holds what a node needs could not be fetched or unpacked.
    #[error("`{command}` failed, which fetches what a real node needs from the mirror that apt is set up with. It said:\n{output}")]
    Debian {
        /// The command line.
        command: String,
        /// What it printed, or why it could not be started.
        output: String,
    },
    /// A go command could not be started.
    #[error("cannot run `{command}`")]
    RunGo {
        /// The command line.
        command: String,
        /// Why it could not be started.
        #[source]
        source: io::Error,
    },
    /// A go command failed.
    #[error("`{command}` failed; Go {GO_VERSION} or newer is needed. It said:\n{output}")]
    Go {
        /// The command line.
        command: String,
        /// What it printed.
        output: String,
    },
}

/// The programs of the control plane. Blocks; the very first call on a machine builds them, which takes minutes.
pub fn control_plane() -> Result<Binaries, Error> {
    let located = locate(&Module::CONTROL_PLANE, &Program::CONTROL_PLANE)?;
    let kwok = path(&located, Program::Kwok);
    Ok(Binaries {
        etcd: path(&located, Program::Etcd),
        kube_apiserver: path(&located, Program::KubeApiserver),
        kube_controller_manager: path(&located, Program::KubeControllerManager),
        kube_scheduler: path(&located, Program::KubeScheduler),
        kwok_stages: kwok.with_file_name(KWOK_STAGES),
        kwok,
    })
}

/// A helm of major version 4. Blocks; the very first call builds it, which takes minutes.
pub fn helm() -> Result<PathBuf, Error> {
    Ok(path(&locate(&Module::HELM, &[Program::Helm])?, Program::Helm))
}

/// A kubectl. Blocks; the very first call may build it.
pub fn kubectl() -> Result<PathBuf, Error> {
    Ok(path(&locate(&Module::CONTROL_PLANE, &[Program::Kubectl])?, Program::Kubectl))
}

/// The kubectl of the pinned version, whatever is on `PATH`: some there are wrappers that look for another. Blocks; the very first call
/// builds it, which takes half a minute.
pub fn pinned_kubectl() -> Result<PathBuf, Error> {
    let found = Cache::open(&Module::CONTROL_PLANE)?.provide(&[Program::Kubectl], "PATH was not searched")?;
    Ok(path(&found, Program::Kubectl))
}

/// Finds or builds everything, kubectl and helm included, and says where it all is.
pub fn all() -> Result<Vec<Found>, Error> {
    let mut found = locate(&Module::CONTROL_PLANE, &Program::CONTROL_PLANE)?;
    found.extend(locate(&Module::CONTROL_PLANE, &[Program::Kubectl])?);
    found.extend(locate(&Module::HELM, &[Program::Helm])?);
    Ok(found)
}

/// Finds or builds everything of a real node, and says where it all is.
pub fn all_of_node() -> Result<Vec<Found>, Error> {
    node::programs()
}

/// Every one of `programs`, or an error.
fn locate(module: &Module, programs: &[Program]) -> Result<Vec<Found>, Error> {
    let searched = search::outside_cache(programs);
    let mut found = searched.found;
    let is_missing = |program: &Program| !found.iter().any(|found| found.program == *program);
    let missing: Vec<Program> = programs.iter().copied().filter(is_missing).collect();
    if !missing.is_empty() {
        found.extend(Cache::open(module)?.provide(&missing, &searched.notes)?);
    }
    Ok(found)
}

fn path(located: &[Found], program: Program) -> PathBuf {
    let found = located.iter().find(|found| found.program == program);
    found
        .expect("every program asked for is located, or there was an error")
        .path
        .clone()
}

impl Error {
    fn cache(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Cache {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Origin::Assets => "KUBEBUILDER_ASSETS",
            Origin::Path => "PATH",
            Origin::Cache => "cache",
            Origin::Built => "built now",
        })
    }
}
