//! The cache folder of one module: what is in it, and one builder at a time.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::build::{self, Toolchain};
use super::debian::Packages;
use super::module::Module;
use super::progress::Progress;
use super::{Error, Found, KWOK_STAGES, Origin, Program};

/// How often a waiting process tries to get the lock.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// The programs of one module for this platform.
#[derive(Debug)]
pub(super) struct Cache<'a> {
    module: &'a Module,
    /// Holds a folder per Go version, so that a newer Go builds anew and no Go at all still finds what is there.
    folder: PathBuf,
}

impl Cache<'_> {
    /// Names the cache; creates nothing.
    pub(super) fn open(module: &Module) -> Result<Cache<'_>, Error> {
        Ok(Cache {
            module,
            folder: root().ok_or(Error::NoCacheFolder)?.join(module.key()),
        })
    }

    /// Returns the programs, after building those that are missing. `notes` say why the cache was asked at all.
    pub(super) fn provide(&self, programs: &[Program], notes: &str) -> Result<Vec<Found>, Error> {
        let toolchain = match build::toolchain(self.module, &self.folder.join("module")) {
            Ok(toolchain) => toolchain,
            Err(error) => {
                return self.complete_folder(programs).ok_or_else(|| explain(error, programs, notes));
            }
        };
        let folder = self.folder.join(toolchain.version());
        if let Some(found) = cached(&folder, programs) {
            return Ok(found);
        }
        fs::create_dir_all(&folder).map_err(Error::cache("create", &folder))?;
        let _lock = lock(&folder.join("lock"))?;
        self.build_missing(&toolchain, &folder, programs)
    }

    fn build_missing(&self, toolchain: &Toolchain, folder: &Path, programs: &[Program]) -> Result<Vec<Found>, Error> {
        remove_partial(folder)?;
        let missing: Vec<Program> = programs.iter().copied().filter(|program| !holds(folder, *program)).collect();
        let mut progress = Progress::new(missing.len());
        let mut packages = None;
        for &program in &missing {
            if packages.is_none() && matches!(program, Program::Busybox | Program::Runc) {
                packages = Some(Packages::fetch(folder, &mut progress)?);
            }
            match (&packages, program) {
                (Some(packages), Program::Busybox) => packages.take_busybox(folder)?,
                _ => {
                    progress.begin(&format!("building {program} from source into {}", folder.display()));
                    let packages = packages.as_ref().filter(|_| program == Program::Runc);
                    toolchain.build(self.module, program, packages, folder, &mut progress)?;
                }
            }
        }
        progress.finish();
        let origin = |program| {
            if missing.contains(&program) { Origin::Built } else { Origin::Cache }
        };
        Ok(programs.iter().map(|&program| entry(folder, program, origin(program))).collect())
    }

    /// Whether `programs` are there, whichever Go built them.
    pub(super) fn is_filled(&self, programs: &[Program]) -> bool {
        self.complete_folder(programs).is_some()
    }

    /// Any folder that holds everything: without a Go that works it does not matter which Go built it.
    fn complete_folder(&self, programs: &[Program]) -> Option<Vec<Found>> {
        let mut folders: Vec<PathBuf> = fs::read_dir(&self.folder)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        folders.sort();
        folders.iter().rev().find_map(|folder| cached(folder, programs))
    }
}

/// A missing Go is worth a word about what would do in its place; other failures speak for themselves.
fn explain(error: Error, programs: &[Program], notes: &str) -> Error {
    match error {
        Error::RunGo { source, .. } if source.kind() == ErrorKind::NotFound => {
            let names: Vec<&str> = programs.iter().map(|program| program.name()).collect();
            Error::NoToolchain {
                missing: names.join(", "),
                searched: notes.to_owned(),
                source,
            }
        }
        error => error,
    }
}

/// The folder of all caches: the first of the variables that is set and not empty.
pub(super) fn root() -> Option<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("GRAFTLING_TESTBED_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("graftling/testbed")))
        .or_else(|| Some(variable("HOME")?.join(".cache/graftling/testbed")))
}

fn cached(folder: &Path, programs: &[Program]) -> Option<Vec<Found>> {
    programs
        .iter()
        .map(|&program| holds(folder, program).then(|| entry(folder, program, Origin::Cache)))
        .collect()
}

/// Files appear in the cache by rename only, so one that exists is complete.
fn holds(folder: &Path, program: Program) -> bool {
    folder.join(program.name()).is_file() && (program != Program::Kwok || folder.join(KWOK_STAGES).is_file())
}

fn entry(folder: &Path, program: Program, origin: Origin) -> Found {
    Found {
        program,
        path: folder.join(program.name()),
        origin,
    }
}

/// Waits for the lock between processes, which the kernel lets go when its holder ends in any way.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(Error::cache("open", path))?;
    let what = format!("another process builds into {}; waiting for it", path.with_file_name("").display());
    let mut progress = None;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => progress.get_or_insert_with(|| Progress::waiting(&what)).tick(),
            Err(TryLockError::Error(source)) => return Err(Error::cache("lock", path)(source)),
        }
        std::thread::sleep(LOCK_POLL);
    }
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(file)
}

/// What is in this folder, after building it if it is not there: by one process at a time, and never in the place of what is there.
pub(super) fn made_once<T>(
    folder: &Path,
    present: impl Fn(&Path) -> Option<T>,
    build: impl FnOnce(&Path) -> Result<T, Error>,
) -> Result<T, Error> {
    if let Some(present) = present(folder) {
        return Ok(present);
    }
    fs::create_dir_all(folder).map_err(Error::cache("create", folder))?;
    let _lock = lock(&folder.join("lock"))?;
    match present(folder) {
        Some(present) => Ok(present),
        None => build(folder),
    }
}

/// Removes what killed builds left. Only the holder of the lock may do so.
pub(super) fn remove_partial(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::cache("read", folder))? {
        let path = entry.map_err(Error::cache("read", folder))?.path();
        if path.extension().is_some_and(|extension| extension == build::PARTIAL) {
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(Error::cache("remove", &path))?;
        }
    }
    Ok(())
}
