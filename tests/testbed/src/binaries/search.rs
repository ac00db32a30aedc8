//! Looks for ready-made programs outside our cache.

use std::env;
use std::path::{Path, PathBuf};

use super::program::Version;
use super::{Found, Origin, Program};

/// What was found, and what the user should know about the rest.
#[derive(Debug)]
pub(super) struct Searched {
    pub(super) found: Vec<Found>,
    /// Why programs that exist were not taken, or which places hold none.
    pub(super) notes: String,
}

/// Searches the folder of `KUBEBUILDER_ASSETS`, then `PATH`, where a shell would take the first of a name.
///
/// The Kubernetes servers are taken together and of one version or not at all: controllers newer than their API server are
/// not supported by Kubernetes.
pub(super) fn outside_cache(programs: &[Program]) -> Searched {
    let mut found = Vec::new();
    let mut notes = Vec::new();
    match assets() {
        Some(folder) => notes.push(format!("not in KUBEBUILDER_ASSETS ({}) nor on PATH", folder.display())),
        None => notes.push("KUBEBUILDER_ASSETS is not set, and PATH has none".to_owned()),
    }
    found.extend(programs.iter().filter_map(|&program| first_usable(program, &mut notes)));
    drop_incomplete_servers(programs, &mut found, &mut notes);
    Searched {
        found: found.into_iter().map(|(found, _)| found).collect(),
        notes: notes.join("; "),
    }
}

fn first_usable(program: Program, notes: &mut Vec<String>) -> Option<(Found, Version)> {
    for (path, origin) in candidates(program) {
        match program.check(&path) {
            Ok(version) => {
                return Some((Found { program, path, origin }, version));
            }
            Err(reason) => notes.push(format!("{} is not used: {reason}", path.display())),
        }
    }
    None
}

fn assets() -> Option<PathBuf> {
    env::var_os("KUBEBUILDER_ASSETS")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

fn candidates(program: Program) -> impl Iterator<Item = (PathBuf, Origin)> {
    let in_assets = assets()
        .map(|folder| folder.join(program.name()))
        .filter(|file| is_executable(file));
    in_assets
        .map(|file| (file, Origin::Assets))
        .into_iter()
        .chain(on_path(program.name()).map(|file| (file, Origin::Path)))
}

fn drop_incomplete_servers(programs: &[Program], found: &mut Vec<(Found, Version)>, notes: &mut Vec<String>) {
    let wanted = programs.iter().filter(|program| program.is_kubernetes_server()).count();
    let versions: Vec<Version> = found
        .iter()
        .filter(|(found, _)| found.program.is_kubernetes_server())
        .map(|(_, version)| *version)
        .collect();
    if versions.is_empty() || (versions.len() == wanted && versions.windows(2).all(|pair| pair[0] == pair[1])) {
        return;
    }
    notes.push("the Kubernetes servers found are not a complete set of one version, so none of them is used".to_owned());
    found.retain(|(found, _)| !found.program.is_kubernetes_server());
}

/// The program of that name in the first folder of `PATH` that has one.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut files = env::split_paths(&path).map(|folder| folder.join(name));
    files.find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
