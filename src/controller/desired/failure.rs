//! Why nothing can be planned, in words and with the time to look again.

use std::time::Duration;

use super::{Refusal, Wish};
use crate::controller::sources;
use crate::domain::bundle::summary;
use crate::githost::Class;
use crate::metrics::RenderResult;
use crate::render::{self, Limit};

/// A refusal, and how it counts.
pub(super) struct Failure {
    pub(super) result: RenderResult,
    pub(super) refusal: Refusal,
}

impl Failure {
    pub(super) fn new(wish: &Wish, error: &render::Error) -> Self {
        let refusal = match error {
            render::Error::ReadBranchFile { problems } => {
                let message = format!("Project {}: {}", wish.project.key.name, summary(problems));
                Refusal::new("InvalidBranchFile", message)
            }
            // Of this machine, such as a full disk, and not of the bundle.
            render::Error::WriteChart(_) => Refusal {
                again: UNAVAILABLE,
                ..refuse_as("BundleUnavailable", wish, &format!("{}; what runs keeps running", explain(error)))
            },
            other => refuse(wish, &explain(other)),
        };
        Self {
            result: result(error),
            refusal,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self {
            result: RenderResult::Rejected,
            refusal,
        }
    }
}

fn result(error: &render::Error) -> RenderResult {
    match error {
        render::Error::Exceed { limit, .. } => match limit {
            Limit::Cpu | Limit::Wall => RenderResult::TimedOut,
            Limit::Memory | Limit::Answer => RenderResult::TooLarge,
            Limit::Stack => RenderResult::Crashed,
        },
        render::Error::AwaitWorker { .. } => RenderResult::TimedOut,
        render::Error::EndWorker { .. } | render::Error::StartWorker { .. } => RenderResult::Crashed,
        _ => RenderResult::Rejected,
    }
}

pub(super) fn refuse(wish: &Wish, problem: &str) -> Refusal {
    refuse_as("InvalidBundle", wish, problem)
}

fn refuse_as(reason: &'static str, wish: &Wish, problem: &str) -> Refusal {
    let (project, bundle) = (&wish.project.key.name, &wish.project.bundle);
    Refusal::new(reason, format!("Project {project}: bundle {bundle}: {problem}"))
}

/// A status has room for the first problems of a bundle; the command line shows all.
fn explain(error: &render::Error) -> String {
    match error {
        render::Error::ParseBundle { problems } => summary(problems),
        render::Error::RenderBundle(errors) => summary(&errors.0),
        other => crate::cluster::error::chain(other),
    }
}

/// Without its files nothing is known of what the environment should be, so nothing of it is touched.
pub(super) fn unavailable(wish: &Wish, what: &str, error: &sources::Error) -> Refusal {
    let (project, error_text) = (&wish.project.key.name, crate::cluster::error::chain(error));
    let refusal = Refusal::new("InvalidBundle", format!("Project {project}: {what}: {error_text}"));
    if error.is_about_content() {
        return refusal;
    }
    let again = match error.class() {
        Class::Transient | Class::RateLimited(None) => UNAVAILABLE,
        Class::RateLimited(Some(wait)) => wait.max(UNAVAILABLE),
        Class::NeedsAttention => refusal.again,
    };
    Refusal {
        reason: "BundleUnavailable",
        message: format!("{}; what runs keeps running", refusal.message),
        again,
        is_outdated: error.is_outdated(),
    }
}

/// A source that fails is asked again after this time.
const UNAVAILABLE: Duration = Duration::from_secs(10);
