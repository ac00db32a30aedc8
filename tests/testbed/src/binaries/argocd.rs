//! Argo CD's application controller and repo-server of the pinned version, with the store that they want, as one program, and the
//! definitions of their resources.

use std::env::consts::{ARCH, OS};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::build::{self, PARTIAL};
use super::progress::Progress;
use super::{Error, cache};

const VERSION: &str = "v3.6.1";

/// The Go that it asks for, which is newer than ours and which ours fetches. To download the module alone takes it already.
const GO: [(&str, &str); 1] = [("GOTOOLCHAIN", "go1.27.0")];

/// What go.sum would hold for its two modules, had a module of ours required them. Built as the main module, its own go.sum checks all the
/// rest.
const MODULE: (&str, &str) = ("github.com/argoproj/argo-cd/v3", "h1:OmhqeKiR3C//awbFrhQqFdtRI+Qiv17j8vqm3UkMj/g=");
const ENGINE: (&str, &str) = (
    "github.com/argoproj/argo-cd/gitops-engine/v3",
    "h1:e9NghanU6O6PrxHq4+PaYxd6Rpe0kC48C2Opkpgx/LQ=",
);

/// Where go.mod expects the engine.
const ENGINE_FOLDER: &str = "gitops-engine";

/// Parts of the module that are large and that nothing of ours needs.
const LEFT_OUT: [&str; 2] = ["docs", "ui"];

/// Our part of the program, and its folder.
const MAIN: &str = include_str!("../../../contest/argocd/main.go");
const MAIN_FOLDER: &str = "contest";

/// The program, and the file with all definitions.
const PROGRAM: &str = "argocd";
const DEFINITIONS: &str = "definitions.yaml";

/// The definitions in the module. ApplicationSets have no part in this.
const PARTS: [&str; 2] = ["application-crd.yaml", "appproject-crd.yaml"];

/// Where the source says that metrics are served to everybody, and to whom alone they are served here.
const LISTENS: (&str, &str, &str) = ("controller/appcontroller.go", "\"0.0.0.0:%d\"", "\"127.0.0.1:%d\"");

/// Argo CD on this machine.
#[derive(Debug, Clone)]
pub struct ArgocdBinaries {
    /// The program, which is told by its first argument what to be: `argocd-application-controller`, `argocd-repo-server` or `store`.
    pub program: PathBuf,
    /// The definitions of its resources, a file of YAML documents.
    pub definitions: PathBuf,
}

/// Argo CD. Blocks; the very first call on a machine builds it, which takes many minutes.
pub fn argocd() -> Result<ArgocdBinaries, Error> {
    let root = cache::root().ok_or(Error::NoCacheFolder)?;
    let folder = root.join(format!("argocd-{VERSION}-{OS}-{ARCH}"));
    cache::made_once(&folder, present, build)
}

/// Both files appear by rename, the program last.
fn present(folder: &Path) -> Option<ArgocdBinaries> {
    let (program, definitions) = (folder.join(PROGRAM), folder.join(DEFINITIONS));
    program.is_file().then_some(ArgocdBinaries { program, definitions })
}

fn build(folder: &Path) -> Result<ArgocdBinaries, Error> {
    cache::remove_partial(folder)?;
    let mut progress = Progress::new(2);
    progress.begin("fetching the source of Argo CD");
    let source = lay_out(folder)?;
    progress.begin(&format!("building Argo CD from source into {}", folder.display()));
    let definitions = folder.join(format!("{DEFINITIONS}.{PARTIAL}"));
    fs::write(&definitions, definitions_in(&source)?).map_err(Error::cache("write", &definitions))?;
    build::rename(&definitions, &folder.join(DEFINITIONS))?;
    let program = folder.join(format!("{PROGRAM}.{PARTIAL}"));
    compile(&source, &program, &folder.join("argocd.log"), &mut progress)?;
    fs::remove_dir_all(&source).map_err(Error::cache("remove", &source))?;
    build::rename(&program, &folder.join(PROGRAM))?;
    progress.finish();
    Ok(ArgocdBinaries {
        program: folder.join(PROGRAM),
        definitions: folder.join(DEFINITIONS),
    })
}

/// The module with its engine where its go.mod expects it, and with our main: modules are published without the modules in them.
fn lay_out(folder: &Path) -> Result<PathBuf, Error> {
    let source = folder.join(format!("source.{PARTIAL}"));
    let module = fetch(folder, MODULE)?;
    fs::create_dir_all(&source).map_err(Error::cache("create", &source))?;
    for entry in fs::read_dir(&module).map_err(Error::cache("read", &module))? {
        let path = entry.map_err(Error::cache("read", &module))?.path();
        let name = path.file_name().unwrap_or_default();
        if LEFT_OUT.iter().any(|out| name == *out) {
            continue;
        }
        if path.is_dir() {
            build::copy(&path, &source.join(name))?;
        } else {
            let bytes = fs::read(&path).map_err(Error::cache("read", &path))?;
            write(&source.join(name), &bytes)?;
        }
    }
    build::copy(&fetch(folder, ENGINE)?, &source.join(ENGINE_FOLDER))?;
    let main = source.join(MAIN_FOLDER);
    fs::create_dir_all(&main).map_err(Error::cache("create", &main))?;
    write(&main.join("main.go"), MAIN.as_bytes())?;
    stay_at_home(&source)?;
    Ok(source)
}

fn fetch(folder: &Path, (path, sum): (&str, &str)) -> Result<PathBuf, Error> {
    build::fetch_by(&GO, folder, &format!("{path}@{VERSION}"), sum)
}

/// Nothing of the testbed can be reached from elsewhere, and there is no option for this.
fn stay_at_home(source: &Path) -> Result<(), Error> {
    let (file, everywhere, here) = LISTENS;
    let file = source.join(file);
    let text = fs::read_to_string(&file).map_err(Error::cache("read", &file))?;
    write(&file, text.replace(everywhere, here).as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(Error::cache("write", path))
}

fn compile(source: &Path, program: &Path, log: &Path, progress: &mut Progress) -> Result<(), Error> {
    let mut arguments = ["-ldflags", "-s -w", "-o"].map(OsString::from).to_vec();
    arguments.extend([program.as_os_str().to_owned(), format!("./{MAIN_FOLDER}").into()]);
    let [(variable, value)] = GO;
    let command = format!("{variable}={value} go build {}@{VERSION}", MODULE.0);
    build::main_module(source, &arguments, &GO, log, progress, command)
}

fn definitions_in(source: &Path) -> Result<String, Error> {
    let read = |part: &&str| {
        let path = source.join("manifests/crds").join(part);
        fs::read_to_string(&path).map_err(Error::cache("read", &path))
    };
    let texts = PARTS.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.join("\n---\n"))
}
