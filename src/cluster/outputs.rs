//! What the containers of a job handed on when they ended.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;

use super::connection::within;
use super::error::Error;
use super::logs::{Attempt, JOB_LABEL};
use super::observe::Observer;
use super::records::Records;

impl Observer {
    /// The termination messages of the containers of a try's pod that has succeeded, in the order in which they ran.
    ///
    /// # Errors
    /// The pods could not be listed.
    pub async fn job_outputs(&self, records: &Records<'_>, attempt: &Attempt) -> Result<Vec<String>, Error> {
        let api = self.pods_as(records.deployer, records)?;
        let params = ListParams::default().labels(&format!("{JOB_LABEL}={}", attempt.job));
        let what = || format!("the pods of Job {}", attempt.job);
        let pods = within(
            || format!("list {}", what()),
            api.list(&params),
            |source| Error::List { what: what(), source },
        );
        let has_succeeded = |pod: &&Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            phase == Some("Succeeded")
        };
        let pods = pods.await?;
        Ok(pods.items.iter().find(has_succeeded).map(messages).unwrap_or_default())
    }
}

fn messages(pod: &Pod) -> Vec<String> {
    let statuses = pod.status.iter().flat_map(|status| {
        let first = status.init_container_statuses.iter().flatten();
        first.chain(status.container_statuses.iter().flatten())
    });
    let ended = statuses.filter_map(|status| status.state.as_ref()?.terminated.as_ref());
    ended.filter_map(|ended| ended.message.clone()).collect()
}
