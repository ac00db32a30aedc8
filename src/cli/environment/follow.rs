//! Following an environment until what was asked for has come to something.

use std::time::Duration;

use futures::StreamExt;

use super::delete::is_passing;
use super::show::reference;
use crate::api::Environment;
use crate::app::access::Access;
use crate::cli::printable::printable;

/// Why the wait ended before what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The time is up.
    #[error("{environment}: {what} after {} seconds; {goes_on}", after.as_secs_f64())]
    Expire {
        /// The environment.
        environment: String,
        /// What has not come, worded to follow the environment.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
        /// What becomes of it without us.
        goes_on: &'static str,
    },
    /// The environment went.
    #[error("{environment} is gone")]
    Gone {
        /// The environment.
        environment: String,
    },
    /// The stream of its states has ended.
    #[error("could not follow {environment}: the cluster ended the exchange")]
    Follow {
        /// The environment.
        environment: String,
    },
}

/// How long to wait, and what to say when it was for nothing.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long.
    pub limit: Duration,
    /// What has not come by then, worded to follow the environment.
    pub what: &'static str,
    /// What becomes of it without us.
    pub goes_on: &'static str,
}

/// Waits until `look` finds what it looks for in a state of the environment. Each change of its message is told on standard error.
pub async fn until<T>(
    access: &Access,
    environment: &Environment,
    patience: Patience,
    look: impl Fn(&Environment) -> Option<T>,
) -> anyhow::Result<T> {
    match tokio::time::timeout(patience.limit, follow(access, environment, look)).await {
        Ok(found) => found,
        Err(_) => Err(FollowError::Expire {
            environment: reference(environment),
            what: patience.what,
            after: patience.limit,
            goes_on: patience.goes_on,
        }
        .into()),
    }
}

async fn follow<T>(access: &Access, environment: &Environment, look: impl Fn(&Environment) -> Option<T>) -> anyhow::Result<T> {
    let mut sightings = std::pin::pin!(access.follow(environment));
    let mut told = message(environment);
    while let Some(sighting) = sightings.next().await {
        let seen = match sighting {
            Ok(Some(seen)) => seen,
            Ok(None) => {
                return Err(FollowError::Gone {
                    environment: reference(environment),
                }
                .into());
            }
            Err(error) if is_passing(&error) => {
                eprintln!("warning: {error}; trying again");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(found) = look(&seen) {
            return Ok(found);
        }
        let message = message(&seen);
        if message != told {
            eprintln!("{}", printable(&message));
            told = message;
        }
    }
    Err(FollowError::Follow {
        environment: reference(environment),
    }
    .into())
}

fn message(environment: &Environment) -> String {
    let status = environment.status.as_ref();
    status.and_then(|status| status.message.clone()).unwrap_or_default()
}
