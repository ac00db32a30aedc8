//! How a command ends: the one place that turns an error into an exit code and into words.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::process::ExitCode;

use super::diagnostics::{self, Colours};
use super::environment::{
    AdoptError, ApproveError, Blocked, ConfirmError, FollowError, RequestError, ResolveError, RestoreError, UnstickError,
};
use super::githost::GitHostError;
use super::output::OutputError;
use super::project::ProjectError;
use super::receipt::{FindError, VerifyError};
use super::runs;
use crate::app::{access, unstick};
use crate::config::ConfigError;

/// The exit codes, as `--help` explains them.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  the operation failed
  2  the command line or a setting is wrong
  3  there is no such environment, Project, GitHost or receipt
  4  refused: ambiguous, changed meanwhile, or not confirmed
  5  the cluster is not configured, not reachable, or does not permit it
  6  a receipt was changed, or nobody trusted signed it
  7  a receipt is not signed
  8  a dry run: something would keep it from its end
  9  a check of a GitHost: something is missing";

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// The operation failed.
    Failed = 1,
    /// The command line or a setting is wrong.
    Usage = 2,
    /// What was asked for does not exist.
    NotFound = 3,
    /// Refused, because it is not clear that this is what is wanted.
    Refused = 4,
    /// The cluster is not configured, not reachable, or does not permit it.
    Access = 5,
    /// A receipt was changed, or nobody trusted signed it.
    Forged = 6,
    /// A receipt is not signed.
    Unsigned = 7,
    /// What was planned would not come to its end: something blocks it.
    Blocked = 8,
    /// What was checked is not complete.
    Incomplete = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Ends a command: prints what went wrong and says how the process ends.
pub fn conclude(result: anyhow::Result<()>) -> Exit {
    match result {
        Ok(()) => Exit::Success,
        Err(error) if is_closed_pipe(&error) => Exit::Success,
        Err(error) => {
            print_error(&error);
            of(&error)
        }
    }
}

/// Prints an error and what caused it to standard error.
pub fn print_error(error: &anyhow::Error) {
    let problems = diagnostics::problems_of(error);
    let text = if problems.is_empty() {
        explain(error.as_ref())
    } else {
        diagnostics::text(&problems, Colours::of_stderr())
    };
    // Without standard error there is nobody to tell.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}

/// `error: …`, then a line `caused by: …` for each cause that says something new: libraries repeat their cause in their own text.
fn explain(error: &(dyn StdError + 'static)) -> String {
    let mut said = error.to_string();
    let mut text = format!("error: {said}\n");
    let mut cause = error.source();
    while let Some(current) = cause {
        let words = current.to_string();
        if !said.contains(&words) {
            text.push_str(&format!("caused by: {words}\n"));
            said = words;
        }
        cause = current.source();
    }
    text
}

/// Whoever read standard output has seen enough: that is their right, not an error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| match cause.downcast_ref::<OutputError>() {
        Some(OutputError::Write(source)) => source.kind() == ErrorKind::BrokenPipe,
        _ => false,
    })
}

fn of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(known).unwrap_or(Exit::Failed)
}

fn known(cause: &(dyn StdError + 'static)) -> Option<Exit> {
    if let Some(error) = cause.downcast_ref::<access::Error>() {
        return Some(match error.class() {
            access::Class::Access => Exit::Access,
            access::Class::Conflict => Exit::Refused,
            access::Class::Failed => Exit::Failed,
        });
    }
    if let Some(error) = cause.downcast_ref::<ResolveError>() {
        return Some(match error {
            ResolveError::FindNone { .. } => Exit::NotFound,
            ResolveError::FindSeveral { .. } => Exit::Refused,
        });
    }
    if let Some(error) = cause.downcast_ref::<AdoptError>() {
        return Some(match error {
            AdoptError::FindNamespace { .. } => Exit::NotFound,
            _ => Exit::Refused,
        });
    }
    if let Some(error) = cause.downcast_ref::<unstick::Error>() {
        return match error {
            unstick::Error::NotDeleting(_) | unstick::Error::Changed(_) => Some(Exit::Refused),
            unstick::Error::Read(_) | unstick::Error::Cluster { .. } => None,
        };
    }
    if cause.is::<UnstickError>() {
        return Some(Exit::NotFound);
    }
    if let Some(error) = cause.downcast_ref::<ProjectError>() {
        return Some(match error {
            ProjectError::FindNone { .. } => Exit::NotFound,
            ProjectError::Supersede { .. } => Exit::Refused,
        });
    }
    if let Some(error) = cause.downcast_ref::<VerifyError>() {
        return Some(match error {
            VerifyError::Unsigned { .. } => Exit::Unsigned,
            VerifyError::Forged { .. }
            | VerifyError::UnknownKey { .. }
            | VerifyError::Inconsistent { .. }
            | VerifyError::Unreadable { .. } => Exit::Forged,
        });
    }
    if cause.is::<FindError>() || cause.is::<runs::FindError>() {
        return Some(Exit::NotFound);
    }
    if cause.is::<Blocked>() {
        return Some(Exit::Blocked);
    }
    if cause.is::<ConfirmError>() || cause.is::<RestoreError>() {
        return Some(Exit::Refused);
    }
    cause.is::<ConfigError>().then_some(Exit::Usage).or_else(|| of_control(cause))
}

/// What came of a request by hand, or of a look at a GitHost.
fn of_control(cause: &(dyn StdError + 'static)) -> Option<Exit> {
    if let Some(error) = cause.downcast_ref::<ApproveError>() {
        return Some(match error {
            ApproveError::FindStage { .. } => Exit::NotFound,
            ApproveError::FindNone { .. }
            | ApproveError::FindSeveral { .. }
            | ApproveError::Overtaken { .. }
            | ApproveError::Reserve { .. } => Exit::Refused,
        });
    }
    if let Some(error) = cause.downcast_ref::<GitHostError>() {
        return Some(match error {
            GitHostError::FindNone { .. } => Exit::NotFound,
            GitHostError::Incomplete { .. } => Exit::Incomplete,
        });
    }
    if cause.is::<RequestError>() {
        return Some(Exit::Refused);
    }
    cause.is::<FollowError>().then_some(Exit::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("could not reach it: {0}")]
    struct Repeating(#[source] std::io::Error);

    #[test]
    fn each_cause_is_said_once() {
        let error = anyhow::Error::new(Repeating(std::io::Error::other("closed"))).context("could not list environments");
        assert_eq!(
            explain(error.as_ref()),
            "error: could not list environments\ncaused by: could not reach it: closed\n"
        );
    }

    #[test]
    fn an_error_of_no_known_kind_is_a_failed_operation() {
        assert_eq!(of(&anyhow::anyhow!("out of luck")), Exit::Failed);
    }

    #[test]
    fn a_known_kind_is_found_below_its_context() {
        let error = anyhow::Error::new(ConfirmError::Declined).context("could not delete it");
        assert_eq!(of(&error), Exit::Refused);
    }

    #[test]
    fn a_closed_pipe_on_standard_output_is_a_good_end() {
        let closed = OutputError::Write(std::io::Error::from(ErrorKind::BrokenPipe));
        assert_eq!(conclude(Err(closed.into())), Exit::Success);
    }

    #[test]
    fn a_closed_pipe_elsewhere_is_an_error() {
        let error = anyhow::Error::new(std::io::Error::from(ErrorKind::BrokenPipe));
        assert_eq!(conclude(Err(error)), Exit::Failed);
    }
}
