//! Puts the hook and its secret into a repository.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use secrecy::{ExposeSecret, SecretString};

use super::HookError;
use crate::domain::git::RepositoryName;

/// The line by which a hook is known to be ours.
const MARKER: &str = "# Installed by graftling; installing again replaces this file.";
const SECRET: &str = "graftling-secret";

/// What was written where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The hook, mode 0755.
    pub hook: PathBuf,
    /// The secret, mode 0600: only the owner of the repository, as whom the hook runs, can read it.
    pub secret_file: PathBuf,
}

/// Installs the hook in the bare or non-bare repository at `path`. Installing again replaces url, name and secret.
///
/// The hook runs `<program> hook send --url <url> --repository <name> --secret-file <file>` with what Git tells it on standard input.
///
/// # Errors
/// [`HookError::ReplaceHook`] when there is a hook that is not ours, and [`HookError::ShareHooks`] when the hooks are shared. Nothing is
/// replaced then; the secret is stored in the first case, so that the line to add by hand works.
pub fn install(
    path: &Path,
    url: &str,
    repository: &RepositoryName,
    secret: &SecretString,
    program: &Path,
) -> Result<Installation, HookError> {
    if secret.expose_secret().trim().is_empty() {
        return Err(HookError::EmptySecret);
    }
    let git_directory = git_directory(path)?;
    let hooks = hooks_directory(&git_directory)?;
    let installation = Installation {
        hook: hooks.join("post-receive"),
        secret_file: hooks.join(SECRET),
    };
    let line = command_line(program, url, repository, &installation.secret_file);
    if !hooks.starts_with(&git_directory) {
        return Err(HookError::ShareHooks {
            path: path.to_owned(),
            hooks,
            line,
        });
    }
    fs::create_dir_all(&hooks).map_err(|source| HookError::WriteFile { path: hooks, source })?;
    write(&installation.secret_file, 0o600, secret.expose_secret().trim().as_bytes())?;
    if !is_ours(&installation.hook) {
        return Err(HookError::ReplaceHook {
            path: installation.hook,
            line,
        });
    }
    // A hook's exit status changes nothing after the push, but `git push` shows it as an error.
    write(
        &installation.hook,
        0o755,
        format!("#!/bin/sh\n{MARKER}\n{line} || true\n").as_bytes(),
    )?;
    Ok(installation)
}

/// The directory with HEAD and objects: `path` itself or its `.git`, absolute and without symbolic links.
fn git_directory(path: &Path) -> Result<PathBuf, HookError> {
    let is_repository = |path: &PathBuf| path.join("HEAD").is_file() && path.join("objects").is_dir();
    [path.join(".git"), path.to_owned()]
        .into_iter()
        .find(is_repository)
        .and_then(|found| found.canonicalize().ok())
        .ok_or_else(|| HookError::FindRepository { path: path.to_owned() })
}

/// Where Git looks for hooks, which `core.hooksPath` can move.
fn hooks_directory(git_directory: &Path) -> Result<PathBuf, HookError> {
    let failed = |complaint: &[u8], source| HookError::FindHooks {
        path: git_directory.to_owned(),
        complaint: String::from_utf8_lossy(complaint).trim().to_owned(),
        source,
    };
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(git_directory)
        .args(["rev-parse", "--path-format=absolute", "--git-path", "hooks"])
        .output()
        .map_err(|source| failed(b"is git installed?", Some(source)))?;
    let answer = output.stdout.strip_suffix(b"\n").filter(|_| output.status.success());
    let hooks = answer.map(|path| PathBuf::from(OsStr::from_bytes(path)));
    let hooks = hooks.ok_or_else(|| failed(&output.stderr, None))?;
    // A hooks directory that is a symbolic link is shared as well. It may also not exist yet.
    Ok(hooks.canonicalize().unwrap_or(hooks))
}

/// Whether the hook may be written: there is none, or it bears our marker.
fn is_ours(hook: &Path) -> bool {
    match fs::read(hook) {
        Ok(content) => String::from_utf8_lossy(&content).lines().any(|line| line == MARKER),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Writes a file whole or not at all; it never has another mode than the one asked for.
fn write(path: &Path, mode: u32, content: &[u8]) -> Result<(), HookError> {
    let temporary = path.with_extension("graftling-new");
    let attempt = || {
        // What a broken-off attempt left behind may have another mode.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    attempt().map_err(|source| HookError::WriteFile {
        path: path.to_owned(),
        source,
    })
}

fn command_line(program: &Path, url: &str, repository: &RepositoryName, secret_file: &Path) -> String {
    format!(
        "{} hook send --url {} --repository {} --secret-file {}",
        quote(&program.to_string_lossy()),
        quote(url),
        quote(repository.as_str()),
        quote(&secret_file.to_string_lossy())
    )
}

/// One word for a POSIX shell, whatever it holds.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
