//! Repositories in a directory of this machine, read through Git's own `git upload-pack`.

use std::ffi::OsStr;
use std::io::{self, PipeReader, PipeWriter};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gix_transport::Protocol;
use gix_transport::client::blocking_io::Transport;
use gix_transport::client::git::ConnectMode;
use gix_transport::client::git::blocking_io::Connection;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::refs::Cause;
use crate::domain::git::RepositoryName;
use crate::githost::Error;

/// What would point Git at another repository or configuration than the one that is asked for (`git rev-parse --local-env-vars`).
const LOCAL_VARIABLES: [&str; 16] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
];

/// Asks the repository at `path`. When `timeout` is over, the process is killed.
pub(super) async fn ask<T: Send + 'static>(
    operation: &'static str,
    name: &RepositoryName,
    path: PathBuf,
    timeout: Duration,
    question: impl FnOnce(&mut dyn Transport) -> Result<T, Cause> + Send + 'static,
) -> Result<T, Error> {
    let (mut child, reader, writer) = upload_pack(&path).map_err(|error| not_started(operation, error))?;
    let place = path.clone();
    let exchange = tokio::task::spawn_blocking(move || question(&mut connection(reader, writer, &place)));
    let cause = match tokio::time::timeout(timeout, exchange).await {
        Ok(Ok(Ok(answer))) => return Ok(answer),
        Ok(Ok(Err(cause))) => cause,
        Ok(Err(error)) => error.into(),
        // Dropping the child kills it, and that ends the blocked exchange too.
        Err(_) => return Err(unreachable(operation, io::Error::from(io::ErrorKind::TimedOut).into())),
    };
    Err(explain(operation, name, &path, &complaint(&mut child).await, cause))
}

/// Runs `git upload-pack` on `path`, which is absolute and comes after `--`, so that it can never be taken for an option.
///
/// The pipes block, as the Git protocol's reader wants them; the process dies with the returned value.
fn upload_pack(path: &Path) -> io::Result<(Child, PipeReader, PipeWriter)> {
    let (reader, stdout) = io::pipe()?;
    let (stdin, writer) = io::pipe()?;
    let mut command = Command::new("git");
    // Large files are left out of what is fetched, if nobody can read them anyway.
    command.args(["-c", "uploadpack.allowFilter=true"]);
    command.args([OsStr::new("upload-pack"), OsStr::new("--"), path.as_os_str()]);
    for variable in LOCAL_VARIABLES {
        command.env_remove(variable);
    }
    let child = command
        .env("GIT_PROTOCOL", "version=2")
        .env("LC_ALL", "C")
        .stdin(stdin)
        .stdout(stdout)
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, reader, writer))
}

fn connection(reader: PipeReader, writer: PipeWriter, path: &Path) -> Connection<PipeReader, PipeWriter> {
    let place = path.as_os_str().as_encoded_bytes();
    let host = None::<(String, Option<u16>)>;
    Connection::new(reader, writer, Protocol::V2, place, host, ConnectMode::Process, false)
}

/// What Git wrote to its standard error, at most 2 KiB of it.
async fn complaint(child: &mut Child) -> String {
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = stderr.take(2048);
        // A grandchild could hold the pipe open for ever.
        let _ = tokio::time::timeout(Duration::from_secs(1), stderr.read_to_end(&mut text)).await;
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn explain(operation: &'static str, name: &RepositoryName, path: &Path, complaint: &str, cause: Cause) -> Error {
    if complaint.contains("dubious ownership") {
        return Error::Misconfigured {
            problem: format!(
                "Git refuses the repository {name}, which belongs to another user: run `git config --system --add safe.directory {}` where \
                 graftling runs",
                path.display()
            ),
        };
    }
    if complaint.contains("does not appear to be a git repository") || complaint.contains("not a git repository") {
        return Error::RepositoryNotFound {
            operation,
            repository: name.clone(),
        };
    }
    unreachable(operation, cause)
}

fn not_started(operation: &'static str, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::Misconfigured {
            problem: "the program git, which reads repositories in a directory, is not installed where graftling runs".to_owned(),
        };
    }
    unreachable(operation, error.into())
}

fn unreachable(operation: &'static str, source: Cause) -> Error {
    Error::Unreachable { operation, source }
}
