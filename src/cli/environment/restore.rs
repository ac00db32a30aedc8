//! `graftling env restore`.

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;

use super::Selection;
use super::show::{NONE, reference};
use crate::api::Environment;
use crate::api::environment::GraceState;
use crate::app::access::Restoration;
use crate::cli::output::print;
use crate::cli::printable::printable;

/// Which environment.
#[derive(Debug, Args)]
#[command(after_help = "\
An environment rests when its branch was deleted and the Project grants it some time
(lifecycle.graceAfterDelete). Restored, it runs for as long again as its rest was granted, and then
rests once more. To keep it, push the branch again; to be rid of it, use graftling env delete.")]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
}

/// Why there is nothing to restore.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It does not rest.
    #[error("{environment} does not rest: it is {phase}; there is nothing to restore")]
    Awake {
        /// The environment.
        environment: String,
        /// Where it stands.
        phase: String,
    },
    /// It is being torn down.
    #[error("too late: {environment} is being torn down since {since}; push branch {branch} for a fresh environment")]
    TooLate {
        /// The environment.
        environment: String,
        /// Since when.
        since: Timestamp,
        /// Its branch.
        branch: String,
    },
    /// It is gone.
    #[error("too late: {environment} is gone; push branch {branch} for a fresh environment")]
    Gone {
        /// The environment.
        environment: String,
        /// Its branch.
        branch: String,
    },
    /// The object came around the schema.
    #[error("{environment} cannot be read: {problem}")]
    Unreadable {
        /// The environment.
        environment: String,
        /// What is wrong.
        problem: String,
    },
}

/// Asks for the environment.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (access, environment) = arguments.selection.find().await?;
    let restoration = access.restore_environment(&environment).await?;
    print(&told(&environment, restoration)?)?;
    Ok(())
}

fn told(environment: &Environment, restoration: Restoration) -> Result<String, RestoreError> {
    let named = reference(environment);
    let branch = printable(&environment.spec.branch);
    let sleeps = environment
        .spec
        .grace
        .as_ref()
        .is_some_and(|grace| matches!(grace.state, GraceState::Sleeping | GraceState::Woken));
    let stays = |until: Timestamp| match sleeps {
        true => format!("its pull request is still closed, so it sleeps again after {until} unless branch {branch} is pushed"),
        false => format!("branch {branch} is still gone, so it rests again after {until} unless the branch is pushed"),
    };
    match restoration {
        Restoration::Requested(until) => Ok(format!("{named} restored: {}\n", stays(until))),
        Restoration::AlreadyRestored(until) => Ok(format!("{named} was restored already: {}\n", stays(until))),
        Restoration::NotResting(phase) => Err(RestoreError::Awake {
            environment: named,
            phase: phase.map_or_else(|| NONE.to_owned(), |phase| format!("{phase:?}")),
        }),
        Restoration::TooLate(since) => Err(RestoreError::TooLate {
            environment: named,
            since,
            branch,
        }),
        Restoration::Gone => Err(RestoreError::Gone {
            environment: named,
            branch,
        }),
        Restoration::Unreadable(problem) => Err(RestoreError::Unreadable {
            environment: environment.name_any(),
            problem: printable(&problem),
        }),
    }
}
