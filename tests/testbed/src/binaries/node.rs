//! The programs of a real node. Only those that are built here will do: its configuration is written for these versions.

use std::path::PathBuf;

use super::cache::{self, Cache};
use super::debian::Packages;
use super::module::Module;
use super::{Error, Found, Program, path, search};

/// The programs of a real node.
#[derive(Debug, Clone)]
pub struct NodeBinaries {
    /// What runs pods.
    pub kubelet: PathBuf,
    /// The folder with everything else, by the names of the programs.
    pub folder: PathBuf,
}

/// The programs of a real node. Blocks; the very first call on a machine builds them, which takes minutes.
pub fn node() -> Result<NodeBinaries, Error> {
    let located = programs()?;
    let mut folder = path(&located, Program::Containerd);
    folder.pop();
    Ok(NodeBinaries {
        kubelet: path(&located, Program::Kubelet),
        folder,
    })
}

/// Why the programs of a node could not be had, as far as that can be told without trying.
pub fn node_obstacle() -> Option<String> {
    let filled = |module: &Module, programs: &[Program]| Cache::open(module).is_ok_and(|cache| cache.is_filled(programs));
    if filled(&Module::NODE, &Program::NODE) && filled(&Module::CONTROL_PLANE, &[Program::Kubelet]) {
        return None;
    }
    let mut tools = vec!["go", "cc"];
    tools.extend(Packages::TOOLS);
    let missing = tools.into_iter().find(|tool| search::on_path(tool).is_none());
    missing.map(|tool| format!("its programs are not built yet, and {tool}, which that takes, is not on PATH"))
}

/// The folder below which the programs are, if anything says where.
pub(crate) fn folder() -> Option<PathBuf> {
    cache::root()
}

pub(super) fn programs() -> Result<Vec<Found>, Error> {
    let notes = "a real node takes only what is built for it";
    let mut found = Cache::open(&Module::CONTROL_PLANE)?.provide(&[Program::Kubelet], notes)?;
    found.extend(Cache::open(&Module::NODE)?.provide(&Program::NODE, notes)?);
    Ok(found)
}
