//! `graftling env pause` and `resume`.

use clap::Args;

use super::Selection;
use super::follow::{Patience, until};
use super::request::{Waiting, done};
use super::show::{phase, reference};
use crate::api::Environment;
use crate::cli::output::print;
use crate::cli::printable::printable;

/// Which environment.
#[derive(Debug, Args)]
#[command(after_help = "\
While an environment is paused, nothing is applied: what somebody changes by hand stays, and
graftling env describe shows it. Pushes wait. A removal of the branch still removes everything.")]
pub struct Pause {
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    selection: Selection,
}

/// Which environment.
#[derive(Debug, Args)]
#[command(after_help = "\
What was changed by hand meanwhile is put right, and the newest commit is deployed.")]
pub struct Resume {
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    selection: Selection,
}

/// Pauses it.
pub async fn pause(arguments: Pause) -> anyhow::Result<()> {
    set(&arguments.selection, &arguments.waiting, true).await
}

/// Lets it go on.
pub async fn resume(arguments: Resume) -> anyhow::Result<()> {
    set(&arguments.selection, &arguments.waiting, false).await
}

async fn set(selection: &Selection, waiting: &Waiting, suspend: bool) -> anyhow::Result<()> {
    let (access, environment) = selection.find().await?;
    let named = reference(&environment);
    let (done_already, asked) = match suspend {
        true => ("is paused already", "paused"),
        false => ("is not paused", "resumed"),
    };
    if environment.spec.suspend == suspend {
        print(&format!("{named} {done_already}\n"))?;
        return Ok(());
    }
    done(&environment, access.suspend(&environment, suspend).await?)?;
    if waiting.no_wait {
        print(&format!("{named} {asked}\n"))?;
        return Ok(());
    }
    let patience = Patience {
        limit: waiting.timeout,
        what: "the server has not taken it in",
        goes_on: "it is taken in once a server runs",
    };
    let state = until(&access, &environment, patience, |seen| {
        is_taken_in(seen, suspend).then(|| state(seen))
    });
    print(&format!("{named} {asked}: {}\n", printable(&state.await?)))?;
    Ok(())
}

/// Whether the status speaks of the spec with the change in it.
fn is_taken_in(seen: &Environment, suspend: bool) -> bool {
    let observed = seen.status.as_ref().and_then(|status| status.observed_generation);
    seen.spec.suspend == suspend && observed.is_some_and(|observed| Some(observed) >= seen.metadata.generation)
}

fn state(environment: &Environment) -> String {
    let message = environment.status.as_ref().and_then(|status| status.message.clone());
    match message {
        Some(message) => format!("{}: {message}", phase(environment)),
        None => phase(environment),
    }
}
