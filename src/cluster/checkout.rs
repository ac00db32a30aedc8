//! Where the files of a commit go: into the pod of a `steps` Job, while its first container waits for them.

use k8s_openapi::api::core::v1::{ContainerState, Pod};
use kube::{Client, ResourceExt};

use super::Error;
use super::exec::{Container, Ended, feed};
use super::logs::JOB_LABEL;
use super::services::list_pods;
use crate::domain::stage::checkout::{CONTAINER, unpack_command};

/// How the container that waits for the files stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiter {
    /// It does not run yet.
    NotYet(String),
    /// It waits, in this pod.
    Waits(String),
    /// It has ended, with this exit code: with 0 it has what it waited for.
    Ended(i32),
}

/// How the container of a Job that waits for the files stands.
///
/// # Errors
/// The API server did not answer, or `client` may not read there.
pub async fn waiter(client: &Client, namespace: &str, job: &str) -> Result<Waiter, Error> {
    let pods = list_pods(client, namespace, &format!("{JOB_LABEL}={job}")).await?;
    let newest = pods.into_iter().max_by_key(|pod| pod.creation_timestamp().map(|time| time.0));
    Ok(newest.map_or_else(|| Waiter::NotYet("its pod does not exist yet".to_owned()), |pod| state(&pod)))
}

fn state(pod: &Pod) -> Waiter {
    let statuses = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    let own = statuses.into_iter().find(|status| status.name == CONTAINER);
    let not_yet = |reason: Option<&str>| match reason {
        Some(reason) => Waiter::NotYet(format!("container {CONTAINER} does not run yet: {reason}")),
        None => Waiter::NotYet(format!("container {CONTAINER} does not run yet")),
    };
    match own.and_then(|status| status.state.as_ref()) {
        Some(ContainerState {
            terminated: Some(ended), ..
        }) => Waiter::Ended(ended.exit_code),
        Some(ContainerState { running: Some(_), .. }) => Waiter::Waits(pod.name_any()),
        Some(ContainerState {
            waiting: Some(waiting), ..
        }) => not_yet(waiting.reason.as_deref()),
        _ => not_yet(None),
    }
}

/// Brings the files into a pod.
///
/// # Errors
/// The command could not be started, or the connection to the node broke.
pub async fn bring(client: &Client, namespace: &str, pod: &str, revision: &str, tar: &[u8]) -> Result<Ended, Error> {
    let at = Container {
        namespace,
        pod,
        container: Some(CONTAINER),
    };
    feed(client, at, &unpack_command(revision, tar.len()), tar).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use serde_json::{Value, json};

    use super::*;

    fn of(state: &Value) -> Waiter {
        let status = json!({"name": CONTAINER, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let pod = json!({"metadata": {"name": "p"}, "status": {"initContainerStatuses": [status]}});
        super::state(&serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn files_are_brought_only_while_somebody_waits_for_them() {
        assert_eq!(of(&json!({"running": {}})), Waiter::Waits("p".to_owned()));
        assert_eq!(of(&json!({"terminated": {"exitCode": 0}})), Waiter::Ended(0));
        assert!(matches!(of(&json!({"waiting": {"reason": "ErrImagePull"}})), Waiter::NotYet(text) if text.ends_with("ErrImagePull")));
        assert!(matches!(of(&json!({})), Waiter::NotYet(_)));
    }
}
