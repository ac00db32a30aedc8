//! `graftling project`: which Projects there are, how they stand, and the release of what a brake holds.

mod release;
mod show;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::environment::{Cluster, Format, place};
use super::output::print;
use super::printable::printable;
use crate::api::Project;
use crate::app::access::{Access, Scope};
use crate::domain::name::ProjectName;

/// What to do with Projects.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List Projects
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one Project
    Get(Get),
    /// Explain one Project: its repository, bundle, environments, branches without one, and what its brake holds
    Describe(Selection),
    /// Let the environments go that the brake holds, exactly those that are shown
    #[command(after_help = release::HELP)]
    ReleaseBrake(release::Arguments),
}

/// Which Projects, and in which form.
#[derive(Debug, Args)]
pub struct List {
    /// Form of the output: table, wide, json, yaml or name
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Format,
    #[command(flatten)]
    cluster: Cluster,
}

/// Which Project, and in which form.
#[derive(Debug, Args)]
pub struct Get {
    /// Form of the output: table, wide, json, yaml or name
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Format,
    #[command(flatten)]
    selection: Selection,
}

/// One Project.
#[derive(Debug, Args)]
pub struct Selection {
    /// The Project
    #[arg(value_name = "PROJECT")]
    name: ProjectName,
    #[command(flatten)]
    cluster: Cluster,
}

/// Why nothing was done about a Project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is none of this name, or several.
    #[error("there is no single Project {name}{place}; `graftling project list -A` tells them all")]
    FindNone {
        /// What was asked for.
        name: String,
        /// Where it was looked for: ` in namespace …`, or nothing.
        place: String,
    },
    /// The brake holds other environments than those that were to be released.
    #[error("nothing was released: {asked} is not what the brake holds; it holds now:\n{held}")]
    Supersede {
        /// The digest that was to be released.
        asked: String,
        /// What is held.
        held: String,
    },
}

/// Carries out a command.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(arguments) => list(arguments).await,
        Command::Get(arguments) => {
            let (_, project) = arguments.selection.find().await?;
            let everywhere = arguments.selection.cluster.all_namespaces;
            print(&show::one(&project, arguments.output, everywhere, Timestamp::now())?)?;
            Ok(())
        }
        Command::Describe(selection) => {
            let (_, project) = selection.find().await?;
            print(&show::describe(&project, Timestamp::now()))?;
            Ok(())
        }
        Command::ReleaseBrake(arguments) => release::run(arguments).await,
    }
}

async fn list(arguments: List) -> anyhow::Result<()> {
    let (access, scope) = arguments.cluster.connect().await?;
    let projects = access.projects(&scope).await?;
    if projects.is_empty() && arguments.output.is_for_people() {
        eprintln!("No Projects found{}.", place(&scope, None));
        return Ok(());
    }
    let everywhere = scope == Scope::AllNamespaces;
    print(&show::list(&projects, arguments.output, everywhere, Timestamp::now())?)?;
    Ok(())
}

impl Selection {
    /// The Project that is meant.
    async fn find(&self) -> anyhow::Result<(Access, Project)> {
        let (access, scope) = self.cluster.connect().await?;
        let found = match &scope {
            Scope::Namespace(namespace) => access.project(namespace, &self.name).await?,
            Scope::AllNamespaces => {
                let all = access.projects(&scope).await?;
                let mut called = all
                    .into_iter()
                    .filter(|project| project.metadata.name.as_deref() == Some(self.name.as_str()));
                // Of several, none is meant.
                called.next().filter(|_| called.next().is_none())
            }
        };
        let project = found.ok_or_else(|| ProjectError::FindNone {
            name: printable(self.name.as_str()),
            place: place(&scope, None),
        })?;
        Ok((access, project))
    }
}
