//! `graftling env retry`, `skip`, `rerun`, `rollback` and `sync`: what people ask of an environment's runs.
//!
//! Each writes one request into the Environment and waits for the server's answer. Whether it can be done is for the server alone to say.

use std::time::Duration;

use clap::Args;

use super::Selection;
use super::follow::{Patience, until};
use super::show::reference;
use crate::api::Environment;
use crate::api::environment::requests::RequestAction;
use crate::app::access::{Access, Asked, Written};
use crate::cli::output::print;
use crate::cli::printable::printable;
use crate::config::parse_interval;
use crate::domain::run::RunState;
use crate::domain::run::request::ObjectName;

/// How patiently to wait for what comes of it.
#[derive(Debug, Args)]
pub struct Waiting {
    /// Return once the cluster has taken it, without the server's answer
    #[arg(long)]
    pub(super) no_wait: bool,
    /// How long to wait for the server's answer
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_interval, conflicts_with = "no_wait")]
    pub(super) timeout: Duration,
}

/// The same, and how patiently to wait for the run.
#[derive(Debug, Args)]
pub struct WaitingForRun {
    /// Wait for the end of the run as well; fail if it does
    #[arg(long, conflicts_with = "no_wait")]
    pub(super) wait: bool,
    /// How long to wait for the end of the run, which goes on without us
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = parse_interval, requires = "wait")]
    pub(super) run_timeout: Duration,
    #[command(flatten)]
    pub(super) answer: Waiting,
}

/// Which environment, and from where on.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --from, what failed in the last run is tried again, with what was left out because of it.
A run under way retries by itself, as its pipeline says.")]
pub struct Retry {
    /// Begin from this stage, and run everything again that needs it
    #[arg(long, value_name = "STAGE")]
    from: Option<String>,
    #[command(flatten)]
    waiting: WaitingForRun,
    #[command(flatten)]
    selection: Selection,
}

/// Which environment, and which stage.
#[derive(Debug, Args)]
#[command(after_help = "\
What needs the stage goes on as if it had succeeded. A stage whose containers run is never killed,
and one that waits for a person's word cannot be skipped: graftling env approve, or reject.")]
pub struct Skip {
    /// The stage
    #[arg(index = 2, value_name = "STAGE")]
    stage: String,
    #[command(flatten)]
    waiting: WaitingForRun,
    #[command(flatten)]
    selection: Selection,
}

/// Which environment, and which stage.
#[derive(Debug, Args)]
#[command(after_help = "\
The stage runs once more in the last run, also one that runs only once in the life of an environment.
What needs it does not: for that, graftling env retry --from STAGE.")]
pub struct Rerun {
    /// The stage
    #[arg(long, value_name = "STAGE")]
    stage: String,
    #[command(flatten)]
    waiting: WaitingForRun,
    #[command(flatten)]
    selection: Selection,
}

/// Which environment, and where to.
#[derive(Debug, Args)]
#[command(after_help = "\
A new run puts back what an earlier run applied, from its record: neither the repository nor the
bundle is needed. The next push of the branch goes forward again.")]
pub struct Rollback {
    /// A revision, or its beginning, or the number of a run [default: the last good run before this one]
    #[arg(long, value_name = "REVISION|RUN", value_parser = parse_goal)]
    to: Option<Goal>,
    #[command(flatten)]
    waiting: WaitingForRun,
    #[command(flatten)]
    selection: Selection,
}

/// Which environment, and which objects.
#[derive(Debug, Args)]
#[command(after_help = "\
Only these objects are put right; all others stay as they are until the next push, or until
something else has the environment looked at.")]
pub struct Sync {
    /// An object; may be given several times
    #[arg(long, value_name = "KIND/NAME", required = true, value_parser = parse_object)]
    only: Vec<ObjectName>,
    #[command(flatten)]
    waiting: WaitingForRun,
    #[command(flatten)]
    selection: Selection,
}

/// What to roll back to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Goal {
    Revision(String),
    Run(u64),
}

