//! `graftling values`: each value that a bundle is rendered with, and where it came from.

mod offline;
mod show;

use std::fmt;

use clap::Args;

use self::offline::Offline;
use self::show::{Form, Shown};
use super::environment::OptionalSelection;
use super::output::print;
use super::printable::printable;
use super::sources::SourceArguments;
use crate::app::plan;
use crate::domain::bundle::Problem;

/// What holds for the whole command.
pub const HELP: &str = "\
With BRANCH, the values of an environment in the cluster; with --bundle, those of a bundle on disk,
and what a Project's manifest and a branch's .graftling.yaml lay over them.
A value under a name that looks secret is shown as ***.
A value that the bundle does not accept is told after the table, and the exit code is 1.";

/// Which environment, or which bundle and values.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Show values that look secret
    #[arg(long)]
    show_secrets: bool,
    /// Form of the output: table, json or yaml
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Form,
    #[command(flatten)]
    sources: SourceArguments,
    #[command(flatten)]
    selection: OptionalSelection,
    #[command(flatten)]
    offline: Offline,
}

/// The bundle does not accept the values.
#[derive(Debug, thiserror::Error)]
#[error("the bundle does not accept these values:{}", Lines(_0))]
pub struct ValuesRefused(Vec<Problem>);

/// One indented line for each.
struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(formatter, "\n  {line}"))
    }
}

/// Prints the values, then what is wrong with them.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (layered, problems) = match arguments.selection.given() {
        Some(selection) => {
            let (access, environment) = selection.find().await?;
            plan::values(&access, &environment, &arguments.sources.into()).await?
        }
        None => offline::values(&arguments.offline)?,
    };
    let shown = Shown {
        layered: &layered,
        show_secrets: arguments.show_secrets,
    };
    print(&shown.text(arguments.output)?)?;
    for clash in layered.clashes() {
        eprintln!("warning: {}", printable(&clash.to_string()));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(ValuesRefused(problems).into())
    }
}
