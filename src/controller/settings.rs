//! What the platform engineer decides for all Projects.

use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::signing::Place;
use crate::domain::name::{Namespace, ObjectName};
use crate::render::HelmSettings;

/// Settings of the controller.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where bundles may come from.
    pub sources: SourceSettings,
    /// How charts are rendered.
    pub helm: HelmSettings,
    /// The ClusterRole that says what deployers may do inside an environment.
    pub deployer_role: ObjectName,
    /// How often every repository is listed.
    pub sweep_interval: Duration,
    /// How far apart the two sightings must be that prove a branch to be gone.
    pub absence_confirmation: Duration,
    /// How many environments are deployed at the same time; half as many are torn down besides.
    pub concurrency: u16,
    /// How many processes render bundles at one time.
    pub render_workers: usize,
    /// How often an environment is looked at although nothing happened.
    pub resync: Duration,
    /// The port in environments' URLs, for set-ups without an Ingress on the scheme's own.
    pub url_port: Option<u16>,
    /// How far errands of stages may reach.
    pub outbound: OutboundSettings,
    /// Which namespaces' GitHosts, Projects and Environments are ours to serve.
    pub scope: Scope,
    /// Where the key for receipts is kept; `None`: nothing is signed.
    pub receipt_key: Option<Place>,
    /// The admission policy that proves who wrote an approval.
    pub approval_policy: ObjectName,
    /// The image with `sh` and `tar` that takes in the files of a commit.
    pub tools_image: String,
    /// The name of this process, in Events.
    pub instance: String,
}

/// Where bundles may come from.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// The directory with one folder for each shipped bundle.
    pub bundles: PathBuf,
    /// Directories below which Projects may name any directory; none: no Project may.
    pub roots: Vec<PathBuf>,
    /// Web servers of archives that may have addresses inside.
    pub archive_hosts: Vec<ArchiveHost>,
    /// A PEM file with certificate authorities that the client for archives trusts besides the usual ones.
    pub ca: Option<PathBuf>,
    /// How many bytes of fetched bundles are kept in memory.
    pub cache: usize,
}

/// How far errands of stages may reach.
#[derive(Debug, Clone, Default)]
pub struct OutboundSettings {
    /// Web servers that webhooks and registries may be although their addresses are not public, by plain http as well. The Project has to
    /// allow them too.
    pub hosts: Vec<ArchiveHost>,
    /// A PEM file with certificate authorities that errands trust besides the usual ones.
    pub ca: Option<PathBuf>,
    /// Where hosts of environments are reached; `None`: where DNS says.
    pub ingress: Option<ArchiveHost>,
    /// Whether addresses of this machine may be environments': the control plane is on it as well.
    pub is_local: bool,
}

/// A web server that is trusted although its address is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveHost {
    /// Its name or address, as URLs write it.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// A set of namespaces.
#[derive(Debug, Clone, Default)]
pub struct Scope(Vec<Namespace>);

impl Scope {
    /// These namespaces, or all if none are given.
    pub fn new(namespaces: Vec<Namespace>) -> Self {
        Self(namespaces)
    }

    /// Whether objects of `namespace` are served.
    pub fn contains(&self, namespace: Option<&str>) -> bool {
        let listed = |name: &str| self.0.iter().any(|namespace| namespace.as_str() == name);
        namespace.is_some_and(|name| self.0.is_empty() || listed(name))
    }
}
