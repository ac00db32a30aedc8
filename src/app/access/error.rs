//! Why the cluster gave no answer, and what may be said of it.

use std::error::Error as StdError;
use std::time::Duration;

use kube::client::AuthError;
use kube::config::{InClusterError, KubeconfigError};

/// Why an operation on the cluster failed. No message repeats what a kubeconfig, a credential command or a Secret holds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be used.
    #[error("could not use the kubeconfig")]
    ReadKubeconfig(#[source] KubeconfigError),
    /// The kubeconfig is not YAML of the right shape. The parser's own message would quote the file.
    #[error("could not use the kubeconfig: it is not valid{place}")]
    ParseKubeconfig {
        /// ` at line L, column C`, or nothing.
        place: String,
    },
    /// Neither a kubeconfig nor a ServiceAccount says where the cluster is.
    #[error("no cluster is configured: there is no kubeconfig (set KUBECONFIG or --kubeconfig), and this is not a pod")]
    FindCluster(#[source] InClusterError),
    /// The kubeconfig names a namespace that is none.
    #[error("the kubeconfig's context names an impossible namespace")]
    ParseNamespace(#[source] crate::domain::name::NameError),
    /// No client comes out of the settings.
    #[error("could not set up the connection to the cluster")]
    BuildClient(#[source] Box<dyn StdError + Send + Sync>),
    /// The credentials could not be had.
    #[error("could not get credentials for the cluster: {problem}")]
    FetchCredentials {
        /// What failed; never what a command printed.
        problem: String,
    },
    /// The cluster could not be reached, or the exchange broke off.
    #[error("could not {operation}: the cluster did not answer")]
    Reach {
        /// What was being done, worded to follow "could not".
        operation: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The cluster took too long.
    #[error("could not {operation}: the cluster did not answer within {} seconds", after.as_secs_f64())]
    TimeOut {
        /// What was being done.
        operation: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The cluster does not let these credentials do this.
    #[error("could not {operation}: not permitted: {message}")]
    Permit {
        /// What was being done.
        operation: &'static str,
        /// What the cluster says.
        message: String,
    },
    /// The custom resources are not installed.
    #[error(
        "could not {operation}: this cluster does not know graftling's custom resources; install them with \
         `graftling crds | kubectl apply --server-side -f -`"
    )]
    FindResource {
        /// What was being done.
        operation: &'static str,
    },
    /// The object has changed or is another one by now.
    #[error("could not {operation}: {message}")]
    Precondition {
        /// What was being done.
        operation: &'static str,
        /// What the cluster says.
        message: String,
    },
    /// The cluster refused for another reason.
    #[error("could not {operation}: the cluster answered {code}: {message}")]
    Answer {
        /// What was being done.
        operation: &'static str,
        /// The HTTP status.
        code: u16,
        /// What the cluster says.
        message: String,
    },
    /// The answer is not what the interface promises.
    #[error("could not {operation}: the cluster's answer is not usable")]
    ReadAnswer {
        /// What was being done.
        operation: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// What a caller does about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The cluster is not configured, not reachable, or does not permit it.
    Access,
    /// The object is not what it was when it was looked at.
    Conflict,
    /// Anything else.
    Failed,
}

// === impl Error ===

impl Error {
    /// The class that alone decides about the exit code.
    pub fn class(&self) -> Class {
        match self {
            Self::ReadKubeconfig(_)
            | Self::ParseKubeconfig { .. }
            | Self::FindCluster(_)
            | Self::ParseNamespace(_)
            | Self::BuildClient(_)
            | Self::FetchCredentials { .. }
            | Self::Reach { .. }
            | Self::TimeOut { .. }
            | Self::Permit { .. } => Class::Access,
            Self::Precondition { .. } => Class::Conflict,
            Self::FindResource { .. } | Self::Answer { .. } | Self::ReadAnswer { .. } => Class::Failed,
        }
    }

    pub(super) fn from_kubeconfig(error: KubeconfigError) -> Self {
        match error {
            KubeconfigError::Parse(source) => Self::ParseKubeconfig {
                place: source.location().map_or_else(String::new, |location| {
                    format!(" at line {}, column {}", location.line(), location.column())
                }),
            },
            error => Self::ReadKubeconfig(error),
        }
    }

    pub(super) fn from_client(error: kube::Error) -> Self {
        match credential_problem(&error) {
            Some(problem) => Self::FetchCredentials { problem },
            None => Self::BuildClient(error.into()),
        }
    }

    pub(super) fn from_request(operation: &'static str, error: kube::Error) -> Self {
        if let Some(problem) = credential_problem(&error) {
            return Self::FetchCredentials { problem };
        }
        match error {
            kube::Error::Api(status) => Self::from_status(operation, *status),
            kube::Error::Service(source) => Self::Reach { operation, source },
            error @ (kube::Error::HyperError(_) | kube::Error::ReadEvents(_)) => Self::Reach {
                operation,
                source: error.into(),
            },
            error => Self::ReadAnswer {
                operation,
                source: error.into(),
            },
        }
    }

    pub(super) fn from_watch(operation: &'static str, error: kube::runtime::watcher::Error) -> Self {
        use kube::runtime::watcher::Error as WatchError;
        match error {
            WatchError::InitialListFailed(error) | WatchError::WatchStartFailed(error) | WatchError::WatchFailed(error) => {
                Self::from_request(operation, error)
            }
            WatchError::WatchError(status) => Self::from_status(operation, *status),
            error @ WatchError::NoResourceVersion => Self::ReadAnswer {
                operation,
                source: error.into(),
            },
        }
    }

    /// A 404 that names no object means that the cluster has no such kind.
    fn from_status(operation: &'static str, status: kube::core::Status) -> Self {
        let message = if status.message.is_empty() { status.reason } else { status.message };
        match status.code {
            401 | 403 => Self::Permit { operation, message },
            404 if status.details.is_none_or(|details| details.name.is_empty()) => Self::FindResource { operation },
            409 => Self::Precondition { operation, message },
            code => Self::Answer { operation, code, message },
        }
    }
}

/// The part of an authentication failure that may be shown: a credential command's output may hold a token.
fn credential_problem(error: &kube::Error) -> Option<String> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(error) = current.downcast_ref::<AuthError>() {
            return Some(match error {
                AuthError::AuthExecRun { out, .. } => format!("the kubeconfig's credential command failed ({})", out.status),
                AuthError::AuthExecParse(_) => "the kubeconfig's credential command printed no ExecCredential".to_owned(),
                error => error.to_string(),
            });
        }
        cause = current.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, named: bool) -> Error {
        let mut status = kube::core::Status::failure("no", "Whatever").with_code(code);
        if named {
            let details = serde_json::json!({ "name": "shop", "kind": "environments" });
            status = status.with_details(serde_json::from_value(details).expect("details of a status"));
        }
        Error::from_request("read the environment", kube::Error::Api(status.boxed()))
    }

    #[test]
    fn a_refusal_for_lack_of_rights_is_about_access() {
        assert_eq!(answer(401, false).class(), Class::Access);
        assert_eq!(answer(403, true).class(), Class::Access);
    }

    #[test]
    fn a_failed_precondition_is_a_conflict() {
        assert_eq!(answer(409, true).class(), Class::Conflict);
    }

    #[test]
    fn a_404_without_an_object_says_how_to_install_the_custom_resources() {
        let error = answer(404, false);
        assert!(matches!(error, Error::FindResource { .. }), "{error}");
        assert!(error.to_string().contains("graftling crds"), "{error}");
        assert!(matches!(answer(404, true), Error::Answer { code: 404, .. }));
    }

    #[test]
    fn a_credential_command_s_output_is_not_shown() {
        let output = std::process::Output {
            status: std::process::ExitStatus::default(),
            stdout: b"token-of-a-person".to_vec(),
            stderr: Vec::new(),
        };
        let failure = AuthError::AuthExecRun {
            cmd: "login".to_owned(),
            out: Box::new(output),
        };
        let error = Error::from_request("read the environment", kube::Error::Service(Box::new(failure)));
        let shown = format!("{error} {error:?}");
        assert!(matches!(error, Error::FetchCredentials { .. }), "{shown}");
        assert!(!shown.contains("token-of-a-person"), "{shown}");
    }
}
