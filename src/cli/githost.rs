//! `graftling githost`: whether a GitHost is set up as it has to be, and the webhook that it needs.

mod check;
mod install;

use clap::Subcommand;
use reqwest::Url;

use super::environment::{Cluster, place};
use super::printable::printable;
use crate::app::access::Scope;
use crate::app::access::setup::SetUp;
use crate::domain::name::ObjectName;

/// What to do with GitHosts.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell what a GitHost lacks: credentials, permissions, webhooks, and the way from the host to the server
    #[command(after_help = check::HELP)]
    Check(check::Arguments),
    /// Create the webhook of a repository at its Git host, or make it right
    #[command(after_help = install::HELP)]
    Install(install::Arguments),
}

/// Why nothing more was done about a GitHost.
#[derive(Debug, thiserror::Error)]
pub enum GitHostError {
    /// There is none of this name.
    #[error("there is no GitHost {name}{place}")]
    FindNone {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        place: String,
    },
    /// Something is not as it has to be; it was printed.
    #[error("{count} of {all} things are not as they have to be")]
    Incomplete {
        /// How many.
        count: usize,
        /// Of how many that were looked at.
        all: usize,
    },
}

/// Carries out a command.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Check(arguments) => check::run(arguments).await,
        Command::Install(arguments) => install::run(arguments).await,
    }
}

/// The GitHost of this name, in the one namespace that is looked in.
async fn find(cluster: &Cluster, name: &ObjectName) -> anyhow::Result<SetUp> {
    let (access, _) = cluster.connect().await?;
    let namespace = access.namespace().clone();
    let found = access.set_up(&namespace, name).await?;
    let missing = || GitHostError::FindNone {
        name: printable(name.as_str()),
        place: place(&Scope::Namespace(namespace.clone()), None),
    };
    Ok(found.ok_or_else(missing)?)
}

/// The URL under which Git hosts reach the server: nothing but a place.
fn server_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("must have no query, fragment or credentials".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}
