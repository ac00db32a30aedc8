//! Flux's source-controller and kustomize-controller of the pinned versions, each built from its module as the main module, and the
//! definitions of their resources.

use std::env::consts::{ARCH, OS};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::build::{self, PARTIAL};
use super::progress::Progress;
use super::{Error, cache};

/// The newest whose modules the module proxy has all: from v1.9.4 on one that source-controller needs, github.com/fluxcd/pkg/artifact, is
/// refused (403).
const VERSION: &str = "v1.9.3";

/// The programs.
const CONTROLLERS: [Controller; 2] = [
    Controller {
        name: "source-controller",
        sum: "h1:Zj1gfvK/2MFIm/K3vh5fSHoJBoggLKMuLWf5ZEmaF0w=",
        api_sum: "h1:Z5Id6iPV+n1OY/14dpC18PaHRATzAyZkjAzDNYxSl4E=",
    },
    Controller {
        name: "kustomize-controller",
        sum: "h1:ICUSwJ38bpSKdt5VnIhF23QuUBm6CKzFwzi7Si1xmyc=",
        api_sum: "h1:1ffTRh7QVYMDseyzA56WQZTCqa/luewpfVTglXhJ9Gw=",
    },
];

/// The file with all definitions.
const DEFINITIONS: &str = "definitions.yaml";

/// A controller, and what go.sum would hold for its two modules, had a module of ours required them. Built as the main module, its own
/// go.sum checks all the rest.
struct Controller {
    name: &'static str,
    sum: &'static str,
    api_sum: &'static str,
}

/// Flux on this machine.
#[derive(Debug, Clone)]
pub struct FluxBinaries {
    /// What fetches repositories.
    pub source_controller: PathBuf,
    /// What applies their files.
    pub kustomize_controller: PathBuf,
    /// The definitions of their resources, a file of YAML documents.
    pub definitions: PathBuf,
}

/// Flux. Blocks; the very first call on a machine builds it, which takes many minutes.
pub fn flux() -> Result<FluxBinaries, Error> {
    let root = cache::root().ok_or(Error::NoCacheFolder)?;
    let folder = root.join(format!("flux-{VERSION}-{OS}-{ARCH}"));
    cache::made_once(&folder, present, build_all)
}

/// All files appear by rename, the definitions last.
fn present(folder: &Path) -> Option<FluxBinaries> {
    let definitions = folder.join(DEFINITIONS);
    definitions.is_file().then(|| all(folder))
}

fn all(folder: &Path) -> FluxBinaries {
    let [source_controller, kustomize_controller] = CONTROLLERS.map(|controller| folder.join(controller.name));
    FluxBinaries {
        source_controller,
        kustomize_controller,
        definitions: folder.join(DEFINITIONS),
    }
}

fn build_all(folder: &Path) -> Result<FluxBinaries, Error> {
    cache::remove_partial(folder)?;
    let mut progress = Progress::new(2 * CONTROLLERS.len());
    let mut definitions = Vec::new();
    for controller in &CONTROLLERS {
        progress.begin(&format!("fetching the source of Flux's {}", controller.name));
        let source = lay_out(controller, folder)?;
        progress.begin(&format!(
            "building Flux's {} from source into {}",
            controller.name,
            folder.display()
        ));
        definitions.extend(definitions_in(&source.join("config/crd/bases"))?);
        // A build that was killed has left what is complete.
        if !folder.join(controller.name).is_file() {
            compile(controller, &source, folder, &mut progress)?;
        }
        fs::remove_dir_all(&source).map_err(Error::cache("remove", &source))?;
    }
    let partial = folder.join(format!("{DEFINITIONS}.{PARTIAL}"));
    fs::write(&partial, definitions.join("\n---\n")).map_err(Error::cache("write", &partial))?;
    build::rename(&partial, &folder.join(DEFINITIONS))?;
    progress.finish();
    Ok(all(folder))
}

/// The module with its module of types below `api`, where its go.mod expects it: modules are published without the modules in them.
fn lay_out(controller: &Controller, folder: &Path) -> Result<PathBuf, Error> {
    let source = folder.join(format!("{}.source.{PARTIAL}", controller.name));
    let path = format!("github.com/fluxcd/{}", controller.name);
    build::copy(&fetch(folder, &path, controller.sum)?, &source)?;
    build::copy(&fetch(folder, &format!("{path}/api"), controller.api_sum)?, &source.join("api"))?;
    Ok(source)
}

fn fetch(folder: &Path, path: &str, sum: &str) -> Result<PathBuf, Error> {
    build::fetch(folder, &format!("{path}@{VERSION}"), sum)
}

fn compile(controller: &Controller, source: &Path, folder: &Path, progress: &mut Progress) -> Result<(), Error> {
    let program = folder.join(format!("{}.{PARTIAL}", controller.name));
    let mut arguments = ["-ldflags", "-s -w", "-o"].map(OsString::from).to_vec();
    arguments.extend([program.as_os_str().to_owned(), ".".into()]);
    let command = format!("go build github.com/fluxcd/{}@{VERSION}", controller.name);
    let log = folder.join(format!("{}.log", controller.name));
    build::main_module(source, &arguments, &[], &log, progress, command)?;
    build::rename(&program, &folder.join(controller.name))
}

/// The text of each file, in the order of their names.
fn definitions_in(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::cache("read", folder))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let read = |path: &PathBuf| fs::read_to_string(path).map_err(Error::cache("read", path));
    paths.iter().map(read).collect()
}
