//! What can go wrong with a request, and what it means for a retry.

use crate::domain::outcome::FailureClass;

/// A request to the cluster that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client could not be made.
    #[error("could not make a client for the cluster")]
    Connect(#[source] kube::Error),
    /// A kind could not be resolved.
    #[error("could not find out about {api_version} {kind}")]
    ResolveKind {
        /// `group/version`.
        api_version: String,
        /// The kind.
        kind: String,
        /// The cause.
        #[source]
        source: kube::Error,
    },
    /// The cluster knows no such kind.
    #[error("the cluster knows no {api_version} {kind}")]
    UnknownKind {
        /// `group/version`.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// An object could not be read.
    #[error("could not read {what}")]
    Read {
        /// The object.
        what: String,
        /// The cause.
        #[source]
        source: kube::Error,
    },
    /// Objects could not be listed.
    #[error("could not list {what}")]
    List {
        /// Which objects.
        what: String,
        /// The cause.
        #[source]
        source: kube::Error,
    },
    /// One of our own objects could not be written.
    #[error("could not write {what}")]
    Write {
        /// Which object.
        what: String,
        /// The cause.
        #[source]
        source: kube::Error,
    },
    /// A command could not be run in a container.
    #[error("could not {what}")]
    Exec {
        /// What was being done.
        what: String,
        /// The cause.
        #[source]
        source: kube::Error,
    },
    /// The server did not answer in time.
    #[error("could not {operation}: no answer within {seconds} s")]
    TimedOut {
        /// What was being done.
        operation: String,
        /// The limit, in seconds.
        seconds: u64,
    },
    /// Nobody whom we act as may list a kind.
    #[error("could not look for objects of others in {namespace}: the kinds {kinds} may not be listed")]
    LookForForeign {
        /// Where.
        namespace: String,
        /// The kinds.
        kinds: String,
    },
    /// The server's answer bears no date.
    #[error("could not read the API server's clock: its answer bears no date")]
    TellTime,
    /// A watch that observations depend on has not caught up.
    #[error("the watch of {kind} has not caught up yet")]
    WatchBehind {
        /// The kind.
        kind: String,
    },
}

impl Error {
    /// The class that alone decides about a retry.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::UnknownKind { .. } => FailureClass::UnknownKind,
            Self::Connect(source)
            | Self::ResolveKind { source, .. }
            | Self::Read { source, .. }
            | Self::List { source, .. }
            | Self::Exec { source, .. }
            | Self::Write { source, .. } => classify(source),
            Self::LookForForeign { .. } => FailureClass::Forbidden,
            Self::TimedOut { .. } | Self::WatchBehind { .. } | Self::TellTime => FailureClass::Transient,
        }
    }

    /// Whether the cluster answered that the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Read { source: kube::Error::Api(status), .. } | Self::Write { source: kube::Error::Api(status), .. } if status.code == 404)
    }

    /// Whether the API server did not answer, or not with what is about this request: whatever it was would be granted later, unchanged.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::ResolveKind { source, .. }
            | Self::Read { source, .. }
            | Self::List { source, .. }
            | Self::Exec { source, .. }
            | Self::Write { source, .. } => is_outage(source),
            Self::TimedOut { .. } | Self::TellTime => true,
            Self::Connect(_) | Self::UnknownKind { .. } | Self::LookForForeign { .. } | Self::WatchBehind { .. } => false,
        }
    }

    /// The whole story in one line: this error and its causes, none told twice.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and its causes in one line. A cause that the text before it already tells is left out: kube's errors do that.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let answer = said(next);
        let words = answer.map_or_else(|| next.to_string(), str::to_owned);
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = answer.is_none().then(|| next.source()).flatten();
    }
    text
}

/// The sentence of an answer of the API server: kube shows the whole structure, and its cause once more.
fn said<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a str> {
    match error.downcast_ref() {
        Some(kube::Error::Api(status)) if !status.message.is_empty() => Some(&status.message),
        _ => None,
    }
}

/// What an error of the API server means for a retry.
pub fn classify(error: &kube::Error) -> FailureClass {
    let kube::Error::Api(status) = error else {
        return FailureClass::Transient;
    };
    let has_cause = |reason: &str| {
        let causes = status.details.iter().flat_map(|details| &details.causes);
        causes.into_iter().any(|cause| cause.reason == reason)
    };
    match status.code {
        403 if has_cause("NamespaceTerminating") => FailureClass::NamespaceEnding,
        // The quota is new, and its controller has not counted yet.
        403 if status.message.contains("status unknown for quota") => FailureClass::Transient,
        403 if is_missing_right(&status.message) => FailureClass::Forbidden,
        401 => FailureClass::Forbidden,
        409 if has_cause("FieldManagerConflict") => FailureClass::Conflict,
        404 if is_missing_kind(&status.message) => FailureClass::UnknownKind,
        404 | 408 | 409 | 410 | 429 => FailureClass::Transient,
        500 if status.message.contains("failed calling webhook") => FailureClass::Transient,
        // An apply whose fields do not fit the kind is answered as if the server had failed.
        500 if status.message.contains("failed to create typed patch object") => FailureClass::Rejected,
        400..=499 => FailureClass::Rejected,
        _ => FailureClass::Transient,
    }
}

/// Whether the API server did not answer, or only that it cannot now.
pub fn is_outage(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 500..) && classify(error) == FailureClass::Transient,
        _ => true,
    }
}

/// A path that no kind is served under: in JSON where the group exists, as plain text where it does not.
fn is_missing_kind(message: &str) -> bool {
    message.contains("the server could not find the requested resource") || message.trim() == "404 page not found"
}

/// RBAC words a refusal as `… forbidden: User "…" cannot VERB resource …`; admission (quota, Pod Security, webhooks) uses other
/// words, but a webhook's may hold a "cannot" too.
fn is_missing_right(message: &str) -> bool {
    let refused_user = message.split_once("forbidden: User \"").map(|(_, rest)| rest);
    refused_user.is_some_and(|rest| rest.contains("\" cannot ")) || message.contains("attempting to grant RBAC permissions")
}

/// What the API server said, fit for a status.
pub fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => chain(other),
    }
}

#[cfg(test)]
mod tests;
