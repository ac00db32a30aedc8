//! `graftling env delete`.

use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use kube::ResourceExt;

use super::Selection;
use super::confirm::confirm;
use super::dry_run::{self, Form};
use super::show::{phase, reference};
use crate::api::Environment;
use crate::app::access::{self, Access, Deletion};
use crate::cli::output::print;
use crate::cli::printable::{printable, printable_lines};
use crate::config::parse_interval;

/// Which environment, and how patiently.
#[derive(Debug, Args)]
#[command(after_help = "\
A branch that still exists gets a fresh environment at the next look at its repository, unless the
Project excludes it. To be rid of the environment for good, delete or merge the branch.")]
pub struct Arguments {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Only list what would be deleted, what would stay and what blocks; nothing is changed
    #[arg(long, conflicts_with_all = ["yes", "wait"])]
    dry_run: bool,
    /// Form of the list: text, json or yaml
    #[arg(
        short,
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "FORM",
        requires = "dry_run"
    )]
    output: Form,
    /// Wait until everything is gone, then print the receipt
    #[arg(long)]
    wait: bool,
    /// How long to wait; the teardown goes on without us
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_interval, requires = "wait")]
    timeout: Duration,
    #[command(flatten)]
    selection: Selection,
}

/// Why the wait ended without the end of the environment.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The time is up.
    #[error("{environment} is not gone after {} seconds: it is {state}; the teardown goes on", after.as_secs_f64())]
    Expire {
        /// The environment.
        environment: String,
        /// How long it was waited for.
        after: Duration,
        /// What was last seen of it.
        state: String,
    },
    /// The stream of its states has ended.
    #[error("could not follow {environment}: the cluster ended the exchange")]
    Follow {
        /// The environment.
        environment: String,
    },
}

/// Asks for the deletion, and with `--wait` stays until it is done.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (access, environment) = arguments.selection.find().await?;
    if arguments.dry_run {
        return dry_run::run(&access, &environment, arguments.output).await;
    }
    confirm(&question(&environment), arguments.yes)?;
    let deletion = access.delete_environment(&environment).await?;
    let done = match deletion {
        Deletion::Requested => format!("{} deletion requested", reference(&environment)),
        Deletion::AlreadyGone => format!("{} was already gone", reference(&environment)),
    };
    if !arguments.wait {
        print(&format!("{done}\n"))?;
        return Ok(());
    }
    // Standard output is for the receipt alone.
    eprintln!("{done}");
    if deletion == Deletion::Requested {
        wait(&access, &environment, arguments.timeout).await?;
        eprintln!("{} is gone", reference(&environment));
    }
    print_receipt(&access, &environment).await
}

fn question(environment: &Environment) -> String {
    format!(
        "Delete the environment {} of branch {} in namespace {}, and everything in it?",
        environment.name_any(),
        printable(&environment.spec.branch),
        environment.namespace().unwrap_or_default(),
    )
}

async fn wait(access: &Access, environment: &Environment, limit: Duration) -> anyhow::Result<()> {
    let mut state = state(environment);
    match tokio::time::timeout(limit, until_gone(access, environment, &mut state)).await {
        Ok(end) => end,
        Err(_) => Err(WaitError::Expire {
            environment: reference(environment),
            after: limit,
            state,
        }
        .into()),
    }
}

/// Prints each change of `state`. A cluster that cannot be reached for a while is told and waited for.
async fn until_gone(access: &Access, environment: &Environment, state: &mut String) -> anyhow::Result<()> {
    let mut sightings = std::pin::pin!(access.follow(environment));
    while let Some(sighting) = sightings.next().await {
        let seen = match sighting {
            Ok(None) => return Ok(()),
            Ok(Some(seen)) => self::state(&seen),
            Err(error) if is_passing(&error) => {
                eprintln!("warning: {error}; trying again");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if seen != *state {
            eprintln!("{seen}");
            *state = seen;
        }
    }
    Err(WaitError::Follow {
        environment: reference(environment),
    }
    .into())
}

pub(super) fn is_passing(error: &access::Error) -> bool {
    use access::Error;
    match error {
        Error::Reach { .. } | Error::TimeOut { .. } => true,
        // A watch that was kept for too long ends with 410, an overloaded server answers 429 or 5xx.
        Error::Answer { code, .. } => matches!(code, 410 | 429 | 500..),
        _ => false,
    }
}

/// Phase and message in one line.
fn state(environment: &Environment) -> String {
    let message = environment.status.as_ref().and_then(|status| status.message.as_deref());
    match message {
        Some(message) => format!("{}: {}", phase(environment), printable(message)),
        None => phase(environment),
    }
}

async fn print_receipt(access: &Access, environment: &Environment) -> anyhow::Result<()> {
    let Some(receipt) = access.receipt(environment).await? else {
        eprintln!("warning: there is no receipt for {}", reference(environment));
        return Ok(());
    };
    let several = receipt.len() > 1;
    let mut text = String::new();
    for (key, content) in &receipt {
        if several {
            text.push_str(&format!("# {}\n", printable(key)));
        }
        text.push_str(&printable_lines(content));
        if !content.ends_with('\n') {
            text.push('\n');
        }
    }
    print(&text)?;
    Ok(())
}
