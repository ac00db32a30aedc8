//! `graftling runs`: what was done to an environment, run by run, and what its jobs wrote.

mod list;
mod show;
mod told;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use kube::ResourceExt;

use self::told::{Told, told};
use super::environment::Selection;
use super::output::{json, print};
use crate::app::access::records::Kept;
use crate::domain::run::RunNumber;

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the runs of an environment, the latest first
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one run: its stages, what it changed, and the last lines of its jobs
    Show(Show),
}

/// The forms of output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// As JSON
    Json,
}

/// Whose runs, and in which form.
#[derive(Debug, Args)]
pub struct List {
    /// Form of the output: table or json
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Format,
    #[command(flatten)]
    selection: Selection,
}

/// Which run, and in which form.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    selection: Selection,
    /// The number of the run, or the beginning of its commit [default: the latest run]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Form of the output: table or json
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Format,
}

/// There is no such run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// The environment has none at all.
    #[error("environment {environment} has had no run yet")]
    None {
        /// The environment.
        environment: String,
    },
    /// None of those that are known is the one that is meant.
    #[error("environment {environment} has no run {wanted:?}; the last {} are known: {}", known.len(), known.join(", "))]
    Unknown {
        /// The environment.
        environment: String,
        /// What was looked for.
        wanted: String,
        /// The numbers of those that are known.
        known: Vec<String>,
    },
}

/// Carries out a command.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(arguments) => list_runs(arguments).await,
        Command::Show(arguments) => show_run(arguments).await,
    }
}

async fn list_runs(arguments: List) -> anyhow::Result<()> {
    let (_, environment) = arguments.selection.find().await?;
    let runs = told(&environment);
    match arguments.output {
        Format::Json => print(&json(&runs)?)?,
        Format::Table if runs.is_empty() => eprintln!("Environment {} has had no run yet.", environment.name_any()),
        Format::Table => print(&list::table_of(&runs, Timestamp::now()))?,
    }
    Ok(())
}

async fn show_run(arguments: Show) -> anyhow::Result<()> {
    let (access, environment) = arguments.selection.find().await?;
    let runs = told(&environment);
    let found = find(&environment.name_any(), runs, arguments.run.as_deref())?;
    let kept = match found.run {
        Some(number) => access.journal(&environment, RunNumber(number)).await?,
        None => Kept::Nothing("nothing was rendered, so there is no record of it".to_owned()),
    };
    match arguments.output {
        Format::Json => print(&json(&show::Whole::new(found, kept))?)?,
        Format::Table => print(&show::text(&found, &kept, Timestamp::now()))?,
    }
    Ok(())
}

fn find(environment: &str, runs: Vec<Told>, wanted: Option<&str>) -> Result<Told, FindError> {
    let environment = || environment.to_owned();
    if runs.is_empty() {
        return Err(FindError::None {
            environment: environment(),
        });
    }
    let known: Vec<String> = runs.iter().filter_map(|run| run.run).map(|number| number.to_string()).collect();
    let is_meant = |run: &Told| match wanted {
        None => true,
        Some(text) => run.run.is_some_and(|number| number.to_string() == text) || text.len() >= 7 && run.revision.starts_with(text),
    };
    runs.into_iter().find(is_meant).ok_or_else(|| FindError::Unknown {
        environment: environment(),
        wanted: wanted.unwrap_or_default().to_owned(),
        known,
    })
}

#[cfg(test)]
mod tests;
