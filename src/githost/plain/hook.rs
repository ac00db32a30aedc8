//! The post-receive hook of a plain Git repository: its installation, and what it sends for a push.
//!
//! The hook is a hint like any webhook. When it cannot send, the push succeeds all the same and the next sweep finds the branches.

mod install;
mod send;

use std::io;
use std::path::PathBuf;

use crate::domain::git::RepositoryName;

pub use install::{Installation, install};
pub use send::{Sent, run, send};

/// Where a hook reports to, and for which repository.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// The GitHost's webhook endpoint: `https://<graftling>/hooks/<namespace>/<githost>`.
    pub url: String,
    /// The repository as Projects name it.
    pub repository: RepositoryName,
    /// The file with the GitHost's webhook secret. White space around the secret is left out.
    pub secret_file: PathBuf,
}

/// Why a hook was not installed or did not send.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// There is no repository.
    #[error("{path} is no Git repository: name a bare repository, or the directory that holds .git")]
    FindRepository {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Git itself could not say where the hooks are.
    #[error("could not ask git where the hooks of {path} are: {complaint}")]
    FindHooks {
        /// The repository.
        path: PathBuf,
        /// What Git wrote.
        complaint: String,
        /// Why it did not start, if it did not.
        #[source]
        source: Option<io::Error>,
    },
    /// The hooks are shared with other repositories by `core.hooksPath`.
    #[error(
        "{path} shares the hooks in {hooks} with other repositories (core.hooksPath or a link). Add this line by hand where it should run:\n  {line}"
    )]
    ShareHooks {
        /// The repository.
        path: PathBuf,
        /// The shared directory.
        hooks: PathBuf,
        /// What to add.
        line: String,
    },
    /// A hook of somebody else is in the way; it was left as it is.
    #[error("{path} is not graftling's and was left as it is. Add this line to it, with the same standard input:\n  {line}")]
    ReplaceHook {
        /// The hook.
        path: PathBuf,
        /// What to add.
        line: String,
    },
    /// A file of the hook could not be written.
    #[error("could not write {path}")]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The secret's file could not be read.
    #[error("could not read the webhook secret from {path}")]
    ReadSecret {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// There is no secret, without which no endpoint accepts anything.
    #[error("the webhook secret is empty")]
    EmptySecret,
    /// What Git wrote to the hook could not be read.
    #[error("could not read line {line} of what Git tells a post-receive hook")]
    ReadUpdates {
        /// The line, from 1.
        line: usize,
        /// The cause; none when the line does not have the form `<before> <after> <ref>`.
        #[source]
        source: Option<io::Error>,
    },
    /// No request could be made from the settings.
    #[error("could not prepare the request to the webhook endpoint: is its URL right?")]
    PrepareRequest {
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The endpoint did not answer.
    #[error("the webhook endpoint did not answer")]
    PostHint {
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The endpoint refused.
    #[error("the webhook endpoint answered HTTP {status}{}", advice(*.status))]
    AcceptHint {
        /// The HTTP status.
        status: u16,
    },
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => ": the hook's secret is not the GitHost's",
        404 => ": there is no such GitHost",
        _ => "",
    }
}