/// Why nothing came of a request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The server refuses it.
    #[error("{environment}: {message}")]
    Refuse {
        /// The environment.
        environment: String,
        /// The server's words.
        message: String,
    },
    /// Somebody else's request comes first.
    #[error("{environment}: {by} asked to {action}, and the server has not answered yet; wait for it, or see whether the server runs")]
    Busy {
        /// The environment.
        environment: String,
        /// Who asked.
        by: String,
        /// For what.
        action: &'static str,
    },
    /// Another one was written in its place.
    #[error("{environment}: another request took the place of this one before the server answered it")]
    Overtaken {
        /// The environment.
        environment: String,
    },
    /// It is being torn down.
    #[error("too late: {environment} is being torn down since {since}")]
    TooLate {
        /// The environment.
        environment: String,
        /// Since when.
        since: jiff::Timestamp,
    },
    /// It is gone.
    #[error("too late: {environment} is gone")]
    Gone {
        /// The environment.
        environment: String,
    },
    /// Too much was said already.
    #[error("{environment}: as many people as it can hold have spoken on this run already")]
    Full {
        /// The environment.
        environment: String,
    },
}

/// The run ended otherwise than it should.
#[derive(Debug, thiserror::Error)]
#[error("{environment}: the run ended as {state}: {message}")]
pub struct RunError {
    environment: String,
    state: String,
    message: String,
}

/// A short number is that of a run: revisions are given by seven digits at least.
fn parse_goal(text: &str) -> Result<Goal, String> {
    if text.len() < 7
        && let Ok(run) = text.parse()
    {
        return Ok(Goal::Run(run));
    }
    let is_revision = (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_revision {
        true => Ok(Goal::Revision(text.to_ascii_lowercase())),
        false => Err("give a revision by at least 7 hexadecimal digits, or the number of a run".to_owned()),
    }
}

fn parse_object(text: &str) -> Result<ObjectName, String> {
    text.parse().map_err(|_| "write it as KIND/NAME, such as Deployment/web".to_owned())
}

/// Asks for another try.
pub async fn retry(arguments: Retry) -> anyhow::Result<()> {
    let asked = Asked {
        stage: arguments.from,
        ..asked(RequestAction::Retry)
    };
    ask(&arguments.selection, &asked, &arguments.waiting).await
}

/// Asks to go on without a stage.
pub async fn skip(arguments: Skip) -> anyhow::Result<()> {
    let asked = Asked {
        stage: Some(arguments.stage),
        ..asked(RequestAction::Skip)
    };
    ask(&arguments.selection, &asked, &arguments.waiting).await
}

/// Asks for a stage once more.
pub async fn rerun(arguments: Rerun) -> anyhow::Result<()> {
    let asked = Asked {
        stage: Some(arguments.stage),
        ..asked(RequestAction::Rerun)
    };
    ask(&arguments.selection, &asked, &arguments.waiting).await
}

/// Asks for what an earlier run applied.
pub async fn rollback(arguments: Rollback) -> anyhow::Result<()> {
    let mut asked = asked(RequestAction::Rollback);
    match arguments.to {
        Some(Goal::Run(run)) => asked.run = Some(run),
        Some(Goal::Revision(revision)) => asked.revision = Some(revision),
        None => {}
    }
    ask(&arguments.selection, &asked, &arguments.waiting).await
}

/// Asks for some objects.
pub async fn sync(arguments: Sync) -> anyhow::Result<()> {
    let asked = Asked {
        objects: arguments.only.iter().map(ToString::to_string).collect(),
        ..asked(RequestAction::Sync)
    };
    ask(&arguments.selection, &asked, &arguments.waiting).await
}

fn asked(action: RequestAction) -> Asked {
    Asked {
        action,
        stage: None,
        run: None,
        revision: None,
        objects: Vec::new(),
    }
}

/// Writes the request and, unless that is not wanted, tells what the server makes of it.
async fn ask(selection: &Selection, asked: &Asked, waiting: &WaitingForRun) -> anyhow::Result<()> {
    let (access, environment) = selection.find().await?;
    let caller = access.caller().await?;
    let id = done(&environment, access.request(&environment, &caller, asked).await?)?;
    let named = reference(&environment);
    if waiting.answer.no_wait {
        print(&format!("{named}: asked to {}\n", words(asked.action)))?;
        return Ok(());
    }
    let message = answer(&access, &environment, &id, waiting.answer.timeout).await?;
    print(&format!("{named}: {}\n", printable(&message)))?;
    waiting.end(&access, &environment).await
}

async fn answer(access: &Access, environment: &Environment, id: &str, limit: Duration) -> anyhow::Result<String> {
    let patience = Patience {
        limit,
        what: "the server has not answered",
        goes_on: "the request stays and is acted on once a server runs",
    };
    let answered = until(access, environment, patience, |seen| {
        let handled = seen.status.as_ref().and_then(|status| status.request_handled.as_ref());
        if let Some(handled) = handled.filter(|handled| handled.id == id) {
            return Some(Some((handled.accepted, handled.message.clone())));
        }
        let is_ours = seen.spec.request.as_ref().is_some_and(|request| request.id == id);
        (!is_ours).then_some(None)
    });
    let environment = reference(environment);
    match answered.await? {
        Some((true, message)) => Ok(message),
        Some((false, message)) => Err(RequestError::Refuse {
            environment,
            message: printable(&message),
        }
        .into()),
        None => Err(RequestError::Overtaken { environment }.into()),
    }
}

/// What was written, or why nothing was.
pub(super) fn done<T>(environment: &Environment, written: Written<T>) -> Result<T, RequestError> {
    let environment = reference(environment);
    Err(match written {
        Written::Done(value) => return Ok(value),
        Written::Busy { by, action } => RequestError::Busy {
            environment,
            by: printable(&by),
            action: words(action),
        },
        Written::Full => RequestError::Full { environment },
        Written::TooLate(since) => RequestError::TooLate { environment, since },
        Written::Gone => RequestError::Gone { environment },
    })
}

/// An action, worded to follow "asked to".
fn words(action: RequestAction) -> &'static str {
    match action {
        RequestAction::Retry => "try again what failed",
        RequestAction::Skip => "skip a stage",
        RequestAction::Rerun => "run a stage once more",
        RequestAction::Rollback => "roll back",
        RequestAction::Sync => "put objects right",
    }
}

