//! Where log lines go and what they look like. They go to standard error: standard output belongs to what a command prints.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error("--log-level {filter:?} is not a filter such as \"info\" or \"warn,graftling=debug\"")]
    ParseFilter {
        /// The refused filter.
        filter: String,
        /// The cause.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Another subscriber was there first.
    #[error("could not set up the log")]
    Install(#[source] TryInitError),
}

/// Sets up the log of this process: to standard error, filtered by `filter` (in the syntax of `RUST_LOG`).
///
/// Without a `format`, a terminal gets text and anything else gets JSON. Colours appear on a terminal unless `NO_COLOR` is set.
///
/// # Errors
/// The filter cannot be read, or this was called before.
pub fn start(filter: &str, format: Option<Format>) -> Result<(), Error> {
    let level = EnvFilter::try_new(filter).map_err(|source| Error::ParseFilter {
        filter: filter.to_owned(),
        source,
    })?;
    let terminal = std::io::stderr().is_terminal();
    let registry = tracing_subscriber::registry().with(level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format.unwrap_or(if terminal { Format::Text } else { Format::Json }) {
        Format::Text => {
            let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            registry.with(lines.with_ansi(colours)).try_init()
        }
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(Error::Install)
}
