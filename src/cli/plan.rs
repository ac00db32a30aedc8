//! `graftling plan`: what would be done to an environment now, as text. Nothing is written.

use clap::Args;

use super::environment::Selection;
use super::helm;
use super::output::print;
use super::sources::SourceArguments;
use crate::app::plan::{self, Settings};
use crate::domain::name::ObjectName;

/// Which environment, and what is to be done to it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Plan the removal of the environment, step by step to its end
    #[arg(long)]
    teardown: bool,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    selection: Selection,
}

/// What the server knows besides the cluster.
#[derive(Debug, Args)]
pub struct Server {
    #[command(flatten)]
    sources: SourceArguments,
    /// ClusterRole that a project's deployer is bound to inside each environment
    #[arg(
        long,
        value_name = "NAME",
        default_value = "graftling-deployer",
        env = "GRAFTLING_DEPLOYER_CLUSTER_ROLE",
        hide_env_values = true
    )]
    deployer_cluster_role: ObjectName,
    /// Port that the server appends to URLs of environments
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), env = "GRAFTLING_URL_PORT", hide_env_values = true)]
    url_port: Option<u16>,
    #[command(flatten)]
    helm: helm::Helm,
}

impl From<Server> for Settings {
    fn from(server: Server) -> Self {
        Self {
            sources: server.sources.into(),
            helm: server.helm.into(),
            deployer_role: server.deployer_cluster_role,
            url_port: server.url_port,
        }
    }
}

/// Prints the plan.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (access, environment) = arguments.selection.find().await?;
    let text = if arguments.teardown || environment.metadata.deletion_timestamp.is_some() {
        let steps = plan::teardown(&access, &environment).await?;
        steps.iter().map(ToString::to_string).collect()
    } else {
        plan::deployment(&access, &environment, &arguments.server.into()).await?.to_string()
    };
    print(&text)?;
    Ok(())
}
