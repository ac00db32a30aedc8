//! The hierarchies of cgroups, and a node's own branch in each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use crate::random;

/// Without these a kubelet does not start.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuacct", "cpuset", "memory", "pids"];

/// Where the hierarchies are mounted: one for each controller in version 1, one for all in version 2, or both.
#[derive(Debug)]
pub(super) struct Hierarchies {
    roots: Vec<Root>,
}

#[derive(Debug)]
struct Root {
    folder: PathBuf,
    controllers: Vec<String>,
}

/// A folder in each hierarchy, by one name.
#[derive(Debug)]
pub(super) struct Branch {
    /// The name, which a kubelet takes as its root.
    pub(super) name: String,
    /// The folders.
    pub(super) folders: Vec<PathBuf>,
}

impl Hierarchies {
    /// Those of this machine.
    pub(super) fn find() -> Hierarchies {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        Hierarchies {
            roots: mounts.lines().filter_map(root).collect(),
        }
    }

    /// Makes a branch and removes it again, or says what is in the way.
    pub(super) fn try_out(&self) -> Result<(), String> {
        let has = |wanted: &str| self.roots.iter().any(|root| root.controllers.iter().any(|name| name == wanted));
        // In version 2 the controller `cpu` counts as well.
        let version_2 = |name: &str| name == "cpuacct" && self.roots.iter().any(|root| root.controllers.len() > 3);
        if let Some(missing) = CONTROLLERS.iter().find(|name| !has(name) && !version_2(name)) {
            return Err(format!("no hierarchy of cgroups has the controller {missing}"));
        }
        let branch = self.grow("graftling-trial").map_err(|error| crate::error_chain(&error))?;
        branch.folders.iter().try_for_each(|folder| {
            fs::remove_dir(folder).map_err(|error| format!("cannot remove the cgroup {}: {error}", folder.display()))
        })
    }

    /// Makes a branch `<prefix>-<random>`, with the processors and memory of the root.
    pub(super) fn grow(&self, prefix: &str) -> Result<Branch, Error> {
        let name = format!("{prefix}-{}", random::suffix());
        let folders: Vec<PathBuf> = self.roots.iter().map(|root| root.folder.join(&name)).collect();
        let branch = Branch { name, folders };
        for (folder, root) in branch.folders.iter().zip(&self.roots) {
            let failed = |source| {
                branch.folders.iter().for_each(|folder| _ = fs::remove_dir(folder));
                Error::Write {
                    path: folder.clone(),
                    source,
                }
            };
            make(folder, &root.folder).map_err(failed)?;
        }
        Ok(branch)
    }
}

fn make(folder: &Path, root: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    // In version 1 a new cgroup has none, and nothing could run in it.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if root.join(file).is_file() && !root.join("cgroup.controllers").is_file() {
            fs::write(folder.join(file), fs::read(root.join(file))?)?;
        }
    }
    Ok(())
}

/// A line of `/proc/mounts`: device, folder, type, options.
fn root(line: &str) -> Option<Root> {
    let mut fields = line.split(' ');
    let folder = PathBuf::from(fields.nth(1)?);
    let controllers = match fields.next()? {
        "cgroup" => fields.next()?.split(',').map(str::to_owned).collect(),
        "cgroup2" => {
            let usable = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
            usable.split_whitespace().map(str::to_owned).collect()
        }
        _ => return None,
    };
    Some(Root { folder, controllers })
}
