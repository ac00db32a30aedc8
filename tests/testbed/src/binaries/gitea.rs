//! A Gitea of the pinned version, built from its module as its authors build it, and the files that it reads.

use std::env::consts::{ARCH, OS};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::build::{self, PARTIAL};
use super::progress::Progress;
use super::{Error, cache, search};

const MODULE: &str = "code.gitea.io/gitea@v1.26.0";
/// What go.sum would hold, had a module of ours required it. Built as the main module, its own go.sum checks all the rest.
const SUM: &str = "h1:fJP9dqLbzKrKWUVnCVTfVersZdVDuyJQLEDzCAOmKKA=";
const LINKER_FLAGS: &str = "-s -w -X main.Version=1.26.0 -X \"main.Tags=sqlite sqlite_unlock_notify\"";
/// What the program reads at run time, below the folder of the module.
const STATIC: [&str; 3] = ["options", "templates", "public"];

/// A Gitea on this machine.
#[derive(Debug, Clone)]
pub struct GiteaBinaries {
    /// The program.
    pub program: PathBuf,
    /// The folder with its templates and other static files.
    pub static_files: PathBuf,
}

/// Gitea. Blocks; the very first call on a machine builds it, which takes minutes.
pub fn gitea() -> Result<GiteaBinaries, Error> {
    let folder = folder()?;
    cache::made_once(&folder, present, build)
}

/// Why it could not be had, as far as that can be told without trying.
pub fn gitea_obstacle() -> Option<String> {
    if folder().is_ok_and(|folder| present(&folder).is_some()) {
        return None;
    }
    let missing = ["go", "cc"].into_iter().find(|tool| search::on_path(tool).is_none());
    missing.map(|tool| format!("it is not built yet, and {tool}, which that takes, is not on PATH"))
}

fn folder() -> Result<PathBuf, Error> {
    let version = MODULE.rsplit('@').next().unwrap_or(MODULE);
    let root = cache::root().ok_or(Error::NoCacheFolder)?;
    Ok(root.join(format!("gitea-{version}-{OS}-{ARCH}")))
}

/// The program appears by rename, and last.
fn present(folder: &Path) -> Option<GiteaBinaries> {
    let (program, static_files) = (folder.join("gitea"), folder.join("static"));
    program.is_file().then_some(GiteaBinaries { program, static_files })
}

fn build(folder: &Path) -> Result<GiteaBinaries, Error> {
    cache::remove_partial(folder)?;
    let mut progress = Progress::new(2);
    progress.begin("fetching the source of gitea");
    let source = build::fetch(folder, MODULE, SUM)?;
    progress.begin(&format!("building gitea from source into {}", folder.display()));
    let program = folder.join(format!("gitea.{PARTIAL}"));
    compile(&source, &program, &folder.join("gitea.log"), &mut progress)?;
    let static_files = folder.join("static");
    // Left by a build that ended between the two.
    if static_files.exists() {
        fs::remove_dir_all(&static_files).map_err(Error::cache("remove", &static_files))?;
    }
    for part in STATIC {
        build::copy(&source.join(part), &static_files.join(part))?;
    }
    build::rename(&program, &folder.join("gitea"))?;
    progress.finish();
    Ok(GiteaBinaries {
        program: folder.join("gitea"),
        static_files,
    })
}

fn compile(source: &Path, program: &Path, log: &Path, progress: &mut Progress) -> Result<(), Error> {
    let mut arguments = ["-tags", "sqlite sqlite_unlock_notify", "-ldflags", LINKER_FLAGS, "-o"]
        .map(OsString::from)
        .to_vec();
    arguments.extend([program.as_os_str().to_owned(), ".".into()]);
    // Its SQLite is C.
    let variables = [("CGO_ENABLED", "1")];
    build::main_module(source, &arguments, &variables, log, progress, format!("go build {MODULE}"))
}
