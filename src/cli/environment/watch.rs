//! `graftling env watch`: the run of an environment as it goes on.

mod frame;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use jiff::Timestamp;

use self::frame::{frame, lines};
use super::Selection;
use super::delete::is_passing;
use super::follow::FollowError;
use super::show::reference;
use crate::api::Environment;
use crate::api::environment::Phase;
use crate::app::access::Access;
use crate::cli::printable::printable;

/// Which environment, and for how long.
#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal the stages are drawn as a tree that is kept up to date; elsewhere each change is a line.
It ends with the run: with exit code 0 once the environment is ready, and 1 if it failed.")]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Go on when the run has ended, until interrupted or the environment is gone
    #[arg(short, long)]
    follow: bool,
}

/// The run did not end well.
#[derive(Debug, thiserror::Error)]
#[error("{environment} failed: {message}")]
pub struct WatchError {
    environment: String,
    message: String,
}

/// How often a drawing is renewed although nothing happened: the times in it go on.
const TICK: Duration = Duration::from_secs(1);

/// Watches until the run is over.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (access, environment) = arguments.selection.find().await?;
    let mut screen = match std::io::stdout().is_terminal() {
        true => Screen::Terminal { drawn: 0 },
        false => Screen::Lines { told: Vec::new() },
    };
    screen.show(&environment)?;
    watch(&access, environment, &mut screen, arguments.follow).await
}

async fn watch(access: &Access, environment: Environment, screen: &mut Screen, follow: bool) -> anyhow::Result<()> {
    let mut sightings = std::pin::pin!(access.follow(&environment));
    let mut ticks = tokio::time::interval(TICK);
    let mut seen = environment;
    loop {
        if let Some(end) = ended(&seen).filter(|_| !follow) {
            return end.map_err(Into::into);
        }
        tokio::select! {
            sighting = sightings.next() => match sighting {
                Some(Ok(Some(next))) => seen = next,
                Some(Ok(None)) => return Err(FollowError::Gone { environment: reference(&seen) }.into()),
                Some(Err(error)) if is_passing(&error) => eprintln!("warning: {error}; trying again"),
                Some(Err(error)) => return Err(error.into()),
                None => return Err(FollowError::Follow { environment: reference(&seen) }.into()),
            },
            _ = ticks.tick() => {}
        }
        screen.show(&seen)?;
    }
}

/// How the run under way ended, once it has: the status speaks of the wanted revision.
fn ended(environment: &Environment) -> Option<Result<(), WatchError>> {
    let status = environment.status.as_ref()?;
    let wanted = status.revision.as_ref()?.wanted.as_ref()?;
    if *wanted != environment.spec.revision || environment.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let is_over = status.run.as_ref().is_none_or(|run| run.ended.is_some());
    match status.phase {
        Some(Phase::Ready | Phase::Resting) => Some(Ok(())),
        Some(Phase::Failed) if is_over => Some(Err(WatchError {
            environment: reference(environment),
            message: printable(&status.message.clone().unwrap_or_default()),
        })),
        _ => None,
    }
}

/// Where the run is shown.
enum Screen {
    /// Drawn anew over what was drawn before.
    Terminal { drawn: usize },
    /// A line for each change.
    Lines { told: Vec<String> },
}

impl Screen {
    fn show(&mut self, environment: &Environment) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match self {
            Self::Terminal { drawn } => {
                let text = frame(environment, Timestamp::now());
                if *drawn > 0 {
                    // Up to where the last drawing began, and nothing left of it.
                    write!(out, "\u{1b}[{drawn}A\u{1b}[J")?;
                }
                out.write_all(text.as_bytes())?;
                *drawn = text.lines().count();
            }
            Self::Lines { told } => {
                let now = lines(environment);
                for line in now.iter().filter(|line| !told.contains(line)) {
                    writeln!(out, "{line}")?;
                }
                *told = now;
            }
        }
        out.flush()
    }
}
