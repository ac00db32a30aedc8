//! `graftling hook`: the post-receive hook of a plain Git repository.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use secrecy::SecretString;

use super::output::print;
use super::printable::printable;
use crate::app::hook::{self, HookSettings};
use crate::domain::git::RepositoryName;

/// What to do about the hook.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install the post-receive hook in a repository
    Install(Install),
    /// Tell the server about a push; this is what the hook runs
    #[command(after_help = "\
Reads lines of `<before> <after> <ref>` from standard input, as Git gives them to a post-receive
hook. Whatever goes wrong is a warning and the exit code is 0: a push must not suffer, and the next
sweep finds the branches.")]
    Send(Send),
}

/// Where to install the hook, and what it needs.
#[derive(Debug, Args)]
pub struct Install {
    /// A bare repository, or the folder that holds .git
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    endpoint: Endpoint,
    /// The file with the GitHost's webhook secret; it is copied to the hook, readable by its owner only
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// The repository as the Project names it [default: the name of the folder]
    #[arg(long, value_name = "NAME")]
    repository: Option<RepositoryName>,
}

/// What to send, and where.
#[derive(Debug, Args)]
pub struct Send {
    #[command(flatten)]
    endpoint: Endpoint,
    /// The file with the GitHost's webhook secret
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// The repository as the Project names it
    #[arg(long, value_name = "NAME")]
    repository: RepositoryName,
}

/// The server's side of the hook.
#[derive(Debug, Args)]
struct Endpoint {
    /// The GitHost's webhook endpoint: `https://HOST/hooks/NAMESPACE/GITHOST`
    #[arg(long)]
    url: String,
}

/// Carries out a command.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Install(arguments) => install(&arguments),
        Command::Send(arguments) => {
            send(arguments).await;
            Ok(())
        }
    }
}

/// Whether these are the arguments that a hook calls us with: then even a mistake in them must not fail a push.
pub fn is_send(arguments: impl IntoIterator<Item = OsString>) -> bool {
    arguments.into_iter().skip(1).take(2).eq(["hook", "send"].map(OsString::from))
}

fn install(arguments: &Install) -> anyhow::Result<()> {
    let repository = match &arguments.repository {
        Some(name) => name.clone(),
        None => folder_name(&arguments.folder)?,
    };
    let secret = fs::read_to_string(&arguments.secret_file)
        .map(SecretString::from)
        .with_context(|| format!("could not read the webhook secret from {}", arguments.secret_file.display()))?;
    let program = std::env::current_exe().context("could not find out where this program is, which the hook has to call")?;
    let installed = hook::install(&arguments.folder, &arguments.endpoint.url, &repository, &secret, &program)?;
    print(&format!(
        "installed {} for repository {}\n",
        printable(&installed.hook.to_string_lossy()),
        printable(repository.as_str())
    ))?;
    Ok(())
}

fn folder_name(folder: &Path) -> anyhow::Result<RepositoryName> {
    let found = folder
        .canonicalize()
        .with_context(|| format!("could not find the repository {}", folder.display()))?;
    let name = found.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.parse()
        .context("the folder's name cannot be the repository's: give --repository")
}

async fn send(arguments: Send) {
    let settings = HookSettings {
        url: arguments.endpoint.url,
        repository: arguments.repository,
        secret_file: arguments.secret_file,
    };
    hook::run(std::io::stdin().lock(), &settings, &mut std::io::stderr()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_of_a_hook_is_recognised_by_its_first_two_words() {
        let check = |arguments: &[&str]| is_send(arguments.iter().map(OsString::from));
        assert!(check(&["graftling", "hook", "send", "--unknown"]));
        assert!(!check(&["graftling", "hook", "install"]));
        assert!(!check(&["graftling", "hook"]));
        assert!(!check(&["hook", "send"]));
    }
}
