//! `graftling githost install`.

use clap::Args;

use super::{find, server_url};
use crate::app::access::setup::Outcome;
use crate::cli::environment::Cluster;
use crate::cli::output::print;
use crate::cli::printable::printable;
use crate::domain::git::RepositoryName;
use crate::domain::name::ObjectName;
use crate::githost::setup::Installed;

/// Shown below the options.
pub const HELP: &str = "\
The webhook delivers to URL/hooks/NAMESPACE/NAME and is signed with the GitHost's webhook secret,
which is never printed. Installing again leaves one webhook. At a plain Git host there is nothing
to install from afar: the command that installs the hook beside the repository is printed.";

/// Where to install the webhook, and where it delivers.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The GitHost
    #[arg(value_name = "NAME")]
    name: ObjectName,
    /// The repository
    #[arg(long, value_name = "REPOSITORY")]
    repository: RepositoryName,
    /// The URL under which Git hosts reach the server
    #[arg(long, value_name = "URL", value_parser = server_url)]
    server_url: String,
    #[command(flatten)]
    cluster: Cluster,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let set_up = find(&arguments.cluster, &arguments.name).await?;
    let repository = printable(arguments.repository.as_str());
    let text = match set_up.install(&arguments.repository, &arguments.server_url).await? {
        Outcome::Done(Installed::Created) => format!("created the webhook of {repository}\n"),
        Outcome::Done(Installed::Updated) => format!("updated the webhook of {repository}\n"),
        Outcome::ByHand(command) => format!("nothing can be installed from here; {}\n", printable(&command)),
    };
    print(&text)?;
    Ok(())
}
