//! Repositories behind a Git server's "smart" protocol over http(s).

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use gix_transport::client::blocking_io::Transport;
use gix_transport::client::blocking_io::connect::{Options, connect};
use gix_transport::client::{self, Account, AuthenticationRequired, TransportWithoutIO};
use reqwest::Url;
use secrecy::ExposeSecret;

use super::Credentials;
use super::refs::Cause;
use crate::domain::git::RepositoryName;
use crate::githost::Error;

/// What is asked, and as whom.
pub(super) struct Exchange {
    pub(super) url: Url,
    pub(super) credentials: Option<Credentials>,
}

/// Asks a repository.
///
/// When `timeout` is over, the exchange's thread is given up; the transport's own requests end after 30 seconds, and so does the thread.
pub(super) async fn ask<T: Send + 'static>(
    operation: &'static str,
    name: &RepositoryName,
    exchange: Exchange,
    timeout: Duration,
    question: impl FnOnce(&mut dyn Transport) -> Result<T, Cause> + Send + 'static,
) -> Result<T, Error> {
    let exchange = tokio::task::spawn_blocking(move || exchange.run(question));
    let cause = match tokio::time::timeout(timeout, exchange).await {
        Ok(Ok(Ok(answer))) => return Ok(answer),
        Ok(Ok(Err(cause))) => cause,
        Ok(Err(error)) => error.into(),
        Err(_) => io::Error::from(io::ErrorKind::TimedOut).into(),
    };
    Err(explain(operation, name, cause))
}

impl Exchange {
    fn run<T>(self, question: impl FnOnce(&mut dyn Transport) -> Result<T, Cause>) -> Result<T, Cause> {
        let mut transport = connect(self.url.as_str(), Options::default())?;
        if let Some(credentials) = self.credentials {
            transport.set_identity(Account {
                username: credentials.username,
                password: credentials.password.expose_secret().to_owned(),
                oauth_refresh_token: None,
            })?;
        }
        question(&mut transport)
    }
}

fn explain(operation: &'static str, name: &RepositoryName, cause: Cause) -> Error {
    let unusable = |problem: String| Error::Unusable { operation, problem };
    if find::<AuthenticationRequired>(cause.as_ref()).is_some() {
        return Error::Refused { operation, status: 401 };
    }
    let answered = find::<reqwest::Error>(cause.as_ref());
    match answered.and_then(reqwest::Error::status).map(|status| status.as_u16()) {
        Some(status @ (401 | 403)) => Error::Refused { operation, status },
        Some(404) => Error::RepositoryNotFound {
            operation,
            repository: name.clone(),
        },
        Some(429) => Error::RateLimited {
            operation,
            retry_after: None,
        },
        Some(status @ 500..=599) => Error::ServerError { operation, status },
        Some(status) => unusable(format!("HTTP status {status}")),
        None if answered.is_none() && find::<io::Error>(cause.as_ref()).is_none() => {
            let is_other = matches!(cause.downcast_ref::<client::Error>(), Some(client::Error::Http(_)));
            unusable(match is_other {
                true => "it is not the smart Git protocol: is the url right, or does a login page stand in between?".to_owned(),
                false => "it does not follow the Git protocol, or ends too early".to_owned(),
            })
        }
        None => Error::Unreachable { operation, source: cause },
    }
}

/// The first `T` among `error` and its causes. An `io::Error` hides the error it carries from its own chain of sources.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    if let Some(found) = error.downcast_ref::<T>() {
        return Some(found);
    }
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let carried = carried.and_then(|carried| find::<T>(carried));
    carried.or_else(|| find::<T>(error.source()?))
}
