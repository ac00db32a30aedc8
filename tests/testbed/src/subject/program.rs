//! Where the program under test is.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::root;

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody knows where this program itself is.
    #[error("cannot find out where this program is")]
    FindSelf(#[source] io::Error),
    /// Cargo could not be started.
    #[error("cannot run cargo")]
    RunCargo(#[source] io::Error),
    /// It does not compile.
    #[error("`cargo build --bin graftling` failed")]
    Build,
}

/// Builds graftling as this program was built, unless it is up to date, and answers with its path: beside this program.
///
/// Blocks, for minutes if much has changed. For binaries; a test of the package knows the path by `CARGO_BIN_EXE_graftling`.
///
/// # Errors
/// [`Error`] if cargo cannot be run or does not succeed.
pub fn graftling() -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(Error::FindSelf)?;
    let folder = own.parent().unwrap_or(Path::new("."));
    // Tests of this package lie one folder further down.
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root())
        .args(["build", "--quiet", "--package", "graftling", "--bin", "graftling"]);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    if let Some(target) = folder.parent() {
        command.arg("--target-dir").arg(target);
    }
    match command.status().map_err(Error::RunCargo)?.success() {
        true => Ok(folder.join("graftling")),
        false => Err(Error::Build),
    }
}