// === impl WaitingForRun ===

impl WaitingForRun {
    /// Waits for the end of the run, where that is wanted.
    pub(super) async fn end(&self, access: &Access, environment: &Environment) -> anyhow::Result<()> {
        if !self.wait {
            return Ok(());
        }
        let patience = Patience {
            limit: self.run_timeout,
            what: "the run has not ended",
            goes_on: "it goes on",
        };
        let over = |seen: &Environment| {
            let status = seen.status.as_ref()?;
            let run = status.run.as_ref().filter(|run| run.state != RunState::Running.name())?;
            Some((run.state.clone(), status.message.clone().unwrap_or_default()))
        };
        let (state, message) = until(access, environment, patience, over).await?;
        let environment = reference(environment);
        if state == RunState::Succeeded.name() {
            print(&format!("{environment}: {}\n", printable(&message)))?;
            return Ok(());
        }
        Err(RunError {
            environment,
            state: printable(&state),
            message: printable(&message),
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_number_is_a_run_and_anything_longer_a_revision() {
        assert_eq!(parse_goal("12"), Ok(Goal::Run(12)));
        assert_eq!(parse_goal("1234567"), Ok(Goal::Revision("1234567".into())));
        assert_eq!(parse_goal("ABCDEF0"), Ok(Goal::Revision("abcdef0".into())));
        for wrong in ["", "abc", "main", "-1", "abcdefg", &"a".repeat(65)] {
            assert!(parse_goal(wrong).is_err(), "{wrong}");
        }
    }
}
