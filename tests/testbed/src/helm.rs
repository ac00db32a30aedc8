//! Runs a real helm that sees nothing of the user's configuration.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Output};

use crate::binaries;

/// Why helm could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no helm and it could not be built.
    #[error("helm is not available")]
    Binary(#[source] binaries::Error),
    /// No temporary folder for helm's home.
    #[error("cannot create a temporary folder")]
    CreateFolder(#[source] io::Error),
    /// It could not be started.
    #[error("cannot run helm")]
    Run(#[source] io::Error),
    /// It refused.
    #[error("`helm {command}` failed; it said:\n{output}")]
    Helm {
        /// The arguments.
        command: String,
        /// What it printed.
        output: String,
    },
}

/// Runs helm with these arguments and an empty home, and returns what it printed on standard output.
///
/// To reach a cluster pass `--kubeconfig`. Blocks; the very first call on a machine builds helm, which takes minutes.
pub fn helm(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String, Error> {
    let program = binaries::helm().map_err(Error::Binary)?;
    let home = tempfile::Builder::new()
        .prefix("graftling-helm-")
        .tempdir()
        .map_err(Error::CreateFolder)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", home.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let output = command.output().map_err(Error::Run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    Err(Error::Helm {
        command: words.join(" "),
        output: printed(&output),
    })
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
